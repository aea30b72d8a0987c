"""Path MTU discovery (RFC 1191) with errors that a transport believes, here UDP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.l2 import Ether

from netapp.net import path_mtu
from tests.support.datagrams import Datagrams, Recorder, datagrams
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC

FAR = "192.0.2.1"


@contextmanager
def routed(**arguments: Any) -> Iterator[Datagrams]:
    """The host is the gateway."""
    with datagrams(gateway=HOST_ADDRESS, **arguments) as net:
        yield net


def too_big(net: Datagrams, handler: Recorder, mtu: int, length: int = 1500, destination: str = FAR) -> None:
    """Ours sends a datagram, and the host says that one, `length` bytes with its IP header, did not fit."""
    handler.send_to(b"x", destination, 53)
    net.node.core.settle()
    net.node.host.receive()
    packet = IP(src=OUR_ADDRESS, dst=destination, flags="DF", len=length) / UDP(sport=7, dport=53) / bytes(100)
    net.error(bytes(14) + bytes(packet), 3, 4, mtu=mtu)


def mtu_of(net: Datagrams, destination: str = FAR) -> int:
    """Of a path made now."""
    handler = net.connect(9, destination)
    assert handler.socket is not None
    found: int = handler.socket.path_mtu
    handler.socket.close()
    return found


@pytest.mark.parametrize(
    ("said", "length", "expected"),
    [
        (1499, 1500, 1499),
        (1006, 1500, 1006),
        (553, 1500, 553),
        # No less than 552, whatever is said.
        (551, 1500, 552),
        (68, 1500, 552),
        (1, 1500, 552),
        # Routers from before RFC 1191 do not say: the next plateau below the packet (section 7).
        (0, 1500, 1492),
        (0, 1492, 1006),
        (0, 1007, 1006),
        (0, 1006, 552),
        # What would have let the packet pass is not believed; nothing raises it.
        (1500, 1500, 1500),
        (1501, 1500, 1500),
        (1000, 1000, 1500),
        (0xFFFF, 1500, 1500),
        (0, 552, 1500),
    ],
)
def test_what_it_becomes(said: int, length: int, expected: int) -> None:
    with routed() as net:
        handler = net.bind(7)
        too_big(net, handler, said, length)
        assert mtu_of(net) == expected
        assert net.node.counters().get("icmp_errors_accepted", 0) == (expected != 1500)
        assert net.node.counters().get("icmp_errors_bad_mtu", 0) == (expected == 1500)
        assert mtu_of(net, "192.0.2.2") == 1500  # others are not concerned


@pytest.mark.parametrize(
    ("length", "expected"), [(65535, 32000), (20000, 17914), (9000, 8166), (8166, 4352), (3000, 2002)]
)
def test_plateaus_of_large_links(length: int, expected: int) -> None:
    with routed(mtu=65535) as net:
        handler = net.bind(7)
        too_big(net, handler, 0, length)
        assert mtu_of(net) == expected


def test_it_goes_down_only() -> None:
    with routed() as net:
        handler = net.bind(7)
        for said, expected in ((1400, 1400), (1450, 1400), (1000, 1000), (1400, 1000)):
            too_big(net, handler, said)
            assert mtu_of(net) == expected


def test_it_is_forgotten_after_ten_minutes() -> None:
    """RFC 1191, 6.3; an error within that time begins them anew."""
    with routed() as net:
        handler = net.bind(7)
        too_big(net, handler, 1000)
        net.node.advance(590)
        assert mtu_of(net) == 1000
        too_big(net, handler, 1000)
        net.node.advance(590)
        assert mtu_of(net) == 1000
        net.node.advance(11)
        assert mtu_of(net) == 1500


def test_destinations_are_bounded() -> None:
    """The one that was told longest ago is forgotten."""
    with routed() as net:
        handler = net.bind(7)
        for number in range(path_mtu.ENTRIES_MAX + 1):
            too_big(net, handler, 1000, destination=f"192.1.{number >> 8}.{number & 255}")
        assert mtu_of(net, "192.1.0.0") == 1500
        assert mtu_of(net, "192.1.0.1") == mtu_of(net, "192.1.4.0") == 1000


def test_paths_in_use_follow() -> None:
    """What is larger goes in fragments from now on: datagrams, and replies to pings."""
    with routed() as net:
        handler = net.bind(7)
        assert handler.send_to(bytes(1400), FAR, 53) == 1
        (packet,) = net.sent()
        assert not packet.mf and not packet.df
        too_big(net, handler, 1000)
        assert handler.send_to(bytes(1400), FAR, 53) == 1
        assert [(packet.len, packet.mf, packet.offset) for packet in net.sent()] == [(996, 1, 0), (452, 0, 122)]
        asked = IP(src=FAR, dst=OUR_ADDRESS) / ICMP(id=7) / bytes(1400)
        frames = net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / asked)
        assert [dpkt.ethernet.Ethernet(frame).data.len for frame in frames] == [996, 452]


def test_fragments_on_a_full_ring() -> None:
    """What has no room at all is as it was; where some went, the rest is dropped."""
    with routed(capacity=4) as net:
        handler = net.bind(7)
        assert handler.send_to(bytes(8000), FAR, 53) == 1
        net.node.core.settle()
        assert len(net.node.host.receive()) == 4
        assert net.node.counters()["transmit_full"] == 1
        assert net.node.counters()["ipv4_fragments_sent"] == 4
        assert "ipv4_fragmented" not in net.node.counters()


def test_the_largest_datagram_both_ways() -> None:
    payload = bytes(i * 7 & 255 for i in range(65507))
    with routed() as net:
        handler = net.bind(7)
        whole = IP(src=FAR, dst=OUR_ADDRESS, id=3) / UDP(sport=53, dport=7) / payload
        net.node.exchange(*[Ether(src=HOST_MAC, dst=OUR_MAC) / part for part in fragment(whole, 1480)])
        assert handler.received == [payload]
        assert handler.send_to(payload, FAR, 53) == 1
        net.node.core.settle()
        assert b"".join(frame[34:] for frame in net.node.host.receive())[8:] == payload
