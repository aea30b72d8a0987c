"""The key table against a dictionary."""

import gc
import multiprocessing
import os
import random
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.iobuf.cursor import Cursor
from netapp.iobuf.keys import KeyTable
from tests.iobuf.test_cursor import split_at
from tests.support.pools import core_with_pool

SECRET = bytes(range(16))
keys = st.binary(max_size=40)


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "pop"]), keys, st.integers()), max_size=200))
def test_it_does_what_a_dictionary_does(steps):
    table = KeyTable(SECRET)
    model: dict[bytes, int] = {}
    for what, key, value in steps:
        if what == "put":
            assert table.put(key, value) == model.get(key)
            model[key] = value
        elif what == "get":
            assert table.get(key) == model.get(key)
        else:
            assert table.pop(key) == model.pop(key, None)
        assert len(table) == len(model)
    assert sorted(table) == sorted(model.values())
    for key in model:
        assert key in table


def test_it_grows_and_shrinks_through_many_keys():
    table = KeyTable(SECRET)
    for number in range(20_000):
        table.put(b"key %d" % number, number)
    assert all(table.get(b"key %d" % number) == number for number in range(20_000))
    for number in range(0, 20_000, 2):
        assert table.pop(b"key %d" % number) == number
    assert len(table) == 10_000
    assert all(table.get(b"key %d" % number) == (number if number % 2 else None) for number in range(20_000))


def test_keys_that_differ_in_one_bit_or_in_length_are_different():
    table = KeyTable(SECRET)
    for length in range(70):
        for byte in range(length):
            key = bytearray(length)
            key[byte] = 1
            table.put(bytes(key), (length, byte))
        table.put(bytes(length), length)
    assert len(table) == sum(range(70)) + 70
    assert table.get(bytes(33)) == 33


def test_it_lets_go_of_what_it_held():
    class Value:
        pass

    gc.collect()
    gc.disable()
    try:
        before = len([o for o in gc.get_objects() if isinstance(o, Value)])
        table = KeyTable(SECRET)
        for number in range(100):
            table.put(b"%d" % number, Value())
            table.put(b"%d" % number, Value())
        table.pop(b"7")
        table.clear()
        assert len(table) == 0 and table.get(b"8") is None
        table.put(b"x", Value())
        del table
        assert len([o for o in gc.get_objects() if isinstance(o, Value)]) == before
    finally:
        gc.enable()


def test_a_token_is_looked_up_where_it_lies():
    table = KeyTable(SECRET)
    table.put(b"alpha", 1)
    table.put(b"b" * 70, 2)
    text = b"get alpha  " + b"b" * 70 + b" missing\r\n"
    with core_with_pool():
        for cut in range(len(text)):
            chain = split_at(text, [cut])
            cursor = Cursor(chain)
            assert cursor.line()
            assert cursor.token() == b"get"
            assert (cursor.look_up(table), cursor.token_length) == (1, 5)
            assert (cursor.look_up(table), cursor.token_length) == (2, 70)
            assert (cursor.look_up(table), cursor.token_length) == (None, 7)
            assert (cursor.look_up(table), cursor.token_length) == (None, 0)
            cursor.end_line()
            assert cursor.remaining() == 0
            del cursor, chain


@pytest.mark.parametrize("call", ["get", "pop"])
def test_a_key_is_bytes(call):
    table = KeyTable(SECRET)
    with pytest.raises(TypeError):
        getattr(table, call)(None)
    with pytest.raises(TypeError):
        getattr(table, call)("text")
    with pytest.raises(ValueError):
        KeyTable(b"short")


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "pop", "fill", "drain"]), st.integers(0, 300)), max_size=60))
def test_it_is_whole_while_it_moves_to_a_larger_or_smaller_array(steps):
    table = KeyTable(SECRET)
    model: dict[bytes, int] = {}

    def put(number):
        key = b"%d" % number
        assert table.put(key, number) == model.get(key)
        model[key] = number

    def pop(number):
        key = b"%d" % number
        assert table.pop(key) == model.pop(key, None)

    for what, number in steps:
        if what == "fill":
            for each in range(number, 3 * number):
                put(each)
        elif what == "drain":
            for each in range(3 * number):
                pop(each)
        elif what == "put":
            put(number)
        elif what == "pop":
            pop(number)
        else:
            assert table.get(b"%d" % number) == model.get(b"%d" % number)
        assert len(table) == len(model)
        for each in range(0, 900, 37):
            assert table.get(b"%d" % each) == model.get(b"%d" % each)
    assert sorted(table) == sorted(model.values())


def test_its_memory_follows_the_number_of_keys():
    table = KeyTable(SECRET)
    small = table.memory
    for number in range(50_000):
        table.put(b"%d" % number, number)
        # A place has 24 bytes; between a quarter and a half of them are taken, and the former array goes with each put.
        assert number < 64 or table.memory <= 24 * (4 + 2) * number
    for number in range(50_000):
        table.pop(b"%d" % number)
    assert table.memory <= 16 * small and not len(table)


def test_it_becomes_fuller_before_it_grows_where_that_is_asked():
    table = KeyTable(SECRET)
    keys = [b"%d" % number for number in range(10_000)]
    asked = 0
    for key in keys:
        before = table.memory
        if len(table) >= table.most:
            table.crowd()
            asked += 1
        table.put(key, key)
        # Where it is three quarters full it grows in any case: a look-up must come to a free place.
        assert table.memory <= before or len(table) > before // 24 * 3 // 4
        assert len(table) <= table.memory // 24 * 3 // 4 + 1
    assert asked > 1000 and all(table.get(key) is key for key in keys)
    assert all(table.pop(key) is key for key in keys) and b"0" not in table


def test_a_look_up_may_pass_the_end_of_an_array_whose_memory_is_being_given_back():
    chosen = random.Random(1)
    keys = [b"%d" % number for number in range(8193)]  # with the last one an array of 16,384 places begins to move
    absent = [b"no %d" % number for number in range(1200)]  # each look-up moves some of them
    for _ in range(100):
        table = KeyTable(chosen.randbytes(16))
        for key in keys:
            table.put(key, key)
        both = table.memory
        assert not any(key in table for key in absent)
        assert table.memory < both
        assert all(table.get(key) is key for key in keys)


def _pops_without_address_space() -> None:
    table = KeyTable(SECRET)
    keys = [b"%d" % number for number in range(100_000)]
    for key in keys:
        table.put(key, key)
    large = table.memory
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    # The smaller array takes 1.5 MB; nothing else comes or goes, for `keys` keeps them.
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 19), resource.RLIM_INFINITY))
    for key in keys[1500:]:
        assert table.pop(key) is key
    assert table.memory == large
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for key in keys[:1500]:
        assert table.pop(key) is key
    assert table.memory < large and not len(table)


@pytest.mark.skipif(os.environ.get("NETAPP_VARIANT") == "debug", reason="AddressSanitizer needs address space itself")
def test_a_key_is_removed_even_where_there_is_no_memory_for_a_smaller_array():
    # In a process of its own, whose address space is limited.
    child = multiprocessing.get_context("fork").Process(target=_pops_without_address_space)
    child.start()
    child.join(60)
    assert child.exitcode == 0
