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
from netapp.iobuf.keys import Keyed, KeyTable, Named
from tests.iobuf.test_cursor import split_at
from tests.support.pools import core_with_pool

SECRET = bytes(range(16))
keys = st.binary(max_size=40)


class Thing(Named):
    """Equal only to itself, as objects are."""


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "pop", "remove"]), keys), max_size=200))
def test_it_does_what_a_dictionary_does(steps):
    table = KeyTable(SECRET)
    model: dict[bytes, Thing] = {}
    for what, key in steps:
        if what == "put":
            value = Thing(key)
            assert table.put(value) is model.get(key)
            model[key] = value
        elif what == "get":
            assert table.get(key) is model.get(key)
        elif what == "remove":
            assert table.remove(model.get(key) or Thing(key)) is model.pop(key, None)
        else:
            assert table.pop(key) is model.pop(key, None)
        assert len(table) == len(model)
    assert set(table) == set(model.values())
    for key in model:
        assert key in table


def test_it_grows_and_shrinks_through_many_keys():
    table = KeyTable(SECRET)
    things = [Thing(b"key %d" % number) for number in range(20_000)]
    for thing in things:
        table.put(thing)
    assert all(table.get(b"key %d" % number) is things[number] for number in range(20_000))
    for number in range(0, 20_000, 2):
        assert table.pop(b"key %d" % number) is things[number]
    assert len(table) == 10_000
    assert all(table.get(b"key %d" % number) is (things[number] if number % 2 else None) for number in range(20_000))


def test_keys_that_differ_in_one_bit_or_in_length_are_different():
    table = KeyTable(SECRET)
    for length in range(70):
        for byte in range(length):
            key = bytearray(length)
            key[byte] = 1
            table.put(Thing(bytes(key)))
        table.put(Thing(bytes(length)))
    assert len(table) == sum(range(70)) + 70
    assert table.get(bytes(33)).key == bytes(33)


def test_it_lets_go_of_what_it_held():
    class Value(Named):
        pass

    gc.collect()
    gc.disable()
    try:
        before = len([o for o in gc.get_objects() if isinstance(o, Value)])
        table = KeyTable(SECRET)
        for number in range(100):
            table.put(Value(b"%d" % number))
            table.put(Value(b"%d" % number))
        table.pop(b"7")
        table.clear()
        assert len(table) == 0 and table.get(b"8") is None
        table.put(Value(b"x"))
        del table
        assert len([o for o in gc.get_objects() if isinstance(o, Value)]) == before
    finally:
        gc.enable()


def test_a_token_is_looked_up_where_it_lies():
    table = KeyTable(SECRET)
    short, long = Thing(b"alpha"), Thing(b"b" * 70)
    table.put(short)
    table.put(long)
    text = b"get alpha  " + b"b" * 70 + b" missing\r\n"
    with core_with_pool():
        for cut in range(len(text)):
            chain = split_at(text, [cut])
            cursor = Cursor(chain)
            assert cursor.line()
            assert cursor.token() == b"get"
            assert (cursor.look_up(table), cursor.token_length) == (short, 5)
            assert (cursor.look_up(table), cursor.token_length) == (long, 70)
            assert (cursor.look_up(table), cursor.token_length) == (None, 7)
            assert (cursor.look_up(table), cursor.token_length) == (None, 0)
            cursor.end_line()
            assert cursor.remaining() == 0
            del cursor, chain


@pytest.mark.parametrize("call", ["get", "pop", "put", "remove"])
def test_a_key_is_bytes_and_what_is_held_has_one(call):
    table = KeyTable(SECRET)
    for wrong in (None, "text", Keyed()):
        with pytest.raises(TypeError):
            getattr(table, call)(wrong)
    with pytest.raises(ValueError):
        KeyTable(b"short")


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "pop", "fill", "drain"]), st.integers(0, 300)), max_size=60))
def test_it_is_whole_while_it_moves_to_a_larger_or_smaller_array(steps):
    table = KeyTable(SECRET)
    model: dict[bytes, Thing] = {}

    def put(number):
        thing = Thing(b"%d" % number)
        assert table.put(thing) is model.get(thing.key)
        model[thing.key] = thing

    def pop(number):
        key = b"%d" % number
        assert table.pop(key) is model.pop(key, None)

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
            assert table.get(b"%d" % number) is model.get(b"%d" % number)
        assert len(table) == len(model)
        for each in range(0, 900, 37):
            assert table.get(b"%d" % each) is model.get(b"%d" % each)
    assert set(table) == set(model.values())


def test_its_memory_follows_the_number_of_keys():
    table = KeyTable(SECRET)
    small = table.memory
    for number in range(50_000):
        table.put(Thing(b"%d" % number))
        # A place has 16 bytes; between a quarter and a half of them are taken, and the former array goes with each put.
        assert number < 64 or table.memory <= 16 * (4 + 2) * number
    for number in range(50_000):
        table.pop(b"%d" % number)
    assert table.memory <= 16 * small and not len(table)


def test_it_becomes_fuller_before_it_grows_where_that_is_asked():
    table = KeyTable(SECRET)
    things = [Thing(b"%d" % number) for number in range(10_000)]
    asked = 0
    for thing in things:
        before = table.memory
        if len(table) >= table.most:
            table.crowd()
            asked += 1
        table.put(thing)
        # Where it is three quarters full it grows in any case: a look-up must come to a free place.
        assert table.memory <= before or len(table) > before // 16 * 3 // 4
        assert len(table) <= table.memory // 16 * 3 // 4 + 1
    assert asked > 1000 and all(table.get(thing.key) is thing for thing in things)
    assert all(table.remove(thing) is thing for thing in things) and b"0" not in table


def test_a_look_up_may_pass_the_end_of_an_array_whose_memory_is_being_given_back():
    chosen = random.Random(1)
    # With the last one an array of 16,384 places begins to move.
    things = [Thing(b"%d" % number) for number in range(8193)]
    absent = [b"no %d" % number for number in range(1200)]  # each look-up moves some of them
    for _ in range(100):
        table = KeyTable(chosen.randbytes(16))
        for thing in things:
            table.put(thing)
        both = table.memory
        assert not any(key in table for key in absent)
        assert table.memory < both
        assert all(table.get(thing.key) is thing for thing in things)


def _pops_without_address_space() -> None:
    table = KeyTable(SECRET)
    things = [Thing(b"%d" % number) for number in range(100_000)]
    for thing in things:
        table.put(thing)
    large = table.memory
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    # The smaller array takes 1 MB; nothing else comes or goes, for `things` keeps them.
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 19), resource.RLIM_INFINITY))
    for thing in things[1500:]:
        assert table.remove(thing) is thing
    assert table.memory == large
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for thing in things[:1500]:
        assert table.remove(thing) is thing
    assert table.memory < large and not len(table)


@pytest.mark.skipif(os.environ.get("NETAPP_VARIANT") == "debug", reason="AddressSanitizer needs address space itself")
def test_a_key_is_removed_even_where_there_is_no_memory_for_a_smaller_array():
    # In a process of its own, whose address space is limited.
    child = multiprocessing.get_context("fork").Process(target=_pops_without_address_space)
    child.start()
    child.join(60)
    assert child.exitcode == 0
