"""The Ethernet header against dpkt."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.wire import arp, ethernet, icmp, ipv4, tcp

mac = st.binary(min_size=6, max_size=6)


@given(st.binary(max_size=80))
def test_parse(data: bytes) -> None:
    if len(data) < 14:
        with pytest.raises(ValueError, match="truncated"):
            ethernet.parse(data)
        return
    fields = ethernet.parse(data)
    # dpkt goes on into the payload: a type that it does not know leaves that alone.
    theirs = dpkt.ethernet.Ethernet(data[:12] + b"\xff\xfe" + data[14:])
    assert (fields["destination"], fields["source"]) == (theirs.dst, theirs.src)
    assert fields["ethertype"] == int.from_bytes(data[12:14], "big")
    assert fields["payload"] == data[14:]


@given(mac, mac, st.integers(0, 0xFFFF), st.binary(max_size=50))
def test_build(destination: bytes, source: bytes, ethertype: int, payload: bytes) -> None:
    built = ethernet.build(destination, source, ethertype, payload)
    assert built == dpkt.ethernet.Ethernet(dst=destination, src=source, type=ethertype).pack_hdr()[:14] + payload
    assert ethernet.parse(built)["payload"] == payload


def test_build_refuses() -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        ethernet.build(b"short", bytes(6), 0x0800)
    with pytest.raises(OverflowError):
        ethernet.build(bytes(6), bytes(6), 0x10000)


@given(st.binary(max_size=120))
def test_summary_never_raises(data: bytes) -> None:
    for summary in (ethernet.summary, arp.summary, ipv4.summary, icmp.summary, tcp.summary):
        assert "\n" not in summary(data)


@given(st.binary(max_size=60), st.sampled_from([ethernet.IPV4, ethernet.ARP]), st.sampled_from([1, 6, 17]))
def test_summary_of_nested_garbage_never_raises(data: bytes, ethertype: int, protocol: int) -> None:
    ethernet.summary(ethernet.build(bytes(6), bytes(6), ethertype, data))
    ethernet.summary(ethernet.build(bytes(6), bytes(6), ethernet.IPV4, ipv4.build(bytes(4), bytes(4), protocol, data)))


def test_summary() -> None:
    segment = tcp.build(b"\x0a\0\0\1", b"\x0a\0\0\2", 40000, 80, 5, 0, tcp.SYN, 100, b"\x02\x04\x05\xb4")
    packet = ipv4.build(b"\x0a\0\0\1", b"\x0a\0\0\2", ipv4.TCP, segment)
    assert ethernet.summary(ethernet.build(b"\2" * 6, b"\4" * 6, ethernet.IPV4, packet)) == (
        "04:04:04:04:04:04 > 02:02:02:02:02:02, IPv4, length 58: "
        "10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 5, win 100, options [mss 1460], length 0"
    )
    assert ethernet.summary(bytes(12) + b"\x86\xdd") == "00:00:00:00:00:00 > 00:00:00:00:00:00, type 0x86dd, length 14"
    assert ethernet.summary(bytes(13)) == "Ethernet [truncated]"
