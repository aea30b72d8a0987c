"""Requests in datagrams are answered as by Debian's memcached, but for what is listed in datagrams.py."""

from collections.abc import Iterator

import pytest

from tests.memcached.cells import UDP
from tests.memcached.datagrams import (
    FENCE,
    FENCED,
    HEADER,
    KernelDatagrams,
    WireDatagrams,
    comparable,
    debian_and_ours,
    messages,
    sequence,
)
from tests.memcached.table import Table
from tests.support.appliances import BUILDS

pytestmark = pytest.mark.system
SEQUENCES = 2000
GETS = (b"get", b"gets", b"bget", b"gat", b"gats")


@pytest.fixture(params=BUILDS)
def peers(request: pytest.FixtureRequest, namespace: None) -> Iterator[tuple[KernelDatagrams, WireDatagrams]]:
    with debian_and_ours(request.param) as both:
        yield both


def asks_for_items(datagram: bytes) -> bool:
    """A line has several keys."""
    lines = [line.split() for line in datagram[HEADER.size :].split(b"\n")]
    return any(words and words[0] in GETS and len(words) > 2 + words[0].startswith(b"gat") for words in lines)


def test_generated_datagrams(peers: tuple[KernelDatagrams, WireDatagrams]) -> None:
    largest, table = 0, Table(UDP)
    for seed in range(1, SEQUENCES + 1):
        for datagram in sequence(seed):
            answers = [peer.ask(datagram) for peer in peers]
            expected, got = (comparable(answer, asks_for_items(datagram)) for answer in answers)
            assert got == expected, (seed, datagram)
            largest = max(largest, len(answers[0]))
            table.udp(datagram[HEADER.size :], b"".join(text for _, text in expected))
    assert largest > 4  # datagrams of an answer
    assert not table.untouched and not table.unlisted, f"{table.untouched} {table.unlisted}\n{table}"


def test_what_is_not_whole_in_its_datagram_is_dropped(peers: tuple[KernelDatagrams, WireDatagrams]) -> None:
    _, ours = peers
    for payload in (b"get a", b"set a 0 0 10\r\nab", b"set a 0 0 1\r\nx", b"ms a 5", b"x" * 3000):
        assert ours.ask(HEADER.pack(7, 0, 1, 0) + payload) == []
        assert ours.ask(FENCE) == [FENCED]
        assert messages(ours.ask(HEADER.pack(7, 0, 1, 0) + b"version\r\n" + payload)) == [(7, b"VERSION 1.6.18\r\n")]


def test_as_many_commands_are_done_as_in_a_turn(peers: tuple[KernelDatagrams, WireDatagrams]) -> None:
    _, ours = peers
    assert messages(ours.ask(HEADER.pack(7, 0, 1, 0) + b"mn\r\n" * 30)) == [(7, b"MN\r\n")] * 20
