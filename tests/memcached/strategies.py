"""What hypothesis draws: sequences of commands, good and bad, and where they are cut. One that is answered differently
shrinks to its least commands, words and cuts."""

import struct
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from tests.memcached import binary
from tests.memcached.generate import META_FLAGS

WRITTEN = b"mn\r\n"  # A number is written in place unless what is not yet written refers to it.
KEYS = (b"a", b"b", b"YmI=", b"k" * 250)  # base64, too

_keys = st.sampled_from(KEYS[:1] * 3 + KEYS)
_spaces = st.sampled_from((b" ", b"  ", b"   "))
_ends = st.sampled_from((b"\r\n", b"\n", b" \r\n"))
_largest = st.sampled_from((2**31, 2**32, 2**63, 2**64)).map(lambda number: number - 1)
_numbers = st.one_of(st.integers(0, 100), st.integers(-(2**65), 2**65), _largest).map(lambda number: b"%d" % number)
_printed = st.binary(min_size=1, max_size=12).map(lambda word: word.translate(None, b"\n\r\0 ") or b"w")
_words = st.one_of(_numbers, _printed)
_expires = st.sampled_from((b"0", b"-1", b"1000000", b"x"))
_sizes = st.sampled_from((0, 1, 2, 255, 256, 257, 1023, 1460, 4000, 9000))
_short = st.one_of(st.sampled_from((b"1", b"10", b"007", b"18446744073709551615")), st.binary(max_size=30))
_long = _sizes.map(lambda size: b"v" * size)
_wrong = st.sampled_from((0,) * 18 + (1, -1))
_noreply = st.sampled_from(([], [], [b"noreply"]))


@st.composite
def _line(draw: st.DrawFn, words: Sequence[bytes]) -> bytes:
    line = words[0]
    for word in words[1:]:
        line += draw(_spaces) + word
    return line + draw(_ends)


@st.composite
def _stores(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from((b"set", b"add", b"replace", b"append", b"prepend", b"cas")))
    if draw(st.booleans()):
        # Where the line is wrong the value is one, too: if it is longer, it matters whether its end came with it.
        value = draw(_short)
        words = [draw(st.sampled_from((b"0", b"5", b"4294967295", b"x"))), draw(_expires)]
        words += [b"%d" % max(0, len(value) + draw(_wrong))] + [draw(_numbers)] * (name == b"cas")
    else:
        value = draw(_long)
        words = [b"5", b"0", b"%d" % len(value)] + [b"7"] * (name == b"cas")
    return draw(_line([name, draw(_keys), *words, *draw(_noreply)])) + value + b"\r\n"


@st.composite
def _retrievals(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from((b"get", b"gets", b"gat", b"gats")))
    expires = [draw(_expires)] * name.startswith(b"gat")
    return draw(_line([name, *expires, *draw(st.lists(_keys, max_size=4))]))


@st.composite
def _arithmetic(draw: st.DrawFn) -> bytes:
    line = _line([draw(st.sampled_from((b"incr", b"decr"))), draw(_keys), draw(_numbers), *draw(_noreply)])
    return WRITTEN + draw(line)


@st.composite
def _others(draw: st.DrawFn) -> bytes:
    name, *arguments = draw(
        st.one_of(
            st.tuples(st.just(b"touch"), _keys, _expires),
            st.tuples(st.just(b"delete"), _keys),
            st.tuples(st.sampled_from((b"version", b"verbosity", b"mn", b"flush_all", b"me"))),
            st.tuples(_words, _words),
        )
    )
    return draw(_line([name, *arguments, *draw(_noreply)]))


@st.composite
def _metas(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(("mg", "ms", "md", "ma")))
    value = draw(_short)
    length = [b"%d" % max(0, len(value) + draw(_wrong))] * (name == "ms")
    opaques = st.binary(max_size=4).map(lambda word: b"O" + word.hex().encode())
    flags = st.one_of(st.sampled_from(META_FLAGS[name]), opaques)
    line = draw(_line([name.encode(), draw(_keys), *length, *draw(st.lists(flags, max_size=6))]))
    return WRITTEN * (name == "ma") + line + (value + b"\r\n" if name == "ms" else b"")


COMMANDS = st.lists(st.one_of(_stores(), _retrievals(), _arithmetic(), _others(), _metas()), min_size=1, max_size=12)


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    """None that makes a number shorter, as above, and none that is malformed: what it was sent with matters there."""
    opcode = draw(
        st.sampled_from(binary.STORES + binary.JOINS + (0x05, 0x15) + binary.TOUCHES + binary.LOOKS + binary.DELETES)
    )
    extras = value = b""
    if opcode in binary.STORES:
        extras = struct.pack(">II", draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from((0, 1000000))))
    elif opcode in (0x05, 0x15):
        expires = draw(st.sampled_from((0, 1000000, 0xFFFFFFFF)))
        extras = struct.pack(">QQI", draw(st.integers(0, 2**60)), draw(st.integers(0, 2**60)), expires)
    elif opcode in binary.TOUCHES:
        extras = struct.pack(">I", draw(st.sampled_from((0, 1000000))))
    if opcode in binary.STORES + binary.JOINS:
        value = draw(st.one_of(st.binary(max_size=30), st.just(b"1"), _long))
    unique = draw(st.sampled_from((0, 0, 0, 1, 2**64 - 1)))
    return binary.request(opcode, draw(_keys), extras, value, unique, draw(st.integers(0, 2**32 - 1)))


REQUESTS = st.lists(_requests(), min_size=1, max_size=12)
CUTS = st.lists(st.integers(0, 2000), max_size=6)


def cut(script: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({place % len(script) for place in cuts} | {0}) + [len(script)]
    return [script[begin:end] for begin, end in pairwise(places)]
