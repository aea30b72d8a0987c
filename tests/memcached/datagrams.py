"""Requests in UDP datagrams, and what comes back, by the kernel's sockets or on the memory wire."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from random import Random
from typing import Protocol

from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.memcached import compare, generate
from tests.memcached.debian import NO_MOVES, debian
from tests.memcached.table import Table
from tests.support.appliances import SERVER, Served, appliance, served

HEADER = struct.Struct(">HHHH")  # request id, number of the datagram, how many there are, reserved
MOST = 20  # commands in a datagram that ours does at once, unless -R says otherwise
FENCE_ID = 0x8000
FENCE = HEADER.pack(FENCE_ID, 0, 1, 0) + b"mn\r\n"
FENCED = HEADER.pack(FENCE_ID, 0, 1, 0) + b"MN\r\n"
PAYLOAD = 1392
Answer = list[bytes]
GENERATED = 2000  # sequences
_GETS = (b"get", b"gets", b"bget", b"gat", b"gats")

DEVIATIONS = (
    "a command that is not whole in its datagram is dropped; 1.6 completes it from whatever comes next, of any client",
    "all that a command answers is one message, as protocol.txt says; 1.6 numbers each item's datagrams by themselves,"
    " and the first item that it does not find is no message",
    "quit ends its datagram; 1.6 answers it with no message, the first of none, and from then on loses others' answers",
    "of a datagram as many commands are done as -R says; 1.6 goes on with the others in its next turn",
)
"""What ours does on purpose: for the second comparable() is lenient, the others are not generated."""


def sequence(seed: int) -> list[bytes]:
    """Datagrams, most of them good."""
    random = Random(seed)
    large = b"%dlarge" % seed
    values = [b"set %b 0 0 1300\r\n%b\r\n" % (large, b"v" * 1300)]
    values += [b"append %b 0 0 1300\r\n%b\r\n" % (large, b"w" * 1300)] * random.choice((0, 0, 1, 3))
    rest = [
        command
        for command in generate.sequence(seed, long_keys=False)
        if command.strip() and not command.startswith(b"quit")
    ]
    rest += [b"get %b\r\n" % large, b"mg %b s v k\r\n" % large, b"get %b none %b\r\n" % (large, large)]
    made = values[: random.randrange(len(values) + 1)]
    while rest:
        count = random.choice((1, 1, 1, 2, 3, 5))
        # A value that is longer than it says ends in the datagram, with what completes it.
        made.append(b"".join(rest[:count]) + b"version\r\n" * (count > 1 or rest[0].count(b"\n") > 1))
        del rest[:count]
    headers = [
        HEADER.pack(
            random.randrange(FENCE_ID),
            random.choice((0,) * 9 + (1,)),
            random.choice((1,) * 19 + (0, 2)),
            random.choice((0,) * 9 + (7,)),
        )
        for _ in made
    ]
    datagrams = [header + payload for header, payload in zip(headers, made, strict=True)]
    if random.random() < 0.1:
        datagrams.insert(random.randrange(len(made)), random.choice((b"", b"get", HEADER.pack(7, 0, 1, 0))))
    return datagrams


def messages(answer: Answer) -> list[tuple[int, bytes]]:
    """With their request's ids. AssertionError: the datagrams' numbers are wrong, or their sizes."""
    found: list[tuple[int, bytes]] = []
    rest = list(answer)
    while rest:
        request, _, total, _ = HEADER.unpack_from(rest[0])
        pieces, rest = rest[: total or 1], rest[total or 1 :]
        heads = [HEADER.unpack_from(piece) for piece in pieces]
        assert heads == [(request, i, total, 0) for i in range(total or 1)], heads
        assert all(len(piece) == PAYLOAD + HEADER.size for piece in pieces[:-1])
        found.append((request, b"".join(piece[HEADER.size :] for piece in pieces)))
    return found


def comparable(answer: Answer, of_items: bool) -> list[tuple[int, bytes]]:
    """`of_items`: a command asks for several items, which 1.6 answers in several messages."""
    found = [(request, compare.comparable(text)) for request, text in messages(answer)]
    if not of_items:
        return found
    return [(key, b"".join(text for _, text in group)) for key, group in groupby(found, key=lambda message: message[0])]


class KernelDatagrams:
    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.settimeout(20)
        self.socket.connect((host, port))

    def ask(self, datagram: bytes) -> Answer:
        """One thread serves: what answers the fence has answered all before."""
        self.socket.send(datagram)
        self.socket.send(FENCE)
        answer = []
        while (received := self.socket.recv(1 << 16)) != FENCED:
            answer.append(received)
        return answer

    def close(self) -> None:
        self.socket.close()


class _Asking(UdpHandler):
    def __init__(self) -> None:
        self.received: list[bytes] = []

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.received.append(bytes(datagram))


class WireDatagrams:
    def __init__(self, running: Served) -> None:
        self.running = running
        self.handler = _Asking()
        with running.client.core:
            running.client.udp.connect(SERVER, running.port, self.handler)

    def ask(self, datagram: bytes) -> Answer:
        before = len(self.handler.received)
        with self.running.client.core:
            self.handler.send(datagram)
        self.running.simulation.settle()
        return self.handler.received[before:]

    def close(self) -> None:
        with self.running.client.core:
            self.handler.close()


def _asks_for_items(datagram: bytes) -> bool:
    """A line has several keys."""
    lines = [line.split() for line in datagram[HEADER.size :].split(b"\n")]
    return any(words and words[0] in _GETS and len(words) > 2 + words[0].startswith(b"gat") for words in lines)


class Datagrams(Protocol):
    def ask(self, datagram: bytes) -> Answer: ...


Messages = list[tuple[int, bytes]]


def compared(
    peers: tuple[Datagrams, Datagrams], table: Table, seeds: range
) -> Iterator[tuple[bytes, Messages, Messages]]:
    """Each datagram of these seeds' sequences, what the first server answers and what the second. The table gets what
    was reached."""
    for seed in seeds:
        for datagram in sequence(seed):
            of_items = _asks_for_items(datagram)
            expected, got = (comparable(peer.ask(datagram), of_items) for peer in peers)
            table.udp(datagram[HEADER.size :], b"".join(text for _, text in expected))
            yield datagram, expected, got


@contextmanager
def debian_and_ours(build: str) -> Iterator[tuple[KernelDatagrams, WireDatagrams]]:
    with (
        debian(11311, "-U", "11311", "-t", "1", *NO_MOVES) as port,
        served(appliance("memcached", build), ("-U", "11211")) as running,
    ):
        theirs, ours = KernelDatagrams(port), WireDatagrams(running)
        try:
            yield theirs, ours
        finally:
            theirs.close()
            ours.close()
