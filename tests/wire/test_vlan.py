"""VLAN tags: every view against dpkt and scapy."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Dot1Q

from netapp.wire import ethernet, vlan

identifiers, priorities = st.integers(0, 4095), st.integers(0, 7)


@given(identifiers, priorities, st.booleans(), st.integers(0, 65535), st.binary(max_size=20))
def test_build_and_parse(identifier: int, priority: int, eligible: bool, kind: int, payload: bytes) -> None:
    data = vlan.build(identifier, kind, payload, priority, eligible)
    assert data == bytes(Dot1Q(vlan=identifier, prio=priority, dei=int(eligible), type=kind) / payload)
    theirs = dpkt.ethernet.VLANtag8021Q(data[:4])
    assert (theirs.id, theirs.pri, theirs.type) == (identifier, priority, kind)
    assert vlan.parse(data) == {
        "priority": priority,
        "drop_eligible": eligible,
        "identifier": identifier,
        "ethertype": kind,
        "payload": payload,
    }


@pytest.mark.parametrize("length", range(4))
def test_truncated(length: int) -> None:
    with pytest.raises(ValueError, match="truncated"):
        vlan.parse(bytes(length))


@pytest.mark.parametrize(("identifier", "priority"), [(4096, 0), (-1, 0), (1, 8), (1, -1)])
def test_what_no_tag_can_say(identifier: int, priority: int) -> None:
    with pytest.raises(ValueError, match="0 to 4095"):
        vlan.build(identifier, 0x800, priority=priority)


def frame(payload: bytes) -> bytes:
    return ethernet.build(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", vlan.TYPE, payload)


def test_summary() -> None:
    start = "02:00:00:00:00:02 > 02:00:00:00:00:01, "
    assert vlan.summary(vlan.build(5, 0x800, priority=3, drop_eligible=True)) == "vlan 5, p 3, DEI"
    arp = bytes.fromhex("0001080006040001020000000001 0a630001 000000000000 0a630002".replace(" ", ""))
    assert ethernet.summary(frame(vlan.build(5, ethernet.ARP, arp))) == (
        start + "vlan 5, p 0, ARP, length 46: Request who-has 10.99.0.2 tell 10.99.0.1"
    )
    two = vlan.build(5, vlan.TYPE, vlan.build(6, 0x1234))
    assert ethernet.summary(frame(two)) == start + "vlan 5, p 0, vlan 6, p 0, type 0x1234, length 22"
    assert ethernet.summary(frame(b"\0")) == start + "vlan [truncated], length 15"
