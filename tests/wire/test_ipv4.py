"""The IPv4 header against dpkt."""

import struct

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.wire import ipv4, udp
from netapp.wire.checksum import checksum

address = st.binary(min_size=4, max_size=4)
options = st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """A header that is right but for some fields, which may be anything; its checksum is right most of the time."""
    body = draw(st.binary(max_size=80))
    version = draw(st.sampled_from([0x45, 0x45, 0x46, 0x4F, 0x44, 0x40, 0x55, 0x65]))
    total = draw(st.one_of(st.just(20 + len(body)), st.integers(0, 120)))
    rest = draw(st.binary(min_size=16, max_size=16))
    header = struct.pack("!BBH", version, draw(st.integers(0, 255)), total) + rest
    data = header + body
    covered = (version & 15) * 4
    if covered >= 20 and len(data) >= covered and draw(st.integers(0, 7)):
        data = data[:10] + b"\0\0" + data[12:]
        data = data[:10] + checksum(data[:covered]).to_bytes(2, "big") + data[12:]
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data


def expected_reason(data: bytes) -> str | None:
    """RFC 1122, 3.2.1.1 and 3.2.1.2, in words as plain as they come."""
    if len(data) < 20:
        return "truncated"
    if data[0] >> 4 != 4:
        return "bad version"
    header, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
    if header < 20 or header > len(data):
        return "bad header length"
    if total < header or total > len(data):
        return "bad total length"
    return None if dpkt.in_cksum(data[:header]) == 0 else "bad checksum"


@given(packets())
def test_parse(data: bytes) -> None:
    reason = expected_reason(data)
    if reason:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            ipv4.parse(data)
        assert ipv4.summary(data) == f"IPv4 [{reason}]"
        return
    theirs = dpkt.ip.IP(data)
    fields = ipv4.parse(data)
    assert fields == {
        "header_length": theirs.hl * 4,
        "traffic_class": theirs.tos,
        "total_length": theirs.len,
        "identification": theirs.id,
        "dont_fragment": bool(theirs.df),
        "more_fragments": bool(theirs.mf),
        "fragment_offset": theirs.offset * 8,
        "ttl": theirs.ttl,
        "protocol": theirs.p,
        "checksum": theirs.sum,
        "source": theirs.src,
        "destination": theirs.dst,
        "options": theirs.opts,
        "payload": data[theirs.hl * 4 : theirs.len],
    }


@given(
    address,
    address,
    st.integers(0, 255).filter(lambda p: p not in (1, 6, 17, 58)),  # dpkt completes these payloads' checksums
    st.binary(max_size=100),
    options,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_build(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload: bytes,
    option: bytes,
    identification: int,
    fragment: int,
    ttl: int,
    traffic_class: int,
) -> None:
    built = ipv4.build(source, destination, protocol, payload, option, identification, fragment, ttl, traffic_class)
    theirs = dpkt.ip.IP(
        src=source,
        dst=destination,
        p=protocol,
        id=identification,
        ttl=ttl,
        tos=traffic_class,
        opts=option,
        data=payload,
    )
    theirs.rf, theirs.df, theirs.mf, theirs.offset = (
        fragment >> 15,
        fragment >> 14 & 1,
        fragment >> 13 & 1,
        fragment & 0x1FFF,
    )
    theirs.hl, theirs.len = 5 + len(option) // 4, 20 + len(option) + len(payload)
    assert built == bytes(theirs)
    assert ipv4.parse(built + b"padding")["payload"] == payload


def test_build_refuses() -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        ipv4.build(b"", bytes(4), 6)
    with pytest.raises(ValueError, match="multiple of 4"):
        ipv4.build(bytes(4), bytes(4), 6, options=b"\1")
    with pytest.raises(ValueError, match="at most 40"):
        ipv4.build(bytes(4), bytes(4), 6, options=bytes(44))
    with pytest.raises(ValueError, match="65535"):
        ipv4.build(bytes(4), bytes(4), 6, payload=bytes(65516))


def test_summary() -> None:
    ends = (b"\x0a\0\0\1", b"\x0a\0\0\2")
    assert ipv4.summary(ipv4.build(*ends, 132, b"12345")) == "10.0.0.1 > 10.0.0.2: protocol 132, length 5"
    assert ipv4.summary(ipv4.build(*ends, 17, udp.build(*ends, 53, 40000, b"12345"))) == (
        "10.0.0.1.53 > 10.0.0.2.40000: UDP, length 5"
    )
    fragment = ipv4.build(*ends, 6, bytes(16), identification=7, fragment=0x2000 | 2)
    assert ipv4.summary(fragment) == "10.0.0.1 > 10.0.0.2: protocol 6 fragment 7:16@16+"
