"""Clients that send what none should: memcached's answer, others served meanwhile, nothing left behind."""

from collections.abc import Iterator

import pytest

from netapp.node.simulation import SECOND
from tests.memcached.bad import BAD
from tests.support.appliances import Client, Served, appliance, served, split
from tests.support.memcached import store_of, worker_of

VERSION = b"VERSION 1.6.18\r\n"
MIB = 1 << 20


@pytest.fixture
def memcached(build: str) -> Iterator[Served]:
    with served(appliance("memcached", build)) as running:
        yield running


def pinned(running: Served) -> int:
    return sum(running.node.pool.pinned().values())


def begin(running: Served, *pieces: bytes) -> Client:
    """A connection on which so much was sent; what of it arrives at once did."""
    client = running.connect()
    client.received = bytearray()  # type: ignore[assignment] # which grows in place
    running.send(client, *pieces)
    return client


def is_gone(running: Served, client: Client) -> None:
    """Reset by the client, if it is still there."""
    with running.client.core:
        if not client.ended:
            client.abort()
    running.simulation.settle()


def nothing_is_left(running: Served, before: int) -> None:
    """But the connection that is kept; `before`: bytes pinned."""
    store = store_of(running)
    for key in (b"a", b"\x01\x1b[0m\x7f\xff\rb"):
        running.ask(b"delete %s\r\n" % key, client=running.steady)
    running.simulation.advance(70 * SECOND)  # TIME-WAIT
    assert (store.used, store.reserved, len(store)) == (0, 0, 0)
    assert len(worker_of(running).sessions) == 1 and len(running.node.tcp.connections()) == 1
    assert pinned(running) == before
    assert running.node.tcp.counters()["callback_exceptions"] == 0


def kept(running: Served) -> int:
    """Bytes pinned by a server that served one client, which stays."""
    done = b"STORED\r\nDELETED\r\nEND\r\n"
    assert running.ask(b"set a 0 0 1\r\nx\r\ndelete a\r\nget a\r\n", client=running.steady) == done
    running.simulation.advance(SECOND)
    return pinned(running)


@pytest.mark.parametrize("name", BAD)
def test_bad_scripts_are_answered_as_by_memcached(memcached: Served, name: str) -> None:
    before, bad = kept(memcached), BAD[name]
    client = begin(memcached, bad.script)
    assert memcached.ask(b"version\r\n") == VERSION
    memcached.simulation.advance(SECOND)
    assert bytes(client.received) == bad.answer
    assert (client.server_closed or client.ended) == bad.closes
    is_gone(memcached, client)
    nothing_is_left(memcached, before)


SMALL = {name: bad for name, bad in BAD.items() if len(bad.script) < 400}


@pytest.mark.parametrize("size", [1, 7])
def test_bad_scripts_in_pieces(memcached: Served, size: int) -> None:
    before = kept(memcached)
    for name, bad in SMALL.items():
        client = memcached.connect()
        for piece in split(bad.script, lambda at: at % size == 0):
            if not (client.server_closed or client.ended):
                memcached.send(client, piece)
        memcached.simulation.advance(SECOND // 4)
        assert (client.received, client.server_closed or client.ended) == (bad.answer, bad.closes), name
        is_gone(memcached, client)
        memcached.ask(b"flush_all\r\nget a\r\n")
    nothing_is_left(memcached, before)
