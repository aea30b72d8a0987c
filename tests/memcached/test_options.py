"""With options, ours answers as Debian's memcached with the same ones."""

from contextlib import ExitStack

import pytest

from tests.memcached import binary, generate
from tests.memcached.binary_scripts import BINARY_SCRIPTS
from tests.memcached.compare import Peer, differ
from tests.memcached.runs import Start
from tests.memcached.scripts import TEXT_SCRIPTS
from tests.memcached.table import fenced

pytestmark = pytest.mark.system

OPTIONS = (
    ("-M",),
    ("-I", "2m"),
    ("-I", "512k"),
    ("-C",),
    ("-F",),
    ("-R", "1"),
    ("-R", "7"),
    ("-B", "ascii"),
    ("-B", "binary"),
    ("-c", "40"),
    ("-m", "8"),
    ("-F", "-M", "-C", "-R", "3"),
)
SEEDS, BINARY_SEEDS = range(50_001, 50_201), range(60_001, 60_201)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_same_scripts(start: Start, options: tuple[str, ...]) -> None:
    with start(options) as peers:
        for commands in TEXT_SCRIPTS:
            script = [command for command in commands if flushes_as_in(options, command)]
            assert differ(*peers, [fenced(script)]) is None, script
        for seed in SEEDS:
            script = [command for command in generate.sequence(seed) if flushes_as_in(options, command)]
            assert differ(*peers, script) is None, (seed, script)
        for number, requests in enumerate([*BINARY_SCRIPTS, *map(binary.sequence, BINARY_SEEDS)]):
            if closes_as_in(options):
                script = [request for request in requests if "-C" not in options or request[1] not in binary.FLUSHES]
                assert differ(*peers, script) is None, (number, script)


def flushes_as_in(options: tuple[str, ...], command: bytes) -> bool:
    """Without uniques what comes in the same second as a flush is flushed, too: that second ends by the clock."""
    return "-C" not in options or b"flush_all" not in command


def closes_as_in(options: tuple[str, ...]) -> bool:
    """What was answered before it is closed is written more often, or nothing is a request."""
    return options not in (("-R", "1"), ("-B", "ascii"))


@pytest.mark.parametrize("largest", ["512k", "1m", "2m"])
def test_the_largest_item(start: Start, largest: str) -> None:
    """What memcached keeps beside a key and a value counts. One command after the other: nobody reads while they send
    so much."""
    limit = {"512k": 1 << 19, "1m": 1 << 20, "2m": 1 << 21}[largest]
    with start(("-I", largest)) as peers:
        for size in (1, limit // 2 - 20, limit // 2, *range(limit - 70, limit - 40), limit, 2 * limit):
            value = b"v" * size
            for command in (
                b"set a 0 0 %d\r\n%b\r\n" % (size, value),
                b"ms a %d F7\r\n%b\r\n" % (size, value),
                binary.request(1, b"a", bytes(8), value),
                b"mg a s\r\n",
                b"append a 0 0 %d\r\n%b\r\n" % (min(size, 20), value[:20]),
                b"ms a %d MP\r\n%b\r\n" % (size, value),
                b"mg a s\r\n",
            ):
                assert differ(*peers, [command]) is None, (size, command[:40])


def test_evictions(start: Start) -> None:
    """Which items are left is not compared."""
    stores = [
        b"set k%d 0 0 %d\r\n%b\r\n" % (number, 900 + number % 300, b"v" * (900 + number % 300))
        for number in range(20_000)
    ]
    with start(("-m", "8")) as peers:
        for first in range(0, len(stores), 500):
            assert differ(*peers, stores[first : first + 500]) is None
        assert differ(*peers, [b"get k19999\r\n", b"incr k19999 1\r\n", b"append k19999 0 0 2\r\nzz\r\n"]) is None
        for peer in peers:
            assert peer.ask(b"get k0\r\n") == b"END\r\n"


DEBIANS_OWN = 24  # files, which its -c counts, too, and its threads'


def test_connections_beyond_the_limit(start: Start) -> None:
    with start(("-c", "10"), ("-c", str(10 + DEBIANS_OWN))) as peers:
        answers = [_connections(peer) for peer in peers]
    assert answers[1] == answers[0]
    assert len(set(answers[0])) == 2


def _connections(peer: Peer) -> list[bytes]:
    with ExitStack() as stack:
        return [stack.enter_context(peer.connection())(b"version\r\n", b"\r\n") for _ in range(13)]
