"""Statistics have memcached's names in its order, and its values after the same commands, but for a named list."""

from collections.abc import Sequence

import pytest

from tests.memcached import binary
from tests.memcached.compare import Ask, Peer, comparable
from tests.memcached.debian import NO_MOVES
from tests.memcached.runs import Start
from tests.memcached.table import fence_reply, fenced

pytestmark = pytest.mark.system

REPORTS = (b"", b" settings", b" items", b" slabs", b" sizes", b" conns")
X = b"x" * 2_000_000
# Numbers are of items that are seldom read: memcached's thread refers to one that it is to move, so it is made anew.
COUNTED = rb"""
set a 0 0 1|1
get a
get a a zz
gets a
get zz
gat 0 g
set g 0 0 1|1
gat 0 g
touch zz 0
touch a 0
set n 0 0 1|1
incr n 1
incr n 10
incr zz 1
decr n 1
decr zz 1
set b 0 0 3|abc
incr b 1
add b 0 0 3|abc
add b2 0 0 3|abc
append b 0 0 3|abc
append zz 0 0 3|abc
prepend b 0 0 3|abc
replace b 0 0 3|abc
replace zz 0 0 3|abc
cas zz 0 0 3 1|abc
cas b 0 0 3 1|abc
set u 0 0 1|u
set b 0 0 3|abcd
set b 0 0 2000000|X
add zz 0 0 2000000|X
mg a v
mg a
mg a T0
mg zz
mg zz T0
mg nv N0
mg nv
ms c 1|b
ms c 1 C1|b
ms c 2 MA|bc
ms c 2 MR|bc
ms c 2 ME|bc
ms zz 2 MP|bc
md c I
md c C5
md c
md c
ma n
ma n MD
ma zz
ma zn N0
ma b
me a
me zz1
mn
delete a
delete a
verbosity 1
version
nonsense
set a|set a 0 0 x
set l 0 0 3000|LLL
set m 0 0 300000|MMM
get l m
stats reset
get l
set k 5 0 10|0123456789
""".strip()
# Who finds an item that is gone, a thread or a command, is not known where memcached has those threads. Without them
# it looks for one at the end of the LRU whenever it stores.
GONE = rb"""
set e 0 -1 1|1
get e
set e 0 -1 1|1
mg e v
set e 0 -1 1|1
touch e 0
set f 0 0 1|1
flush_all
get f
get e
""".strip()


def commands(lines: bytes) -> list[bytes]:
    lines = lines.replace(b"LLL", b"l" * 3000).replace(b"MMM", b"m" * 300_000).replace(b"X", X)
    return [line.replace(b"|", b"\r\n") + b"\r\n" for line in lines.split(b"\n")]


def report(ask: Ask, name: bytes) -> list[bytes]:
    return comparable(ask(fenced([b"stats%b\r\n" % name]), fence_reply(0))).split(b"\r\n")


def test_each_command_counts_what_it_counts_in_memcached(start: Start) -> None:
    _count(start, COUNTED, REPORTS)


def test_items_that_are_gone_are_counted(start: Start) -> None:
    _count(start, GONE, [name for name in REPORTS if name != b" settings"], NO_MOVES)


def _count(start: Start, lines: bytes, reports: Sequence[bytes], debians: tuple[str, ...] = ()) -> None:
    with (
        start(("-X", "-o", "no_lru_crawler"), debians) as (expected, got),
        expected.connection() as theirs,
        got.connection() as ours,
    ):
        for command in [b"", *commands(lines)]:
            replies = [ask(fenced([command]), fence_reply(0)) for ask in (theirs, ours)]
            assert replies[0] == replies[1], command[:60]
            for name in reports:
                answers = [report(ask, name) for ask in (theirs, ours)]
                if debians:
                    answers = [[line for line in answer if _named(line, answers)] for answer in answers]
                assert answers[0] == answers[1], command[:60]


def _named(line: bytes, answers: list[list[bytes]]) -> bool:
    """In all: without its threads, memcached has no statistics of them."""
    name = line.split(b" ")[:2]
    return all(any(other.split(b" ")[:2] == name for other in answer) for answer in answers)


SETTINGS = (
    ("-M", "-C", "-F", "-A", "-X"),
    ("-X", "-m", "100", "-c", "50", "-R", "5", "-I", "2m", "-b", "77"),
    ("-X", "-B", "ascii", "-v"),
    ("-X", "-o", "idle_timeout=20,lru_crawler_sleep=7,lru_crawler_tocrawl=9"),
    ("-X", "-o", "hot_lru_pct=30,warm_lru_pct=20,no_lru_crawler"),
)


@pytest.mark.parametrize("options", SETTINGS, ids=" ".join)
def test_options_are_told_of_in_the_settings(start: Start, options: tuple[str, ...]) -> None:
    with start(options) as (expected, got), expected.connection() as theirs, got.connection() as ours:
        for name in (b"", b" settings"):
            assert report(ours, name) == report(theirs, name)


def test_binary_requests_get_the_same_names(start: Start) -> None:
    with start(()) as peers:
        _ask_for_names(*peers)


def _ask_for_names(expected: Peer, got: Peer) -> None:
    for peer in (expected, got):
        assert peer.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
    for name in (b"", b"settings", b"items", b"slabs", b"sizes", b"reset", b"nonsense"):
        script = binary.request(0x10, name, opaque=7) + binary.request(binary.NOOP)
        assert _names(got.ask(script)) == _names(expected.ask(script)), name


def _names(reply: bytes) -> list[tuple[bytes, bytes]]:
    """Of each answer, with the first bytes of its header."""
    found = []
    while reply:
        end = 24 + int.from_bytes(reply[8:12])
        found.append((reply[:8] if not reply[3] else reply[:4], reply[24 : 24 + int.from_bytes(reply[2:4])]))
        reply = reply[end:]
    return found
