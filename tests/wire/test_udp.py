"""The UDP header against dpkt."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.wire import udp

port = st.integers(0, 0xFFFF)
address = st.binary(min_size=4, max_size=4)


@given(st.binary(max_size=40), st.one_of(st.none(), st.integers(0, 48)))
def test_parse(data: bytes, length: int | None) -> None:
    if length is not None and len(data) >= 6:
        data = data[:4] + length.to_bytes(2, "big") + data[6:]
    reason = None
    if len(data) < 8:
        reason = "truncated"
    elif not 8 <= int.from_bytes(data[4:6], "big") <= len(data):
        reason = "bad length"
    if reason:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            udp.parse(data)
        return
    theirs = dpkt.udp.UDP(data)
    assert udp.parse(data) == {
        "source_port": theirs.sport,
        "destination_port": theirs.dport,
        "length": theirs.ulen,
        "checksum": theirs.sum,
        "payload": bytes(theirs.data)[: theirs.ulen - 8],
    }


@given(address, address, port, port, st.binary(max_size=60))
def test_build(source: bytes, destination: bytes, source_port: int, destination_port: int, payload: bytes) -> None:
    built = udp.build(source, destination, source_port, destination_port, payload)
    theirs = dpkt.udp.UDP(built)
    assert (theirs.sport, theirs.dport, theirs.ulen) == (source_port, destination_port, 8 + len(payload))
    assert bytes(theirs.data) == payload
    pseudo = source + destination + b"\0\x11" + len(built).to_bytes(2, "big")
    assert dpkt.in_cksum(pseudo + built) == 0 and built[6:8] != b"\0\0"


def test_a_checksum_of_zero_is_sent_as_all_ones() -> None:
    ends = bytes(4), bytes(4)
    without = int.from_bytes(udp.build(*ends, 1, 2, b"\0\0")[6:8], "big")
    # These two bytes make the sum all ones, whose complement is zero.
    assert udp.build(*ends, 1, 2, without.to_bytes(2, "big"))[6:8] == b"\xff\xff"


def test_refused() -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        udp.build(b"abc", bytes(4), 1, 2)
    with pytest.raises(ValueError, match="at most 65535"):
        udp.build(bytes(4), bytes(4), 1, 2, bytes(65528))


def test_summary() -> None:
    built = udp.build(bytes(4), bytes(4), 53, 40000, b"abc")
    assert udp.summary(built, "10.0.0.1", "10.0.0.2") == "10.0.0.1.53 > 10.0.0.2.40000: UDP, length 3"
    assert udp.summary(built[:6] + b"\0\0" + b"abc").endswith(": UDP, no checksum, length 3")
    assert udp.summary(built[:7], "a", "b") == "a > b: UDP [truncated]"
