"""ARP packets against dpkt."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.wire import arp

mac = st.binary(min_size=6, max_size=6)
address = st.binary(min_size=4, max_size=4)
# Mostly right, so that every check is reached.
packets = st.one_of(
    st.binary(max_size=50),
    st.tuples(
        st.sampled_from([b"\0\1", b"\0\6"]),
        st.sampled_from([b"\x08\0", b"\x86\xdd"]),
        st.sampled_from([b"\6\4", b"\6\x10", b"\0\4"]),
        st.integers(0, 4).map(lambda n: n.to_bytes(2, "big")),
        st.binary(min_size=18, max_size=40),
    ).map(b"".join),
)


def expected_reason(data: bytes) -> str | None:
    if len(data) < 28:
        return "truncated"
    theirs = dpkt.arp.ARP(data)
    if (theirs.hrd, theirs.pro) != (1, 0x0800):
        return "bad type"
    if (theirs.hln, theirs.pln) != (6, 4):
        return "bad address length"
    return None if theirs.op in (1, 2) else "bad operation"


@given(packets)
def test_parse(data: bytes) -> None:
    reason = expected_reason(data)
    if reason:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            arp.parse(data)
        assert arp.summary(data) == f"ARP [{reason}]"
        return
    theirs = dpkt.arp.ARP(data)
    assert arp.parse(data) == {
        "operation": theirs.op,
        "sender_mac": theirs.sha,
        "sender_address": theirs.spa,
        "target_mac": theirs.tha,
        "target_address": theirs.tpa,
    }


@given(st.sampled_from([arp.REQUEST, arp.REPLY]), mac, address, mac, address)
def test_build(operation: int, sha: bytes, spa: bytes, tha: bytes, tpa: bytes) -> None:
    assert arp.build(operation, sha, spa, tha, tpa) == bytes(
        dpkt.arp.ARP(op=operation, sha=sha, spa=spa, tha=tha, tpa=tpa)
    )


def test_build_refuses() -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        arp.build(arp.REQUEST, bytes(5), bytes(4), bytes(6), bytes(4))


def test_summary() -> None:
    ours, theirs = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
    request = arp.build(arp.REQUEST, theirs, b"\x0a\0\0\2", bytes(6), b"\x0a\0\0\1")
    reply = arp.build(arp.REPLY, ours, b"\x0a\0\0\1", theirs, b"\x0a\0\0\2")
    assert arp.summary(request) == "Request who-has 10.0.0.1 tell 10.0.0.2"
    assert arp.summary(reply) == "Reply 10.0.0.1 is-at 02:00:00:00:00:01"
