"""RFC 1122, 2: the link layer. One test a requirement of the table in 2.5."""

from itertools import pairwise

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from tests.support.datagrams import Datagrams, datagrams
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC

EVERYBODY = "ff:ff:ff:ff:ff:ff"
HOST = HOST_MAC.hex(":")


def asked(frames: list[bytes]) -> list[tuple[str, str]]:
    """Of the ARP requests among those frames: to whom on the link, and after whom."""
    return [(frame.dst, frame[ARP].pdst) for frame in map(Ether, frames) if ARP in frame and frame[ARP].op == 1]


def packets(frames: list[bytes]) -> list[Ether]:
    return [frame for frame in map(Ether, frames) if IP in frame]


def send(net: Datagrams, payload: bytes = b"x") -> list[bytes]:
    """Ours sends a datagram to the host."""
    net.bind(0).send_to(payload, HOST_ADDRESS, 53)
    net.node.core.settle()
    return net.node.host.receive()


def test_2_3_1_default_is_no_trailers() -> None:
    """RFC 893: types from 0x1000 on, offered and asked for by ARP with that type."""
    with datagrams() as net:
        trailers = Ether(src=HOST_MAC, dst=OUR_MAC) / ARP(ptype=0x1000, op=2, hwsrc=HOST_MAC, psrc=HOST_ADDRESS)
        assert net.node.exchange(trailers) == []
        for length in (1, 512, 1024, 1472):
            (frame,) = packets(send(net, bytes(length)))
            assert frame.type == 0x0800
            assert bytes(frame)[14] == 0x45  # the header stays in front


def test_2_3_2_1_flush_of_what_is_out_of_date() -> None:
    """After a minute the neighbour is asked; where it does not answer, everybody is."""
    with datagrams() as net:
        assert asked(send(net)) == []
        net.node.advance(60)
        assert asked(send(net)) == [(HOST, HOST_ADDRESS)]
        net.node.advance(4)
        net.node.host.receive()
        assert asked(send(net)) == [(EVERYBODY, HOST_ADDRESS)]
        moved = b"\x02\0\0\0\0\x78"
        answer = ARP(op=2, hwsrc=moved, psrc=HOST_ADDRESS, hwdst=OUR_MAC, pdst=OUR_ADDRESS)
        (waiting,) = packets(net.node.exchange(Ether(src=moved, dst=OUR_MAC) / answer))
        assert waiting.dst == moved.hex(":")


def test_2_3_2_1_flood_of_requests_is_prevented() -> None:
    """However much is sent, one a second is asked."""
    with datagrams(greet=False) as net:
        handler = net.bind(7)
        times = []
        for tenth in range(100):
            for _ in range(5):
                handler.send_to(b"x", HOST_ADDRESS, 53)
            net.node.core.settle()
            times += [tenth] * len(asked(net.node.host.receive()))
            net.node.advance(0.1)
        assert times and all(later - earlier >= 9 for earlier, later in pairwise(times))


def test_2_3_2_2_queue_keeps_the_latest_packet() -> None:
    with datagrams(greet=False) as net:
        handler = net.bind(7)
        for number in range(100):
            handler.send_to(bytes([number]), HOST_ADDRESS, 53)
        net.node.core.settle()
        assert packets(net.node.host.receive()) == []
        answer = ARP(op=2, hwsrc=HOST_MAC, psrc=HOST_ADDRESS, hwdst=OUR_MAC, pdst=OUR_ADDRESS)
        sent = packets(net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / answer))
        assert sent and bytes(sent[-1][UDP].payload)[:1] == bytes([99])


def test_2_3_3_ethernet_both_ways() -> None:
    with datagrams() as net:
        net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))
        (answer,) = net.arrives(b"hello")
        assert answer[:14] == HOST_MAC + OUR_MAC + b"\x08\0" and answer[14] == 0x45


def test_2_3_3_802_received_is_not() -> None:
    """But harms nobody: a length, LLC and SNAP before the packet."""
    with datagrams() as net:
        handler = net.bind(7)
        packet = net.frame()[14:]
        body = b"\xaa\xaa\3\0\0\0\x08\0" + packet
        frame = OUR_MAC + HOST_MAC + len(body).to_bytes(2, "big") + body
        assert net.node.exchange(frame) == [] and handler.received == []
        assert net.node.counters()["frames_unknown_type"] == 1


def test_2_3_3_k1_is_never_sent() -> None:
    """No frame of ours has a length where others have the type."""
    with datagrams() as net:
        net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))
        frames = net.arrives() + net.arrives(dport=9)
        frames += net.node.exchange(Ether(src=HOST_MAC, dst=b"\xff" * 6) / ARP(psrc=HOST_ADDRESS, pdst=OUR_ADDRESS))
        frames += net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS) / ICMP())
        assert len(frames) >= 3 and all(int.from_bytes(frame[12:14], "big") >= 0x0600 for frame in frames)


def test_2_3_3_arp_finds_neighbours() -> None:
    with datagrams(greet=False) as net:
        assert asked(send(net)) == [(EVERYBODY, HOST_ADDRESS)]
        answer = ARP(op=2, hwsrc=HOST_MAC, psrc=HOST_ADDRESS, hwdst=OUR_MAC, pdst=OUR_ADDRESS)
        (packet,) = packets(net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / answer))
        assert packet.dst == HOST


def test_2_4_broadcast_is_told_to_ip() -> None:
    """Which drops what is not for everybody by its own address (3.3.6), and answers nothing else of it."""
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        assert net.arrives(mac=b"\xff" * 6) == [] and net.arrives(mac=b"\xff" * 6, dport=9) == []
        assert handler.received == []
        net.arrives(mac=b"\xff" * 6, dst="255.255.255.255")
        assert [source.broadcast for source in handler.sources] == [True]


@pytest.mark.parametrize("answered", [True, False])
def test_2_4_unresolved_is_not_unreachable(answered: bool) -> None:
    with datagrams(greet=False) as net:
        handler = net.bind(7)
        assert handler.send_to(b"x", HOST_ADDRESS, 53) == 1
        if not answered:
            net.node.advance(10)
        assert handler.errors == []
        assert handler.send_to(b"y", HOST_ADDRESS, 53) == 1
        net.node.core.settle()
        net.node.host.receive()
        answer = ARP(op=2, hwsrc=HOST_MAC, psrc=HOST_ADDRESS, hwdst=OUR_MAC, pdst=OUR_ADDRESS)
        sent = packets(net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / answer))
        assert len(sent) == (2 if answered else 1) and handler.errors == []
