"""The internet checksum against a naive model."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from netapp.iobuf.chain import Chain
from netapp.wire.checksum import checksum
from tests.support.pools import core_with_pool


def naive(data: bytes) -> int:
    """RFC 1071, 1: word by word."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# Long runs of ones make every carry happen.
contents = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 5000).map(lambda n: b"\xff" * n),
    st.tuples(st.binary(max_size=70), st.integers(0, 100)).map(lambda t: t[0] * t[1]),
)


@given(contents)
def test_bytes(data: bytes) -> None:
    assert checksum(data) == naive(data)


@given(contents, st.data())
def test_chain_split_anywhere(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    offset = draw.draw(st.integers(0, len(data)))
    with core_with_pool():
        chain = Chain()
        for start, end in pairwise([0, *cuts, len(data)]):
            chain.append(data[start:end])
        assert checksum(chain, offset) == naive(data[offset:])
        del chain


@given(st.binary(min_size=2, max_size=200), st.integers(0, 99))
def test_bytes_with_their_checksum_sum_to_zero(data: bytes, place: int) -> None:
    place = 2 * (place % (len(data) // 2))
    data = data[:place] + b"\0\0" + data[place + 2 :]
    data = data[:place] + checksum(data).to_bytes(2, "big") + data[place + 2 :]
    assert checksum(data) == 0


def test_every_length_and_alignment() -> None:
    data = bytes(range(1, 256)) * 2
    for start in range(9):
        for length in range(130):
            assert checksum(data[start : start + length]) == naive(data[start : start + length])


def test_rfc_1071_example() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF
