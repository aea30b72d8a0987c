"""Echo (RFC 792; RFC 1122, 3.2.2.6)."""

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from netapp.drivers.faults import FaultDevice
from netapp.wire import icmp, ipv4
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node


def greet(node: Node) -> None:
    """The host becomes our neighbour."""
    node.exchange(Ether(src=HOST_MAC, dst=b"\xff" * 6) / ARP(hwsrc=HOST_MAC, psrc=HOST_ADDRESS, pdst=OUR_ADDRESS))


def echo(payload: bytes, **fields) -> Ether:
    return (
        Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, **fields) / ICMP(id=7, seq=9) / payload
    )


def headers_taken(node: Node) -> int:
    """Slots for headers that the pool ever carved."""
    return next(used + free for size, used, free in node.pool.classes() if size == 128)


def assert_reply(frame: bytes, payload: bytes) -> None:
    ethernet = dpkt.ethernet.Ethernet(frame)
    packet = ethernet.data
    assert (ethernet.dst, ethernet.src, ethernet.type) == (HOST_MAC, OUR_MAC, 0x0800)
    assert (packet.src, packet.dst, packet.p, packet.ttl) == (b"\x0a\x63\0\2", b"\x0a\x63\0\1", 1, 64)
    assert dpkt.in_cksum(frame[14:34]) == 0
    assert dpkt.in_cksum(frame[34:]) == 0
    assert (packet.data.type, packet.data.code) == (0, 0)
    assert (packet.data.data.id, packet.data.data.seq, packet.data.data.data) == (7, 9, payload)


@settings(max_examples=50)
@given(st.binary(max_size=1472))
def test_echo(payload: bytes) -> None:
    with network_node() as node:
        greet(node)
        (reply,) = node.exchange(echo(payload))
        assert_reply(reply, payload)
        # In place: no byte was copied, and no slot taken but the received one.
        assert not any(node.pool.copied().values())
        assert headers_taken(node) == 0


@pytest.mark.parametrize("length", [5000, 65507])
def test_echo_over_many_slots(length: int) -> None:
    payload = bytes(i * 7 & 255 for i in range(length))
    with network_node(mtu=65535) as node:
        greet(node)
        (reply,) = node.exchange(echo(payload))
        assert_reply(reply, payload)
        assert not any(node.pool.copied().values())
        assert headers_taken(node) == 0


def test_echo_whose_slot_others_see() -> None:
    with network_node(wrap=lambda device: FaultDevice(device, duplicate=1.0)) as node:
        greet(node)
        replies = node.exchange(echo(b"shared"))
        assert len(replies) == 4  # each direction doubles
        for reply in replies:
            assert_reply(reply, b"shared")


def test_checksum_where_the_sum_wraps() -> None:
    # Payloads for which the request's checksum is 0x0000, 0xf7ff, 0xf800, 0xffff …: RFC 1624's corner cases.
    with network_node() as node:
        greet(node)
        for wanted in (0x0000, 0x0001, 0xF7FE, 0xF7FF, 0xF800, 0xFFFE, 0xFFFF):
            total = icmp.build(icmp.ECHO, 0, 7 << 16 | 9, b"\0\0")
            word = (int.from_bytes(total[2:4], "big") - wanted) % 0xFFFF
            (reply,) = node.exchange(echo(word.to_bytes(2, "big")))
            assert_reply(reply, word.to_bytes(2, "big"))


def test_padding_is_not_echoed() -> None:
    with network_node() as node:
        greet(node)
        (reply,) = node.exchange(bytes(echo(b"x")).ljust(60, b"\xaa"))
        assert_reply(reply, b"x")


@pytest.mark.parametrize("destination", ["10.99.0.255", "255.255.255.255", "224.0.0.1"])
def test_echo_to_everybody_is_not_answered(destination: str) -> None:
    with network_node() as node:
        greet(node)
        link = b"\1\0\x5e\0\0\1" if destination == "224.0.0.1" else b"\xff" * 6
        packet = IP(src=HOST_ADDRESS, dst=destination) / ICMP()
        assert node.exchange(Ether(src=HOST_MAC, dst=link) / packet) == []
        assert node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / packet) == []
        assert node.counters()["icmp_echo_to_group"] == 2


@pytest.mark.parametrize(
    ("message", "counter"),
    [
        (b"", "icmp_truncated"),
        (icmp.build(icmp.ECHO, 0)[:7], "icmp_truncated"),
        (icmp.build(icmp.ECHO, 0, 1, b"abc")[:-1] + b"x", "icmp_bad_checksum"),
        (icmp.build(icmp.ECHO_REPLY, 0), "icmp_not_handled"),
        (icmp.build(icmp.UNREACHABLE, 3, 0, bytes(28)), "icmp_errors_malformed"),
        (icmp.build(icmp.REDIRECT, 1, 0x0A630009, bytes(28)), "icmp_redirects"),
        (icmp.build(4, 0, 0, bytes(28)), "icmp_source_quench"),
        (icmp.build(13, 0, 0, bytes(12)), "icmp_not_handled"),
    ],
)
def test_not_answered(message: bytes, counter: str) -> None:
    with network_node() as node:
        greet(node)
        packet = ipv4.build(b"\x0a\x63\0\1", b"\x0a\x63\0\2", ipv4.ICMP, message)
        assert node.exchange(OUR_MAC + HOST_MAC + b"\x08\0" + packet) == []
        assert node.counters()["icmp_received"] == 1
        assert node.counters()[counter] == 1


def test_replies_may_be_cut() -> None:
    """By routers, so that they have identifications, which differ and do not tell how many there were."""
    with network_node() as node:
        greet(node)
        found = [dpkt.ethernet.Ethernet(node.exchange(echo(b"x"))[0]).data for _ in range(3)]
        assert not any(packet.df or packet.mf or packet.offset for packet in found)
        assert len({packet.id for packet in found}) == 3
        assert 0 not in {packet.id for packet in found}


def test_ring_full() -> None:
    with network_node(capacity=2) as node:
        greet(node)
        for _ in range(2):
            for _ in range(2):
                assert node.host.send(bytes(echo(b"x")))
            node.core.settle()
        assert node.counters()["icmp_echoed"] == 2
        assert node.counters()["transmit_full"] == 2
        assert len(node.host.receive()) == 2
