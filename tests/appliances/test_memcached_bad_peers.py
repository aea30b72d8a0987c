"""Clients that take what they can get: memory stays bounded, others are served, and what they took comes back."""

import random
import zlib
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from appliances.memcached.words import unsigned_number
from netapp.net.udp_socket import Endpoint, UdpHandler
from netapp.node.config import NodeConfig
from netapp.node.simulation import SECOND
from netapp.tcp.config import TcpConfig
from tests.appliances.test_memcached_bad_clients import (
    MIB,
    VERSION,
    begin,
    is_gone,
    kept,
    nothing_is_left,
    pinned,
)
from tests.memcached.bad import header
from tests.memcached.binary import request
from tests.memcached.datagrams import WireDatagrams
from tests.support.appliances import SERVER, Client, Served, appliance, served
from tests.support.memcached import stats, store_of, worker_of

HOUR = 3600 * SECOND
TOO_MANY = b"ERROR Too many open connections\r\n"
REFUSED = b"SERVER_ERROR out of memory storing object\r\n"


def others_are_served(running: Served, stores: bool = True) -> None:
    assert running.ask(b"get none\r\nversion\r\n") == b"END\r\n" + VERSION
    if stores:
        value = bytes(3000)
        script = b"set other 0 0 3000\r\n" + value + b"\r\nget other\r\ndelete other\r\n"
        assert running.ask(script) == b"STORED\r\nVALUE other 0 3000\r\n" + value + b"\r\nEND\r\nDELETED\r\n"


def at_once(running: Served, *clients: Client) -> None:
    """All connect before any is answered."""
    with running.client.core:
        for client in clients:
            running.client.tcp.connect(SERVER, running.port, lambda made=client: made)
    running.simulation.run_until(lambda: all(client.is_connected for client in clients), within=10 * SECOND)


def test_values_that_never_complete_stay_below_the_limit(build: str) -> None:
    with served(appliance("memcached", build), ["-m", "8"]) as running:
        before, store = kept(running), store_of(running)
        for i in range(1000):
            running.send(running.steady, b"set k%d 0 0 4000 noreply\r\n%s\r\n" % (i, bytes(4000)))
        assert len(store) == 1000
        halves = [begin(running, b"set a 0 0 1000000\r\n", bytes(500_000)) for _ in range(30)]
        assert 7 * MIB < store.reserved <= 8 * MIB and store.used + store.reserved <= 8 * MIB
        assert store.evictions == 1000 and len(store) == 0
        # A full segment in its slot pins 1.41 times its bytes.
        assert pinned(running) - before <= 1.45 * 8 * MIB + len(halves) * 4096
        # What is left may be too little for others to store, but not for them to ask.
        others_are_served(running, stores=False)
        assert store.used + store.reserved <= 8 * MIB
        for client in halves[::2]:
            is_gone(running, client)
        others_are_served(running)
        for client in halves[1::2]:
            running.send(client, bytes(500_000) + b"\r\nversion\r\n")
            assert client.received in (b"STORED\r\n" + VERSION, REFUSED + VERSION)
        assert {bytes(client.received) for client in halves[1::2]} == {b"STORED\r\n" + VERSION, REFUSED + VERSION}
        for client in halves:
            is_gone(running, client)
        del store
        nothing_is_left(running, before)


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"set a 0 0 100000\r\n", b"v"), (header(1, 1, 8, 100_009) + bytes(9), b"v"), (header(0, 65535, 0, 65535), b"k")],
    ids=["text", "binary", "binary-key"],
)
def test_tiny_pieces_pin_little_more_than_their_bytes(build: str, start: bytes, piece: bytes) -> None:
    with served(appliance("memcached", build)) as running:
        before = kept(running)
        client = begin(running, start, *[piece] * 3000)
        assert pinned(running) - before <= 1.45 * 3000 + 6144
        others_are_served(running)
        is_gone(running, client)
        nothing_is_left(running, before)


def test_commands_that_never_complete_are_bounded_in_all(build: str) -> None:
    """memcached would grow; what a connection may have is bounded as there, but for the keys of a get."""
    with served(appliance("memcached", build), ["-m", "8"]) as running:
        before = kept(running)
        line = b"get " + b"k " * 500_000
        clients = [begin(running, line) for _ in range(60)]
        assert worker_of(running).held <= 32 * MIB and pinned(running) - before <= 1.45 * 32 * MIB
        refused = [client for client in clients if client.received]
        assert len(refused) == 27 and all(client.server_closed for client in refused)
        assert {bytes(client.received) for client in refused} == {b"SERVER_ERROR out of memory reading request\r\n"}
        others_are_served(running)
        running.send(clients[0], b"\r\n")
        assert clients[0].received == b"END\r\n", "who was there first is served"
        for client in clients:
            is_gone(running, client)
        assert worker_of(running).held == 0
        nothing_is_left(running, before)


def test_thousands_of_idle_connections(build: str) -> None:
    with served(appliance("memcached", build), ["-c", "4000"]) as running:
        before = kept(running)
        clients = [Client() for _ in range(3000)]
        for i in range(0, 3000, 100):
            at_once(running, *clients[i : i + 100])
        assert len(worker_of(running).sessions) == 3001
        assert pinned(running) == before, "who says nothing pins nothing"
        others_are_served(running)
        for piece in (b"g", b"et a"):
            for client in clients:
                running.send(client, piece)
        assert pinned(running) - before <= 3000 * 4096
        others_are_served(running)
        for client in clients:
            running.send(client, b"\r\n")
        assert all(client.received == b"END\r\n" for client in clients)
        for client in clients:
            is_gone(running, client)
        nothing_is_left(running, before)


class Slow(Client):
    """Counts what it reads, which it does not before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.length = self.sum = 0

    def connected(self) -> None:
        super().connected()
        self.pause()

    def receive(self, data: Any) -> None:
        self.length += data.length
        self.sum = zlib.crc32(data.tobytes(), self.sum)


def test_a_client_that_asks_for_a_gigabyte_and_reads_it_late(build: str) -> None:
    value = random.Random(1).randbytes(1_048_516)
    reply = b"VALUE a 0 %d\r\n%s\r\nEND\r\n" % (len(value), value)
    with served(appliance("memcached", build), mtu=9000) as running:
        before = kept(running)
        assert running.ask(b"set a 0 0 %d\r\n%s\r\n" % (len(value), value)) == b"STORED\r\n"
        stored = pinned(running)
        client = Slow()
        at_once(running, client)
        with running.client.core:
            client.send(b"get a\r\n" * 1000)
        running.simulation.advance(10 * SECOND)
        queued = [connection.queued for connection in running.node.tcp.connections()]
        assert max(queued) <= TcpConfig().send_limit + len(reply)
        assert stats(running)["cmd_get"] <= 5
        assert pinned(running) - stored <= 64 * 1024, "replies are views of what is stored"
        others_are_served(running)
        assert running.ask(b"get a\r\n") == reply
        with running.client.core:
            client.resume()
        running.simulation.run_until(lambda: client.length >= 1000 * len(reply), within=HOUR)
        expected = 0
        for _ in range(1000):
            expected = zlib.crc32(reply, expected)
        assert (client.length, client.sum) == (1000 * len(reply), expected)
        is_gone(running, client)
        nothing_is_left(running, before)


def test_a_storm_of_connections(build: str) -> None:
    with served(appliance("memcached", build), ["-c", "50"]) as running:
        before = kept(running)
        storm = [Client() for _ in range(300)]
        at_once(running, *storm)
        running.simulation.advance(SECOND)
        turned_away = [client for client in storm if client.received]
        assert len(turned_away) == 251 and all(client.server_closed for client in turned_away)
        assert {client.received for client in turned_away} == {TOO_MANY}
        assert len(worker_of(running).sessions) == 50 and worker_of(running).rejected_connections == 251
        assert running.ask(b"version\r\n", client=running.steady) == VERSION
        inside = [client for client in storm if not client.received]
        for client in inside:
            assert running.ask(b"version\r\n", client=client) == VERSION
        is_gone(running, inside[0])
        assert running.ask(b"version\r\n") == VERSION, "there is room for one"
        for client in inside:
            is_gone(running, client)
        nothing_is_left(running, before)


def test_half_open_connections_are_none_of_memcacheds(build: str) -> None:
    """SYNs whose sender does not answer: they do not count for -c, and give way."""
    config = NodeConfig(tcp=TcpConfig(backlog=256))
    with served(appliance("memcached", build), ["-c", "10", "-b", "256"], config=config) as running:
        before = kept(running)
        ours, theirs = running.ends.ours.mac, running.ends.theirs.mac
        for port in range(2000, 2500):
            syn = (
                Ether(src=theirs, dst=ours) / IP(src="10.99.0.77", dst=SERVER) / TCP(sport=port, dport=11211, flags="S")
            )
            with running.simulation.outside:
                running.ends.theirs.send(bytes(syn))
            running.simulation.settle()
        assert len(running.node.tcp.connections()) == 257 and len(worker_of(running).sessions) == 1
        assert running.ask(b"version\r\n", client=running.steady) == VERSION
        running.simulation.advance(5 * SECOND)
        others_are_served(running)
        running.simulation.advance(60 * SECOND)
        nothing_is_left(running, before)


@pytest.mark.parametrize("script", [b"", b"get a", b"set a 0 0 1000\r\nhalf"])
def test_clients_that_vanish_do_not_stay_for_ever(build: str, script: bytes) -> None:
    """As with memcached's sockets: keep-alives after two hours."""
    with served(appliance("memcached", build)) as running:
        before = kept(running)
        client = begin(running, script)
        running.simulation.nodes.remove(running.client)
        running.simulation.advance(HOUR)
        assert len(worker_of(running).sessions) == 2
        running.simulation.advance(2 * HOUR)
        assert len(worker_of(running).sessions) == 0 and not running.node.tcp.connections()
        assert store_of(running).reserved == 0
        running.simulation.nodes.append(running.client)
        running.simulation.settle()
        assert pinned(running) == before
        del client


SCRIPTS = {
    "text": b"set a 0 0 3000\r\n"
    + bytes(3000)
    + b"\r\nget a\r\nms a 2000\r\n"
    + bytes(2000)
    + b"\r\nmg a v\r\ndelete a\r\n",
    "binary": request(1, b"a", bytes(8), bytes(3000)) + request(0, b"a") + request(4, b"a"),
}


@pytest.mark.parametrize("protocol", SCRIPTS)
@pytest.mark.parametrize("abort", [True, False], ids=["reset", "end"])
def test_a_connection_may_end_anywhere(build: str, protocol: str, abort: bool) -> None:
    script = SCRIPTS[protocol]
    with served(appliance("memcached", build)) as running:
        before = kept(running)
        for at in [*range(60), *range(60, len(script), 97), len(script) - 1]:
            client = begin(running, script[:at])
            with running.client.core:
                client.abort() if abort else client.close()
            running.simulation.settle()
            assert store_of(running).reserved == 0 and worker_of(running).held == 0, at
            assert len(worker_of(running).sessions) == 1 and client.ended, at
        nothing_is_left(running, before)


def test_100_000_requests_at_once_do_not_keep_others_waiting(build: str) -> None:
    with served(appliance("memcached", build)) as running:
        before = kept(running)
        client, other = begin(running), running.steady
        with running.client.core:
            client.send(b"get none\r\n" * 100_000)
        asked = 0
        while len(client.received) < 500_000:
            waited, answered = 0, len(other.received)
            with running.client.core:
                other.send(b"version\r\n")
            while len(other.received) == answered:
                running.simulation.step()
                waited += 1
                assert waited < 100, "turns of both nodes"
            asked += 1
        assert asked > 100 and client.received == b"END\r\n" * 100_000
        is_gone(running, client)
        nothing_is_left(running, before)


class Socket(UdpHandler):
    def __init__(self) -> None:
        self.received: list[bytes] = []

    def receive(self, datagram: Any, source: Endpoint) -> None:
        self.received.append(datagram.tobytes())


def test_datagrams_of_garbage(build: str) -> None:
    choose = random.Random(7)
    with served(appliance("memcached", build), ["-U", "11211"]) as running:
        before = kept(running)
        socket = Socket()
        with running.client.core:
            running.client.udp.connect(SERVER, 11211, socket)
        starts = (b"", b"\0\1\0\0\0\1\0\0", b"\0\1\0\1\0\2\0\0", b"\0\1\0\0\xff\xff\0\0", b"\0\1\0\0\0\1\0\0\x80")
        commands = (b"", b"get a\r\n", b"set a 0 0 100000\r\nx", b"set a 0 0 -1\r\n", b"quit\r\n", b"version\r\n" * 100)
        for i in range(3000):
            noise = choose.randbytes(choose.choice([0, 1, 7, 8, 9, 100, 1400]))
            with running.client.core:
                socket.send((choose.choice(starts) + choose.choice(commands) + noise)[:1472])
            if i % 50 == 0:
                running.simulation.settle()
        running.simulation.settle()
        assert (store_of(running).reserved, worker_of(running).held) == (0, 0)
        assert running.node.udp.counters()["callback_exceptions"] == 0
        socket.received.clear()
        with running.client.core:
            socket.send(b"\x12\x34\0\0\0\1\0\0version\r\n")
        running.simulation.settle()
        assert socket.received == [b"\x12\x34\0\0\0\1\0\0" + VERSION]
        others_are_served(running)
        with running.client.core:
            socket.close()
        nothing_is_left(running, before)


def test_an_answer_of_more_datagrams_than_their_header_counts_is_cut_off(build: str) -> None:
    length = 96 * MIB
    options = ["-I", "128m", "-m", "512", "-U", "11211"]
    with served(appliance("memcached", build), options, mtu=9000) as running:
        before = kept(running)
        client = begin(running, b"set a 0 0 %d\r\n" % length)
        for _ in range(length // MIB):
            running.send(client, bytes(MIB))
            running.simulation.advance(SECOND)
        assert running.ask(b"\r\n", client=client) == b"STORED\r\n"
        asking = WireDatagrams(running)
        stored = pinned(running)
        assert asking.ask(b"\0\7\0\0\0\1\0\0get a\r\n") == []
        assert running.node.udp.counters()["callback_exceptions"] == 0 and pinned(running) <= stored
        assert asking.ask(b"\0\7\0\0\0\1\0\0version\r\n") == [b"\0\7\0\0\0\1\0\0" + VERSION]
        with running.client.core:
            asking.handler.close()
        is_gone(running, client)
        nothing_is_left(running, before)


def test_long_values_that_are_no_numbers() -> None:
    """A client may store a megabyte of white space, and incr it."""
    spaces = b" " * 500_000
    assert unsigned_number(spaces + b"12") == 12 and unsigned_number(spaces + b"x") is None
    assert unsigned_number(b"0" * 500_000 + b"x") is None
