"""What the store keeps, for how long, and in how much memory."""

from collections.abc import Iterator

import pytest

from netapp.node.config import NodeConfig
from netapp.node.simulation import SECOND
from tests.support.appliances import Served, appliance, served
from tests.support.memcached import stats

MIB = 1 << 20


@pytest.fixture
def memcached(build: str) -> Iterator[Served]:
    with served(appliance("memcached", build)) as running:
        yield running


def has(running: Served, *keys: bytes) -> list[bool]:
    return [running.ask(b"get %b\r\n" % key) != b"END\r\n" for key in keys]


# A full segment pins a slot of 2 KiB: a value that arrives in segments of 1,460 bytes takes 1.41 times its size.


def put(key: bytes, size: int, exptime: int = 0) -> bytes:
    return b"set %b 0 %d %d noreply\r\n" % (key, exptime, size) + b"v" * size + b"\r\n"


# --- time --------------------------------------------------------------------------------------------------------


def test_a_relative_time_passes(memcached: Served) -> None:
    memcached.ask(put(b"short", 1, 10) + put(b"long", 1, 100) + put(b"ever", 1))
    memcached.simulation.advance(8 * SECOND)
    assert has(memcached, b"short", b"long", b"ever") == [True, True, True]
    memcached.simulation.advance(2 * SECOND)
    assert has(memcached, b"short", b"long", b"ever") == [False, True, True]
    memcached.simulation.advance(100 * SECOND)
    assert has(memcached, b"short", b"long", b"ever") == [False, False, True]
    assert stats(memcached)["get_expired"] == 2


def test_a_time_of_day_passes(memcached: Served) -> None:
    now = memcached.simulation.wall_clock.nanoseconds() // SECOND
    memcached.ask(put(b"soon", 1, now + 10) + put(b"past", 1, now - 10) + put(b"later", 1, now + 40 * 24 * 3600))
    assert has(memcached, b"soon", b"past", b"later") == [True, False, True]
    memcached.simulation.advance(11 * SECOND)
    assert has(memcached, b"soon", b"later") == [False, True]


def test_an_expired_item_counts_as_none(memcached: Served) -> None:
    memcached.ask(put(b"a", 1, 5))
    memcached.simulation.advance(6 * SECOND)
    assert memcached.ask(b"replace a 0 0 1\r\nx\r\ndelete a\r\nincr a 1\r\nadd a 0 0 1\r\ny\r\nget a\r\n") == (
        b"NOT_STORED\r\nNOT_FOUND\r\nNOT_FOUND\r\nSTORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n"
    )


def test_flush_all_takes_what_there_was(memcached: Served) -> None:
    memcached.ask(put(b"a", 1) + b"flush_all\r\n" + put(b"b", 1))
    assert has(memcached, b"a", b"b") == [False, True]


def test_flush_all_with_a_delay_waits(memcached: Served) -> None:
    memcached.ask(put(b"a", 1))
    memcached.simulation.advance(5 * SECOND)
    memcached.ask(b"flush_all 10\r\n")
    assert has(memcached, b"a") == [True]
    memcached.simulation.advance(9 * SECOND)
    assert has(memcached, b"a") == [False]
    memcached.ask(put(b"b", 1))
    assert has(memcached, b"b") == [True]


# --- memory ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(build: str) -> Iterator[Served]:
    with served(appliance("memcached", build), ["-m", "1", "-I", "512k"]) as running:
        yield running


@pytest.mark.parametrize("size", [20, 300, 1000, 1400, 5000, 100_000])
def test_the_limit_holds_in_pinned_bytes(small: Served, size: int) -> None:
    count = 2 * MIB // (size + 300)
    for i in range(count):
        small.send(small.steady, put(b"key%d" % i, size))
        assert small.node.pool.pinned()["store"] <= MIB
    found = stats(small)
    taken = found["bytes"] + found["hash_bytes"]  # by the items, and by the table
    assert 0 < found["hash_bytes"] and taken <= MIB
    assert found["evictions"] > 0 and found["curr_items"] + found["evictions"] == count
    # The limit is used, too.
    assert taken > MIB - 2 * (size + 4096)
    assert has(small, b"key%d" % (count - 1), b"key0") == [True, False]


@pytest.mark.parametrize("size", [20, 60, 100, 150, 200, 1000])
def test_no_item_makes_way_for_a_larger_table(small: Served, size: int) -> None:
    items = 0
    found = stats(small)
    while found["evictions"] == 0:
        small.send(small.steady, b"".join(put(b"key%d" % i, size) for i in range(items, items + 20)))
        items += 20
        found = stats(small)
        assert found["bytes"] + found["hash_bytes"] <= MIB
    # An array twice as large has not come at the first eviction, and the former one has gone: all is the items'.
    assert found["hash_is_expanding"] == 0 and found["curr_items"] <= found["hash_bytes"] // 16 * 3 // 4


def test_what_was_used_last_stays(small: Served) -> None:
    small.ask(b"".join(put(b"k%d" % i, 70_000) for i in range(9)))
    assert stats(small)["evictions"] == 0
    small.ask(b"get k0\r\nget k1\r\n" * 2)
    small.ask(put(b"new", 210_000))
    assert has(small, b"k0", b"k1", b"k2", b"k3", b"k8", b"new") == [True, True, False, False, True, True]


def test_replacing_does_not_evict(small: Served) -> None:
    for _ in range(30):
        small.ask(put(b"a", 200_000) + put(b"b", 200_000))
    found = stats(small)
    assert (found["curr_items"], found["evictions"]) == (2, 0)


def test_deleting_gives_the_memory_back(memcached: Served) -> None:
    memcached.ask(b"".join(put(b"k%d" % i, 10 * 4**i) for i in range(8)))
    assert stats(memcached)["bytes"] > 80_000
    memcached.ask(b"".join(b"delete k%d\r\n" % i for i in range(8)))
    assert (stats(memcached)["bytes"], stats(memcached)["curr_items"]) == (0, 0)
    assert memcached.node.pool.pinned()["store"] <= 64  # the END that replies share


def test_expired_items_are_reclaimed_before_they_count_as_evicted(small: Served) -> None:
    small.ask(b"".join(put(b"old%d" % i, 70_000, 5) for i in range(9)))
    small.simulation.advance(6 * SECOND)
    small.ask(b"".join(put(b"new%d" % i, 70_000) for i in range(9)))
    found = stats(small)
    assert found["evictions"] == 0 and found["reclaimed"] >= 8
    assert all(has(small, *(b"new%d" % i for i in range(9))))


def test_an_item_larger_than_the_limit_is_refused(build: str) -> None:
    with served(appliance("memcached", build), ["-m", "16", "-I", "8m"]) as running:
        running.ask(put(b"a", 1), b"cache_memlimit 8\r\n")
        script = b"set a 0 0 8388500\r\n" + b"v" * 8_388_500 + b"\r\nget a\r\nversion\r\n"
        assert running.ask(script) == b"SERVER_ERROR out of memory storing object\r\nEND\r\nVERSION 1.6.18\r\n"
        assert stats(running)["store_no_memory"] == 1


def test_values_under_way_count_against_the_limit(small: Served) -> None:
    small.ask(b"".join(put(b"k%d" % i, 70_000) for i in range(9)))
    clients = [small.connect() for _ in range(4)]
    for client in clients:
        small.send(client, b"set big 0 0 250000\r\n" + b"v" * 240_000)
    assert stats(small)["bytes"] <= MIB - 4 * 240_000
    fifth = small.connect()
    assert small.ask(put(b"no", 250_000).replace(b" noreply", b""), client=fifth).startswith(b"SERVER_ERROR out of mem")
    for client in clients:
        with small.client.core:
            client.abort()
    small.simulation.advance(SECOND)
    assert small.ask(put(b"yes", 250_000).replace(b" noreply", b"")) == b"STORED\r\n"


def test_a_pool_smaller_than_the_limit_evicts_instead_of_failing(build: str) -> None:
    config = NodeConfig(pool_bytes=8 * MIB, pool_reserve=MIB)
    with served(appliance("memcached", build), ["-m", "64"], config=config) as running:
        for i in range(1200):
            running.send(running.steady, put(b"k%d" % i, 9000))
        found = stats(running)
        assert found["store_no_memory"] == 0 and found["evictions"] > 300
        assert has(running, b"k1199") == [True]


# --- by reference ------------------------------------------------------------------------------------------------


def test_a_large_value_is_stored_and_sent_by_reference(memcached: Served) -> None:
    def copied() -> int:
        found = memcached.node.pool.copied()
        return sum(found[place] for place in ("tcp", "appliance", "store", "user", "network"))

    client = memcached.connect()
    before = copied()
    memcached.ask(put(b"a", 1_000_000), client=client)
    # The reply's first line, its END, and the last lines of segments; full segments are kept as they came.
    assert copied() - before < 20_000
    before = copied()
    assert len(memcached.ask(b"get a\r\n", client=client)) > 1_000_000
    assert copied() == before


def test_incr_replaces_and_never_changes_what_is_being_sent(memcached: Served) -> None:
    padded = b"5" + b" " * 999
    client = memcached.connect()
    script = b"set n 0 0 1000\r\n" + padded + b"\r\nget n\r\nincr n 1\r\nget n\r\n"
    assert memcached.ask(script, client=client) == (
        b"STORED\r\nVALUE n 0 1000\r\n" + padded + b"\r\nEND\r\n6\r\nVALUE n 0 1000\r\n6" + padded[1:] + b"\r\nEND\r\n"
    )
