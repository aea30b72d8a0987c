"""UDP against the Linux kernel's, over a tap device: both roles, checksums, fragments, frames of many datagrams."""

import errno
import hashlib
import random
import socket
import time
from typing import Any

import pytest

from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.support.hosted import HOSTS, OURS, Host, TapNode, tap_node

pytestmark = pytest.mark.system

PORT = 5000
LENGTHS = (0, 1, 255, 256, 257, 1471, 1472, 1473, 4000, 20_000, 65_507)
OFFLOADS = pytest.mark.parametrize("offloads", [True, False])
UDP_SEGMENT = 103


def made_up(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def host_socket(port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.settimeout(10)
    made.bind((HOSTS, port))
    return made


class Echo(UdpHandler):
    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.reply(datagram)


class Asking(UdpHandler):
    """Sends the datagrams one after the other, each when the one before has come back."""

    def __init__(self) -> None:
        self.back: list[int] = []
        self.wrong = 0
        self.errors: list[OSError] = []

    def go_on(self) -> None:
        if len(self.back) < len(LENGTHS):
            self.send(made_up(LENGTHS[len(self.back)]))

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        data = bytes(datagram)
        self.wrong += data != made_up(LENGTHS[len(self.back)])
        self.back.append(len(data))
        self.go_on()

    def error(self, error: OSError, destination: Endpoint) -> None:
        self.errors.append(error)


def bind(node: TapNode, port: int, handler: UdpHandler, **options: Any) -> None:
    with node.node.core:
        node.node.udp.bind(port, handler, **options)


def ask() -> list[int]:
    with host_socket() as asking:
        asking.connect((OURS, PORT))
        back = []
        for length in LENGTHS:
            asking.send(made_up(length))
            assert asking.recv(65536) == made_up(length)
            back.append(length)
        return back


@pytest.mark.parametrize("io", ["rw", "uring"])
def test_more_datagrams_in_a_turn_than_a_ring_has_room_for_keep_their_order(io: str) -> None:
    with tap_node(io=io) as tap, host_socket(PORT) as theirs:
        handler = Asking()
        with tap.node.core:
            socket = tap.node.udp.connect(HOSTS, PORT, handler)
            handler.send(b"who has it?")
        tap.run_until(lambda: tap.node.network.counters()["arp_received"] > 0)
        assert theirs.recv(100) == b"who has it?"
        before = tap.node.counters()["tap-node"]
        with tap.node.core:
            tap.node.events.spawn(lambda: [socket.send(b"%d" % i) for i in range(1000)])
        tap.node.turn()
        assert [int(theirs.recv(100)) for _ in range(1000)] == list(range(1000))
        after = tap.node.counters()["tap-node"]
        assert after["tx_frames"] - before["tx_frames"] == 1000
        if io == "uring":
            assert after["submits"] - before["submits"] == 6, "192 at once"


def answer(count: int) -> None:
    with host_socket(PORT) as answering:
        for _ in range(count):
            data, source = answering.recvfrom(65536)
            answering.sendto(data, source)


def finished(node: TapNode, host: Host) -> Any:
    node.run_until(lambda: host.ended)
    return host.result()


@OFFLOADS
def test_the_kernel_asks(offloads: bool) -> None:
    """Datagrams of every length, the long ones in fragments both ways."""
    with tap_node(offloads=offloads) as node:
        bind(node, PORT, Echo())
        assert finished(node, node.host(ask)) == list(LENGTHS)


@OFFLOADS
def test_ours_asks(offloads: bool) -> None:
    with tap_node(offloads=offloads) as node:
        host = node.host(answer, len(LENGTHS))
        time.sleep(0.3)  # it is bound
        handler = Asking()
        with node.node.core:
            node.node.udp.connect(HOSTS, PORT, handler)
            handler.go_on()
        node.run_until(lambda: len(handler.back) == len(LENGTHS))
        assert handler.back == list(LENGTHS) and not handler.wrong
        finished(node, host)


def refused() -> str:
    with host_socket() as asking:
        asking.connect((OURS, 9))
        asking.send(b"is there anybody?")
        try:
            asking.recv(100)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    return "no error"


def test_port_unreachable_both_ways() -> None:
    with tap_node() as node:
        assert finished(node, node.host(refused)) == "ECONNREFUSED"
        handler = Asking()
        with node.node.core:
            node.node.udp.connect(HOSTS, 9, handler)
            handler.send(b"is there anybody?")
        node.run_until(lambda: bool(handler.errors))
        assert isinstance(handler.errors[0], ConnectionRefusedError)


def collect(length: int) -> tuple[list[int], str]:
    with host_socket(PORT) as receiving:
        sizes, seen, left = [], hashlib.sha256(), length
        while left:
            data = receiving.recv(65536)
            sizes.append(len(data))
            seen.update(data)
            left -= len(data)
        return sizes, seen.hexdigest()


@OFFLOADS
def test_segments_to_the_kernel(offloads: bool) -> None:
    data = made_up(60_000)
    with tap_node(offloads=offloads) as node:
        host = node.host(collect, len(data))
        time.sleep(0.3)
        handler = Asking()
        with node.node.core:
            node.node.udp.connect(HOSTS, PORT, handler)
            handler.send(b"")  # the neighbour's address is known afterwards
        node.run_until(lambda: not node.node.network.counters()["arp_requests_sent"] == 0)
        with node.node.core:
            assert handler.send(data, 1000) == 60
        sizes, seen = finished(node, host)
        assert [size for size in sizes if size] == [1000] * 60 and seen == hashlib.sha256(data).hexdigest()


def send_segments(data: bytes) -> None:
    with host_socket() as sending:
        sending.connect((OURS, PORT))
        sending.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        sending.send(data)


@OFFLOADS
def test_segments_from_the_kernel(offloads: bool) -> None:
    data = made_up(60_000)
    got: list[bytes] = []

    class Collect(UdpHandler):
        def receive(self, datagram: Chain, source: Endpoint) -> None:
            got.append(bytes(datagram))

    with tap_node(offloads=offloads) as node:
        bind(node, PORT, Collect())
        finished(node, node.host(send_segments, data))
        node.run_until(lambda: len(got) == 60)
        assert b"".join(got) == data and {len(one) for one in got} == {1000}


def hear_broadcast(destination: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hearing:
        hearing.settimeout(10)
        hearing.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        hearing.bind(("", PORT))
        hearing.sendto(b"from the kernel", (destination, PORT))
        while True:
            data, source = hearing.recvfrom(100)
            if source[0] == OURS:
                return data


def test_broadcasts_both_ways() -> None:
    class Reply(UdpHandler):
        def receive(self, datagram: Chain, source: Endpoint) -> None:
            assert source.broadcast and bytes(datagram) == b"from the kernel"
            self.send_to(b"from ours", "10.99.0.255", PORT)

    with tap_node() as node:
        bind(node, PORT, Reply(), broadcast=True)
        assert finished(node, node.host(hear_broadcast, "10.99.0.255")) == b"from ours"
