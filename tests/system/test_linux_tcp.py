"""TCP against the Linux kernel's, over a real tap device: bulk data through a bad network, and ways to end."""

import asyncio
import hashlib
import random
import socket
import struct
import threading
from collections import Counter
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from netapp.iobuf.chain import Chain
from netapp.tcp.config import TcpConfig
from netapp.tcp.connection import SendQueueFull
from netapp.tcp.handler import TcpHandler
from tests.support.hosted import HOSTS, OURS, TapNode, event, tap_node
from tests.support.namespaces import ip

pytestmark = pytest.mark.system

PORT = 5000
BULK = 50_000_000
BAD_BULK = 10_000_000
PIECE = 1 << 17
ROLES = pytest.mark.parametrize("role", ["listen", "connect"])


def made_up(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


class Transfer(TcpHandler):
    """Sends `data`, then FIN; hashes what comes."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.sent = self.length = 0
        self.hash = hashlib.sha256()
        self.connects = self.peer_has_closed = self.ended = False
        self.error: OSError | None = None

    @property
    def seen(self) -> tuple[int, str]:
        return self.length, self.hash.hexdigest()

    def connected(self) -> None:
        self.connects = True
        self.go_on()

    def writable(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        try:
            while self.sent < len(self.data):
                self.send(self.data[self.sent : self.sent + PIECE])
                self.sent += PIECE
        except SendQueueFull:
            return
        self.close()

    def receive(self, data: Chain) -> None:
        self.length += len(data)
        for view in data:
            self.hash.update(view)

    def peer_closed(self) -> None:
        self.peer_has_closed = True

    def closed(self, error: OSError | None) -> None:
        self.ended = True
        self.error = error


class Silent(Transfer):
    """Says nothing, and does not close."""

    def go_on(self) -> None:
        pass


def begin(tap: TapNode, role: str, handler: TcpHandler, function: Any, *arguments: Any) -> Any:
    """Lets the host run function(opened, …): opened() is its end of the handler's connection."""
    if role == "listen":
        with tap.node.core:
            tap.tcp.listen(PORT, lambda: handler)
        return tap.host(function, connected, *arguments)
    with socket.create_server((HOSTS, PORT)) as server, tap.node.core:
        made = tap.host(function, lambda: accepted(server), *arguments)
        tap.tcp.connect(HOSTS, PORT, lambda: handler)
    return made


# --- what the host does ----------------------------------------------------------------------------------------------


def connected() -> socket.socket:
    return socket.create_connection((OURS, PORT), timeout=120)


def accepted(server: socket.socket) -> socket.socket:
    server.settimeout(60)
    connection, _ = server.accept()
    connection.settimeout(120)
    return connection


def read_all(connection: socket.socket) -> tuple[int, str]:
    length, seen = 0, hashlib.sha256()
    while piece := connection.recv(1 << 18):
        length += len(piece)
        seen.update(piece)
    return length, seen.hexdigest()


def both_ways(opened: Any, data: bytes) -> tuple[int, str]:
    with opened() as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        seen = read_all(connection)
        sender.join()
    return seen


def write_then_read(opened: Any, data: bytes) -> tuple[int, str]:
    with opened() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_then_write(opened: Any, data: bytes) -> tuple[int, str]:
    with opened() as connection:
        seen = read_all(connection)
        connection.sendall(data)
    return seen


def reset(opened: Any, first: Event) -> None:
    with opened() as connection:
        assert first.wait(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_unread(opened: Any, first: Event) -> None:
    with opened() as connection:
        assert connection.recv(1) and first.wait(20)


def expect_reset(opened: Any) -> str:
    with opened() as connection:
        connection.sendall(b"hello")
        try:
            return f"data: {len(connection.recv(1))} bytes"
        except ConnectionResetError:
            return "reset"


# --- bulk data -------------------------------------------------------------------------------------------------------


@ROLES
@pytest.mark.parametrize(
    ("direction", "offloads", "io"),
    # With offloads frames are large, and losses few.
    [
        ("out", False, "uring"),
        ("in", False, "rw"),
        ("both", False, "uring"),
        ("both", True, "rw"),
        ("both", True, "uring"),
    ],
)
def test_50_megabytes_through_loss_and_reordering(role: str, direction: str, offloads: bool, io: str) -> None:
    ours = made_up(1, BULK if direction != "in" else 0)
    theirs = made_up(2, BULK if direction != "out" else 0)
    handler = Transfer(ours)
    with tap_node(offloads=offloads, io=io, drop=0.01, reorder=0.02, seed=7) as tap:
        # Without SACK, Linux takes superfluous duplicate acknowledgments for reordering by up to 300 segments, and from
        # then on often waits for its time-out: 40 seconds instead of 5, once in five times.
        Path("/proc/sys/net/ipv4/tcp_max_reordering").write_text("3")
        host = begin(tap, role, handler, both_ways, theirs)
        tap.run_until(lambda: host.ended and handler.ended, within=60)
        assert handler.error is None
        assert host.result() == digest(ours)
        assert handler.seen == digest(theirs)
        assert tap.faults is not None
        faults = tap.faults.counters()
        for lane in ("rx", "tx"):
            assert faults[f"fault_{lane}_dropped"] and faults[f"fault_{lane}_reordered"]


@ROLES
def test_10_megabytes_each_way_through_a_bad_network(role: str) -> None:
    """Frames: lost, duplicated, overtaken, and corrupted; nobody vouches for checksums, so that they must show it."""
    ours, theirs = made_up(1, BAD_BULK), made_up(2, BAD_BULK)
    handler = Transfer(ours)
    # Without SACK many losses wait for a time-out: least ones of 200 ms would make minutes of it, at either end.
    config = TcpConfig(minimum_rto=20_000_000, delayed_ack=4_000_000)
    with tap_node(tcp=config, offloads=False, drop=0.05, duplicate=0.02, reorder=0.02, corrupt=0.01, seed=3) as tap:
        ip(f"route change 10.99.0.0/24 dev tap-node src {HOSTS} rto_min 20ms quickack 1")
        # ARP has no checksum: what a flipped bit makes of an address is believed for a minute.
        assert tap.faults is not None
        ip(f"neigh replace {OURS} lladdr {tap.faults.mac.hex(':')} dev tap-node nud permanent")
        Path("/proc/sys/net/ipv4/tcp_max_reordering").write_text("3")
        # Without timestamps a retransmission measures nothing (RFC 6298, 3), so the kernel backs off over many losses,
        # to 24 s where it is not limited (since Linux 6.15 it can be).
        limit = Path("/proc/sys/net/ipv4/tcp_rto_max_ms")
        if limit.exists():
            limit.write_text("1000")
        # … and with short time-outs it would give up after some seconds: without a word, once its program has closed.
        Path("/proc/sys/net/ipv4/tcp_retries2").write_text("200")
        Path("/proc/sys/net/ipv4/tcp_orphan_retries").write_text("200")
        host = begin(tap, role, handler, both_ways, theirs)
        tap.run_until(lambda: host.ended and handler.ended, within=120)
        assert handler.error is None
        assert host.result() == digest(ours)
        assert handler.seen == digest(theirs)
        faults = tap.faults.counters()
        for lane in ("rx", "tx"):
            for fault in ("dropped", "duplicated", "reordered", "corrupted"):
                assert faults[f"fault_{lane}_{fault}"], f"{lane} {fault}"
        assert tap.tcp.counters()["dropped_checksum"]


@ROLES
def test_a_host_that_does_not_read_for_a_while(role: str) -> None:
    """Its window closes, we probe it, it opens: all arrives."""
    ours, go = made_up(1, 8_000_000), event()

    def waits(opened: Any) -> tuple[int, str]:
        with opened() as connection:
            assert go.wait(20)
            return read_all(connection)

    handler = Transfer(ours)
    with tap_node() as tap:
        host = begin(tap, role, handler, waits)
        tap.run_until(lambda: tap.tcp.counters()["window_probes"] >= 2)
        go.set()
        tap.run_until(lambda: host.ended and handler.ended)
        assert host.result() == digest(ours) and handler.error is None


@ROLES
def test_an_appliance_that_does_not_read_for_a_while(role: str) -> None:
    theirs = made_up(2, 8_000_000)

    class Pauses(Transfer):
        def connected(self) -> None:
            self.connects = True
            self.pause()

    handler = Pauses()
    with tap_node() as tap:
        host = begin(tap, role, handler, write_then_read, theirs)
        # The host's probes of a window of zero are acknowledged.
        tap.run_until(lambda: tap.tcp.counters()["dropped_sequence"] + tap.tcp.counters()["dropped_window"] >= 1)
        assert handler.length == 0
        with tap.node.core:
            handler.resume()
            handler.close()
        tap.run_until(lambda: host.ended and handler.ended)
        assert handler.seen == digest(theirs) and handler.error is None


# --- half-close and reset --------------------------------------------------------------------------------------------


@ROLES
def test_the_host_closes_its_side_first(role: str) -> None:
    ours, theirs = made_up(1, 3_000_000), made_up(2, 1_000_000)

    class Answers(Transfer):
        def go_on(self) -> None:
            if self.peer_has_closed:
                super().go_on()

        def peer_closed(self) -> None:
            super().peer_closed()
            self.go_on()

    handler = Answers(ours)
    with tap_node() as tap:
        host = begin(tap, role, handler, write_then_read, theirs)
        tap.run_until(lambda: host.ended and handler.ended)
        assert handler.error is None and handler.seen == digest(theirs)
        assert host.result() == digest(ours)
        assert tap.states() == {}, "the host is in TIME-WAIT, not we"


@ROLES
def test_we_close_our_side_first(role: str) -> None:
    ours, theirs = made_up(1, 1_000_000), made_up(2, 3_000_000)
    handler = Transfer(ours)
    with tap_node() as tap:
        host = begin(tap, role, handler, read_then_write, theirs)
        tap.run_until(lambda: host.ended and handler.ended)
        assert handler.error is None and handler.peer_has_closed is False and handler.seen == digest(theirs)
        assert host.result() == digest(ours)
        assert tap.states() == {"TIME_WAIT": 1}


@ROLES
def test_the_host_resets(role: str) -> None:
    handler, first = Silent(), event()
    with tap_node() as tap:
        host = begin(tap, role, handler, reset, first)
        tap.run_until(lambda: handler.connects)
        first.set()
        tap.run_until(lambda: host.ended and handler.ended)
        assert isinstance(handler.error, ConnectionResetError)
        assert tap.states() == {} and tap.tcp.counters()["resets_in"] == 1


@ROLES
def test_the_host_closes_without_reading_it_all(role: str) -> None:
    """Linux sends RST then; megabytes that wait to be sent are let go."""
    handler, first = Transfer(made_up(1, 20_000_000)), event()
    with tap_node() as tap:
        host = begin(tap, role, handler, close_unread, first)
        tap.run_until(lambda: handler.sent > 0)
        first.set()
        tap.run_until(lambda: host.ended and handler.ended)
        assert isinstance(handler.error, ConnectionResetError)
        assert tap.states() == {}


@ROLES
def test_we_reset(role: str) -> None:
    class Aborts(Silent):
        def receive(self, data: Chain) -> None:
            self.abort()

    handler = Aborts()
    with tap_node() as tap:
        host = begin(tap, role, handler, expect_reset)
        tap.run_until(lambda: host.ended and handler.ended)
        assert isinstance(handler.error, ConnectionAbortedError)
        assert host.result() == "reset"
        assert tap.states() == {}


def test_nobody_listens() -> None:
    def refused() -> str:
        try:
            connected().close()
        except ConnectionRefusedError:
            return "refused"
        return "connected"

    handler = Silent()
    with tap_node() as tap:
        host = tap.host(refused)
        with tap.node.core:
            tap.tcp.connect(HOSTS, PORT, lambda: handler)
        tap.run_until(lambda: host.ended and handler.ended)
        assert host.result() == "refused"
        assert isinstance(handler.error, ConnectionRefusedError)
        assert tap.states() == {}


# --- many ------------------------------------------------------------------------------------------------------------

MANY = 500


class Echo(TcpHandler):
    def receive(self, data: Chain) -> None:
        self.send(data)


class Asks(Transfer):
    """Sends a text and compares what comes back. Odd ones close first, others wait for the host to do it."""

    def __init__(self, number: int) -> None:
        super().__init__(made_up(number, 3000))
        self.first = number % 2 == 1

    def go_on(self) -> None:
        self.send(self.data)

    def receive(self, data: Chain) -> None:
        super().receive(data)
        if self.length == len(self.data) and self.first:
            self.close()

    def peer_closed(self) -> None:
        self.close()


async def ask(number: int) -> bool:
    text = made_up(number, 3000)
    reader, writer = await asyncio.open_connection(OURS, PORT)
    writer.write(text)
    if number % 2:
        writer.write_eof()
        same = await reader.read() == text
    else:
        same = await reader.readexactly(len(text)) == text
    writer.close()
    await writer.wait_closed()
    return same


def ask_all() -> Counter[bool]:
    async def gathered() -> Counter[bool]:
        return Counter(await asyncio.wait_for(asyncio.gather(*map(ask, range(MANY))), 20))

    return asyncio.run(gathered())


def answer_all(server: socket.socket) -> int:
    """Echoes; closes after 3,000 bytes, or when the other side has closed."""
    done = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal done
        text = await reader.readexactly(3000)
        writer.write(text)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        done += 1

    async def serve() -> int:
        async with await asyncio.start_server(answer, sock=server, backlog=MANY), asyncio.timeout(20):
            while done < MANY:
                await asyncio.sleep(0.001)
        return done

    return asyncio.run(serve())


def test_500_connections_at_once_from_the_host() -> None:
    with tap_node() as tap:
        with tap.node.core:
            tap.tcp.listen(PORT, Echo)
        host = tap.host(ask_all)
        tap.run_until(lambda: host.ended and not tap.states().keys() - {"TIME_WAIT"})
        assert host.result() == Counter({True: MANY})
        counters = tap.tcp.counters()
        assert counters["accepts"] == MANY and counters["resets_out"] == counters["resets_in"] == 0


def test_500_connections_at_once_to_the_host() -> None:
    handlers = [Asks(number) for number in range(MANY)]
    with tap_node() as tap:
        with socket.create_server((HOSTS, PORT), backlog=MANY) as server:
            host = tap.host(answer_all, server)
        with tap.node.core:
            for handler in handlers:
                tap.tcp.connect(HOSTS, PORT, lambda handler=handler: handler)
        tap.run_until(lambda: host.ended and all(handler.ended for handler in handlers))
        assert host.result() == MANY
        assert [handler.error for handler in handlers if handler.error] == []
        assert all(handler.seen == digest(handler.data) for handler in handlers)
        assert tap.tcp.counters()["connects"] == MANY
