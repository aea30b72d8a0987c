"""What Debian's memcached and ours are asked, wherever ours runs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from tests.everywhere.servers import Both
from tests.memcached import binary, generate
from tests.memcached.binary_scripts import BINARY_SCRIPTS
from tests.memcached.cells import UDP
from tests.memcached.compare import comparable
from tests.memcached.datagrams import compared
from tests.memcached.runs import Run, differences_in
from tests.memcached.scripts import TEXT_SCRIPTS
from tests.memcached.table import Table, fenced


def all_written_by_hand(both: Both) -> None:
    _alike(both, Run((), TEXT_SCRIPTS, BINARY_SCRIPTS))


def generated(both: Both, seeds: Iterable[int]) -> None:
    """Text, meta and binary."""
    seeds = list(seeds)
    _alike(both, Run((), [generate.sequence(seed) for seed in seeds], [binary.sequence(seed) for seed in seeds]))


def _alike(both: Both, run: Run) -> None:
    for commands, expected, got in differences_in(run, both.peers, Table()):
        assert got == expected, commands


def datagrams(both: Both, seeds: range) -> None:
    for datagram, expected, got in compared(both.datagrams, Table(UDP), seeds):
        assert got == expected, datagram


def large_values(both: Both, sizes: Iterable[int] = (1_000_000,)) -> None:
    """In many segments both ways, as large as the offloads allow, of which none is like another."""
    for size in sizes:
        value = b"".join(b"%06x" % i for i in range(size // 6 + 1))[:size]
        script = [b"set large 0 0 %d\r\n%b\r\n" % (size, value), b"get large\r\n", b"append large 0 0 3\r\nend\r\n"]
        script += [b"mg large v s k\r\n", b"delete large\r\n"]
        expected, got = (comparable(peer.ask(fenced(script))) for peer in both.peers)
        assert got == expected and len(got) > 2 * size


def many_connections(both: Both, count: int = 40) -> None:
    """All open at once."""
    replies = []
    for peer in both.peers:
        with ExitStack() as stack:
            asks = [stack.enter_context(peer.connection()) for _ in range(count)]
            got = [ask(b"ms many%d 4\r\n%04d\r\n" % (i, i), b"\r\n") for i, ask in enumerate(asks)]
            got += [
                ask(b"mg many%d v\r\n" % (count - 1 - i), b"\r\n%04d\r\n" % (count - 1 - i))
                for i, ask in enumerate(asks)
            ]
            replies.append(got)
    assert replies[0] == replies[1] and replies[0][-1] == b"VA 4\r\n0000\r\n"
