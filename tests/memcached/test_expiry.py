"""What expires, is flushed or to be made anew, before and after some seconds, which pass on ours' clock only."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from bench.debian import NotFetched, fetched
from netapp.node.simulation import SECOND
from tests.memcached import expiry
from tests.memcached.binary import NOOP, request
from tests.memcached.compare import Ask, comparable
from tests.memcached.debian import debian
from tests.memcached.expiry import WAIT, Parts
from tests.memcached.peers import KernelPeer, WirePeer
from tests.memcached.table import fence_reply, fenced
from tests.support.appliances import BUILDS, appliance, served
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system
Replies = list[list[tuple[bytes, bytes]]]  # of each part

SERVERS: list[tuple[list[Parts], list[Parts]]] = [
    (expiry.SCRIPTS, expiry.BINARY),
    *(([script], []) for script in expiry.FLUSHES),
    *(([], [script]) for script in expiry.BINARY_FLUSHES),
]


class Asked:
    """A server, asked the parts of its scripts one after the other."""

    def __init__(self, text: Ask, other: Ask, scripts: tuple[list[Parts], list[Parts]]) -> None:
        self.text, self.other, self.scripts = text, other, scripts
        self.now = int(text(b"stats\r\n", b"END\r\n").split(b"STAT time ")[1].split(b"\r")[0])

    def part(self, number: int) -> list[tuple[bytes, bytes]]:
        """Each command, and what it was answered."""
        text, other = ([command for parts in scripts for command in parts[number]] for scripts in self.scripts)
        found = []
        for command in text:
            sent = re.sub(rb"@(-?\d+)", lambda match: b"%d" % (self.now + int(match[1])), command)
            found.append((command, comparable(self.text(fenced([sent]), fence_reply(0)))))
        for command in other:
            fence = request(NOOP, opaque=0xFFFFFFFF)
            found.append((command, self.other(command + fence, b"\x81\x0a" + fence[2:])))
        return found


@contextmanager
def connected(peer: KernelPeer | WirePeer, scripts: tuple[list[Parts], list[Parts]]) -> Iterator[Asked]:
    with peer.connection() as text, peer.connection() as other:
        yield Asked(text, other, scripts)


@pytest.fixture(scope="module")
def expected() -> list[Replies]:
    """Of each of the servers: the seconds are waited for once."""
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))
    with network_namespace(), ExitStack() as stack:
        peers = [KernelPeer(stack.enter_context(debian(11311 + number))) for number in range(len(SERVERS))]
        asked = [stack.enter_context(connected(*each)) for each in zip(peers, SERVERS, strict=True)]
        first = [each.part(0) for each in asked]
        time.sleep(WAIT)
        return [[before, each.part(1)] for before, each in zip(first, asked, strict=True)]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("server", range(len(SERVERS)))
def test_before_and_after_some_seconds(build: str, server: int, expected: list[Replies]) -> None:
    with served(appliance("memcached", build)) as running, connected(WirePeer(running), SERVERS[server]) as ours:
        for number in range(2):
            got = ours.part(number)
            for theirs, reply in zip(expected[server][number], got, strict=True):
                assert reply == theirs, ("before", "after")[number]
            running.simulation.advance(WAIT * SECOND)
