"""Cursors read across views what is there, and say when it is not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor
from tests.support.pools import core_with_pool


def split_at(content: bytes, cuts: list[int]) -> Chain:
    """A chain of `content` with a view of its own between every two cuts."""
    whole = Chain()
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    for start, end in pairwise(edges):
        part = Chain()
        part.write(content[start:end])
        whole.append(part)
        part.clear()
    return whole


steps = st.lists(
    st.tuples(st.sampled_from(["read", "skip", "take", "find", "uint"]), st.integers(0, 40), st.integers(0, 255)),
    max_size=12,
)


@given(st.binary(max_size=100), st.lists(st.integers(0, 100), max_size=6), steps)
def test_reads_are_those_of_bytes(content, cuts, reads):
    with core_with_pool():
        chain = split_at(content, cuts)
        cursor = Cursor(chain)
        at = 0
        for what, length, byte in reads:
            assert (cursor.position, cursor.remaining()) == (at, len(content) - at)
            if what == "find":
                assert cursor.find(byte, length) == content[at : at + length].find(bytes([byte]))
                assert cursor.find(byte) == content[at:].find(bytes([byte]))
                continue
            if what == "uint":
                length = max(1, min(length, 8))
            if length > len(content) - at:
                with pytest.raises(EOFError):
                    getattr(cursor, "read_uint" if what == "uint" else what)(length)
                continue
            expected = content[at : at + length]
            at += length
            if what == "read":
                assert cursor.read(length) == expected
            elif what == "skip":
                cursor.skip(length)
            elif what == "take":
                assert bytes(cursor.take(length)) == expected
            else:
                assert cursor.read_uint(length) == int.from_bytes(expected, "big")
        assert bytes(chain) == content
        del cursor, chain


words = st.lists(st.binary(min_size=1, max_size=12).filter(lambda w: not set(w) & set(b" \r\n")), max_size=5)


@given(
    st.lists(st.tuples(words, st.sampled_from([b"\r\n", b"\n"]), st.integers(1, 3)), max_size=4),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_lines_and_tokens_are_those_of_split(lines, cuts):
    content = b"".join((b" " * spaces).join(tokens) + b" " * (spaces - 1) + end for tokens, end, spaces in lines)
    with core_with_pool():
        chain = split_at(content + b"unfinished", cuts)
        cursor = Cursor(chain)
        for tokens, _, _ in lines:
            assert cursor.line()
            for token in tokens:
                assert cursor.token() == token
            assert cursor.token() is None
            assert cursor.word() == 0
            assert cursor.number() == -1
            cursor.end_line()
        assert not cursor.line()
        assert cursor.remaining() == len(b"unfinished")
        del cursor, chain


def test_words_and_numbers():
    with core_with_pool():
        text = b"get 123 9223372036854775807 9223372036854775808 -1 12x flush_all  999999999999999999 00012\r\n"
        for cut in range(len(text)):
            chain = split_at(text, [cut])
            cursor = Cursor(chain)
            assert cursor.line()
            assert cursor.word() == int.from_bytes(b"get", "little")
            assert cursor.number() == 123
            assert cursor.number() == 2**63 - 1
            assert cursor.number() == -1
            assert cursor.number() == -1
            assert cursor.number() == -1
            assert cursor.word() == 0
            assert cursor.token() == b"flush_all"
            assert cursor.number() == 10**18 - 1
            assert cursor.number() == 12
            assert cursor.token_length == 5
            assert cursor.token() is None
            cursor.end_line()
            assert cursor.remaining() == 0
            del cursor, chain


def test_a_line_beyond_the_limit_is_no_line():
    with core_with_pool():
        chain = split_at(b"a" * 100 + b"\n", [50])
        cursor = Cursor(chain)
        assert not cursor.line(100)
        assert cursor.line(101)
        del cursor, chain


def test_only_as_much_of_a_line_as_wanted_may_be_read():
    with core_with_pool():
        chain = split_at(b"set k 0\r\nvalue", [3, 8, 9])
        cursor = Cursor(chain)
        assert cursor.line()
        assert cursor.token() == b"set"
        cursor.end_line()
        assert cursor.read(5) == b"value"
        with pytest.raises(TypeError):
            cursor.reset(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            cursor.read_uint(9)
        cursor.reset(chain)
        assert cursor.position == 0
        empty = Chain()
        cursor.reset(empty)
        assert not cursor.line() and cursor.find(10) == -1 and cursor.remaining() == 0
        del cursor, chain, empty
