"""The TCP header against dpkt."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.wire import tcp

port, number = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
address = st.binary(min_size=4, max_size=4)
options = st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


@given(st.binary(max_size=90), st.sampled_from([None, 0x50, 0x60, 0xF0]))
def test_parse(data: bytes, data_offset: int | None) -> None:
    if data_offset is not None and len(data) > 12:
        data = data[:12] + bytes([data_offset]) + data[13:]
    reason = None
    if len(data) < 20:
        reason = "truncated"
    elif not 20 <= (data[12] >> 4) * 4 <= len(data):
        reason = "bad data offset"
    if reason:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            tcp.parse(data)
        return
    theirs = dpkt.tcp.TCP(data)
    assert tcp.parse(data) == {
        "source_port": theirs.sport,
        "destination_port": theirs.dport,
        "sequence": theirs.seq,
        "acknowledgment": theirs.ack,
        "header_length": theirs.off * 4,
        "flags": theirs.flags & 0xFF,  # dpkt adds a ninth, which is reserved (RFC 9293)
        "window": theirs.win,
        "checksum": theirs.sum,
        "urgent": theirs.urp,
        "options": theirs.opts,
        "payload": bytes(theirs.data),
    }


@given(address, address, port, port, number, number, st.integers(0, 255), port, options, st.binary(max_size=60))
def test_build(
    source: bytes,
    destination: bytes,
    source_port: int,
    destination_port: int,
    sequence: int,
    acknowledgment: int,
    flags: int,
    window: int,
    option: bytes,
    payload: bytes,
) -> None:
    built = tcp.build(
        source, destination, source_port, destination_port, sequence, acknowledgment, flags, window, option, payload
    )
    theirs = dpkt.tcp.TCP(
        sport=source_port,
        dport=destination_port,
        seq=sequence,
        ack=acknowledgment,
        flags=flags,
        win=window,
        opts=option,
        data=payload,
    )
    theirs.off = 5 + len(option) // 4
    packet = dpkt.ip.IP(src=source, dst=destination, p=6, data=theirs)
    packet.len = 20 + len(built)
    assert built == bytes(packet)[20:]  # dpkt fills the checksum in


def test_build_refuses() -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        tcp.build(b"", bytes(4), 1, 2)
    with pytest.raises(ValueError, match="multiple of 4"):
        tcp.build(bytes(4), bytes(4), 1, 2, options=b"\1\1\1")


def test_flags_are_those_of_dpkt() -> None:
    for name in ("FIN", "SYN", "RST", "ACK", "URG", "ECE", "CWR"):
        assert getattr(tcp, name) == getattr(dpkt.tcp, f"TH_{name}")
    assert tcp.PSH == dpkt.tcp.TH_PUSH


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (b"\2\4\5\xb4\1\3\3\7", "mss 1460,nop,wscale 7"),
        (b"\4\2\1\0", "sackOK,nop"),
        (b"\1\1\x08\x0a\0\0\0\1\0\0\0\2", "nop,nop,TS val 1 ecr 2"),
        (b"\1\1\5\x0a\0\0\0\1\0\0\0\2", "nop,nop,sack {1:2}"),
        (b"\xfe\4ab", "opt-254:6162"),
        (b"\2\0\1\1", "[bad option]"),
        (b"\1\1\1\2", "nop,nop,nop,[bad option]"),
        (b"\2\x09ab", "[bad option]"),
    ],
)
def test_summary_of_options(option: bytes, text: str) -> None:
    segment = tcp.build(bytes(4), bytes(4), 1, 2, flags=tcp.SYN, options=option)
    assert f"options [{text}]" in tcp.summary(segment)


def test_summary() -> None:
    segment = tcp.build(bytes(4), bytes(4), 80, 40000, 100, 7, tcp.PSH | tcp.ACK, 65535, payload=b"hello")
    assert tcp.summary(segment, "a", "b") == "a.80 > b.40000: Flags [P.], seq 100:105, ack 7, win 65535, length 5"
    assert tcp.summary(segment[:19], "a", "b") == "a > b: TCP [truncated]"
