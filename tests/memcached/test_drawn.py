"""Sequences that hypothesis draws, cut at drawn places, are answered as by Debian's memcached; a difference shrinks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import HealthCheck, given, settings

from tests.memcached import binary
from tests.memcached.compare import comparable
from tests.memcached.debian import NO_MOVES
from tests.memcached.peers import KernelPeer, WirePeer
from tests.memcached.runs import Start
from tests.memcached.strategies import COMMANDS, CUTS, KEYS, REQUESTS, WRITTEN, cut

pytestmark = pytest.mark.system
# The same ones in every run; more of them: --hypothesis-profile does not change what is said here.
DRAWN = settings(derandomize=True, max_examples=350, suppress_health_check=list(HealthCheck))
CLEAN = b"".join(b"delete %b noreply\r\n" % key for key in KEYS) + b"delete bb noreply\r\n" + WRITTEN


class Pair:
    """Servers that are made anew when they answered differently, as they hold different items then."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.stack = ExitStack()
        self.restart()

    def restart(self) -> None:
        self.stack.close()
        self.peers: tuple[KernelPeer, WirePeer] = self.stack.enter_context(self.start((), NO_MOVES))  # type: ignore[assignment]

    def compare(self, script: bytes, pieces: list[bytes]) -> None:
        expected, got = self.peers
        assert expected.ask(CLEAN) == got.ask(CLEAN) == b"MN\r\n"
        replies = comparable(expected.ask(script)), comparable(got.ask(*pieces))
        if replies[0] != replies[1]:
            self.restart()
        assert replies[1] == replies[0], pieces


@contextmanager
def pair(start: Start) -> Iterator[Pair]:
    made = Pair(start)
    try:
        yield made
    finally:
        made.stack.close()


def test_commands(start: Start) -> None:
    with pair(start) as servers:

        @DRAWN
        @given(COMMANDS, CUTS)
        def drawn(commands: list[bytes], cuts: list[int]) -> None:
            script = WRITTEN + b"".join(commands) + WRITTEN
            servers.compare(script, cut(script, cuts))

        drawn()


def test_requests(start: Start) -> None:
    with pair(start) as servers:

        @DRAWN
        @given(REQUESTS, CUTS)
        def drawn(requests: list[bytes], cuts: list[int]) -> None:
            script = b"".join(requests) + binary.request(binary.NOOP)
            servers.compare(script, cut(script, cuts))

        drawn()
