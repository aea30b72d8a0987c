"""Requests in datagrams are answered as by Debian's memcached, but for what is listed in datagrams.py."""

from collections.abc import Iterator

import pytest

from tests.memcached.cells import UDP
from tests.memcached.datagrams import (
    FENCE,
    FENCED,
    GENERATED,
    HEADER,
    PAYLOAD,
    KernelDatagrams,
    WireDatagrams,
    compared,
    debian_and_ours,
    messages,
)
from tests.memcached.table import Table
from tests.support.appliances import BUILDS

pytestmark = pytest.mark.system


@pytest.fixture(params=BUILDS)
def peers(request: pytest.FixtureRequest, namespace: None) -> Iterator[tuple[KernelDatagrams, WireDatagrams]]:
    with debian_and_ours(request.param) as both:
        yield both


def test_generated_datagrams(peers: tuple[KernelDatagrams, WireDatagrams]) -> None:
    table, longest = Table(UDP), 0
    for datagram, expected, got in compared(peers, table, range(1, GENERATED + 1)):
        assert got == expected, datagram
        longest = max(longest, *(len(text) for _, text in got), 0)
    assert longest > 4 * PAYLOAD  # an answer in several datagrams
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
