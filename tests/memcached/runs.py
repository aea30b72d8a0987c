"""What servers with which options are asked: hand-written and generated, text and binary."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.memcached import binary, generate
from tests.memcached.binary_scripts import BINARY_SCRIPTS, DELTA, FIRST_BINARY, NOOP, ask
from tests.memcached.compare import Peer, comparable
from tests.memcached.scripts import FIRST_TEXT, TEXT_SCRIPTS
from tests.memcached.table import Table, fenced

LARGE = b"v" * 3000


@dataclass(frozen=True)
class Run:
    options: tuple[str, ...] = ()
    text: Sequence[Sequence[bytes]] = ()
    binary: Sequence[Sequence[bytes]] = ()
    first: Sequence[bytes] = ()
    """Sent before, to be answered with nothing."""


# Until nothing fits, and each of memcached's classes of sizes that is used here is full. Ours has one memory for all
# sizes: what is appended fills its rest, down to the smallest step from one slot to the next larger one. The number
# needs a larger slot when it has 20 digits, and in memcached an item of the next class.
_NUMBER = b"n" * 30
_FILL = [
    b"set %b 0 0 1\r\n9\r\nset m 0 0 1\r\n9\r\nget %b\r\n" % (_NUMBER, _NUMBER) * 2,
    b"".join(b"set q%02d 0 0 1 noreply\r\n9\r\n" % number for number in range(20)),
    b"".join(b"set m%05d 0 0 600 noreply\r\n%b\r\n" % (number, b"m" * 600) for number in range(14_000)),
    b"".join(b"set l%05d 0 0 3000 noreply\r\n%b\r\n" % (number, LARGE) for number in range(400)),
    b"".join(b"set s%05d 0 0 1 noreply\r\n9\r\n" % number for number in range(12_000)),
    b"".join(b"set c%05d 0 0 40 noreply\r\n%b\r\n" % (number, b"c" * 40) for number in range(10_000)),
    b"append m 0 0 1 noreply\r\nx\r\n" * 1000,
    b"".join(b"append q%02d 0 0 1 noreply\r\nx\r\n" % number * 60 for number in range(20)),
]
_STORES = [
    b"%b %b 0 0 3000%b\r\n%b\r\n" % (name, key, unique, LARGE)
    for name, key, unique in (
        *((b"set", b"new", b""), (b"add", b"new", b""), (b"replace", b"m00001", b""), (b"cas", _NUMBER, b" 3")),
        *((b"append", b"m00001", b""), (b"prepend", b"m00001", b"")),
    )
]
_FULL = [
    b"set %b 0 0 1\r\n9\r\n" % _NUMBER,
    *_STORES,
    b"ms new 3000\r\n%b\r\n" % LARGE,
    b"ma new N0\r\n",
    *(command % _NUMBER for command in (b"incr %b 18446744073709551000\r\n", b"ma %b D18446744073709551000\r\n")),
    b"get %b\r\n" % _NUMBER,
]
_FULL += [b"get m00001\r\n", b"set m00002 0 0 3000\r\n%b\r\n" % LARGE, b"get m00002\r\n"]
_BINARY_STORES = [
    *((verb, b"new") for verb in (1, 2, 0x11, 0x12)),
    *((verb, b"m00003") for verb in (3, 0x0E, 0x0F, 0x13, 0x19, 0x1A)),
]
_REPORTS = [b"stats%b\r\n" % name for name in (b"", b" settings", b" items", b" slabs", b" sizes", b" conns")]
RUNS = (
    Run((), TEXT_SCRIPTS, BINARY_SCRIPTS),
    Run((), FIRST_TEXT),
    Run((), (), FIRST_BINARY),
    Run(("-X",), [[*_REPORTS, b"set a 0 0 1\r\nx\r\n", *_REPORTS, b"stats cachedump 1 0\r\n"]]),
    Run(("-A",), [[b"shutdown x\r\n"], [b"shutdown\r\n"]]),
    Run(("-A",), [[b"shutdown graceful\r\n"]]),
    Run(
        ("-F",),
        [[b"set a 0 0 1\r\nx\r\n", b"flush_all\r\n", b"flush_all 0\r\n", b"flush_all noreply\r\n", b"get a\r\n"]],
        [[ask(8), ask(0x18), ask(NOOP)]],
    ),
    Run(
        ("-M", "-m", "8"),
        [_FULL],
        [
            [
                *(ask(verb, b"new", extras=DELTA, unique=unique) for verb in (5, 6, 0x15, 0x16) for unique in (0, 1)),
                ask(5, _NUMBER, extras=struct.pack(">QQI", 18446744073709551000, 0, 0xFFFFFFFF)),
                *(ask(verb, key, LARGE) for verb, key in _BINARY_STORES),
                *(ask(verb, _NUMBER, LARGE, unique=3) for verb, _ in reversed(_BINARY_STORES)),
                *(ask(0, _NUMBER), ask(0, b"m00003")),
                ask(NOOP),
            ]
        ],
        _FILL,
    ),
)
GENERATED = 2000  # sequences of either kind, after the scripts

Start = Callable[..., AbstractContextManager[tuple[Peer, Peer]]]
Difference = tuple[Sequence[bytes], bytes, bytes]


def differences(start: Start, table: Table, seeds: Iterable[int] = range(1, GENERATED + 1)) -> Iterator[Difference]:
    """What two servers that `start` starts for some options answer differently, and what the first should: every run,
    and the generated sequences of these seeds, each request fenced. The table gets what was reached."""
    for run in RUNS:
        with start(run.options) as peers:
            yield from differences_in(run, peers, table)
            if run is RUNS[0]:
                sequences = [generate.sequence(seed) for seed in seeds], [binary.sequence(seed) for seed in seeds]
                yield from differences_in(Run((), *sequences), peers, table)


def differences_in(run: Run, peers: tuple[Peer, Peer], table: Table) -> Iterator[Difference]:
    for script in run.first:
        for peer in peers:
            peer.ask(script)
    for count, scripts in ((table.binary, run.binary), (table.text, run.text)):
        for commands in scripts:
            script = fenced(commands) if count == table.text else b"".join(commands)
            expected, got = (comparable(peer.ask(script)) for peer in peers)
            count(commands, expected)
            if expected != got:
                yield commands, expected, got
