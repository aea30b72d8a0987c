"""Interfaces on VLANs of a device (IEEE 802.1Q): which tagged frames are taken, and how tags are put in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from netapp.drivers import device as offloads
from netapp.drivers.capture import CaptureDevice
from netapp.drivers.faults import FaultDevice
from netapp.iobuf.chain import Chain
from netapp.net.config import InterfaceConfig
from netapp.net.udp_socket import UdpHandler
from netapp.node.node import Node
from netapp.node.simulation import Simulation
from tests.support.appliances import Client
from tests.support.network import HOST_MAC, OUR_MAC

BROADCAST = b"\xff" * 6
UNTAGGED = InterfaceConfig("10.99.0.2/24", announce=False, device=0)
FIVE = InterfaceConfig("10.98.0.2/24", vlan=5, announce=False, device=0)
SIX = InterfaceConfig("10.97.0.2/24", vlan=6, announce=False, device=0)


class Trunk:
    """A node with interfaces on one end of a wire, the test at the other."""

    def __init__(self, simulation: Simulation, configs: tuple[InterfaceConfig, ...], wrap: Any, **wire: Any) -> None:
        self.simulation = simulation
        self.wire = simulation.wire(**wire)
        device = wrap(self.wire.a) if wrap else self.wire.a
        self.node: Node = simulation.node(device, address=configs, notify=self.wire.a)

    def exchange(self, *frames: Ether) -> list[bytes]:
        with self.simulation.outside:
            for frame in frames:
                assert self.wire.b.send(bytes(frame))
            answers = []
            for _ in range(20):  # not until all is quiet: with a full ring it never is
                self.simulation.step()
                answers += self.wire.b.receive()
            return answers

    def counter(self, name: str) -> int:
        return self.node.counters()["NetworkManager"][name]


@contextmanager
def trunk(*configs: InterfaceConfig, wrap: Any = None, **wire: Any) -> Iterator[Trunk]:
    with Simulation() as simulation:
        yield Trunk(simulation, configs or (UNTAGGED, FIVE, SIX), wrap, **wire)


def link(destination: bytes, *tags: int, priority: int = 0) -> Ether:
    frame = Ether(src=HOST_MAC, dst=destination)
    for tag in tags:
        frame = frame / Dot1Q(vlan=tag, prio=priority)
    return frame


def ask(network: str, *tags: int, priority: int = 0) -> Ether:
    arp = ARP(op=1, hwsrc=HOST_MAC, psrc=f"{network}.1", pdst=f"{network}.2")
    return link(BROADCAST, *tags, priority=priority) / arp


def ping(network: str, *tags: int, mac: bytes = OUR_MAC, length: int = 8, priority: int = 0) -> Ether:
    packet = IP(src=f"{network}.1", dst=f"{network}.2") / ICMP(id=1) / bytes(length)
    return link(mac, *tags, priority=priority) / packet


def tags(frame: bytes) -> list[int]:
    parsed = Ether(frame)
    return [parsed[Dot1Q].vlan] if Dot1Q in parsed else []


NETWORKS = [("10.99.0", []), ("10.98.0", [5]), ("10.97.0", [6])]


@pytest.mark.parametrize(("network", "vlan"), NETWORKS)
def test_each_vlan_is_a_network_of_its_own(network: str, vlan: list[int]) -> None:
    with trunk() as here:
        (answer,) = here.exchange(ask(network, *vlan))
        assert tags(answer) == vlan and Ether(answer)[ARP].psrc == f"{network}.2"
        (reply,) = here.exchange(ping(network, *vlan))
        assert tags(reply) == vlan
        assert (Ether(reply)[IP].src, Ether(reply)[IP].dst, Ether(reply).dst) == (
            f"{network}.2",
            f"{network}.1",
            HOST_MAC.hex(":"),
        )
        for other, tag in NETWORKS:
            if other != network:
                assert here.exchange(ping(network, *tag), ask(network, *tag)) == []
        assert here.counter("ipv4_other_interface") == 2


def test_interfaces_have_names() -> None:
    with trunk() as here:
        interfaces = here.node.network.interfaces
        assert [(i.name, i.vlan, i.mtu) for i in interfaces] == [
            ("wire-a", 0, 1500),
            ("wire-a.5", 5, 1500),
            ("wire-a.6", 6, 1500),
        ]
        with here.node.core:
            assert here.node.network.route("10.98.0.7") == "10.98.0.7 dev wire-a.5 src 10.98.0.2"


@pytest.mark.parametrize("configs", [(UNTAGGED,), (UNTAGGED, FIVE)])
def test_a_tag_of_only_a_priority_is_as_none(configs: tuple[InterfaceConfig, ...]) -> None:
    with trunk(*configs) as here:
        (answer,) = here.exchange(ask("10.99.0", 0, priority=5))
        assert tags(answer) == []
        (reply,) = here.exchange(ping("10.99.0", 0, priority=7))
        assert tags(reply) == []


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (ping("10.98.0", 7), "frames_unknown_vlan"),
        (ping("10.98.0", 4095), "frames_unknown_vlan"),
        (ping("10.99.0", 1), "frames_unknown_vlan"),
        (ping("10.98.0", 5, 5), "frames_unknown_type"),
        (ping("10.98.0", 0, 5), "frames_unknown_type"),
        (ping("10.98.0", 5, mac=b"\2\0\0\0\0\x0c"), "frames_not_ours"),
        (ping("10.98.0", 5, mac=BROADCAST), "ipv4_link_broadcast"),
        (bytes(ping("10.98.0", 5))[:14], "frames_truncated"),
        (bytes(ping("10.98.0", 5))[:17], "frames_truncated"),
        (bytes(ping("10.98.0", 5))[:18], "ipv4_truncated"),
        (bytes(ask("10.98.0", 5))[:45], "arp_truncated"),
        (link(OUR_MAC, 5) / b"x", "frames_unknown_type"),
    ],
)
def test_dropped(frame: Ether | bytes, counter: str) -> None:
    with trunk() as here:
        here.exchange(ask("10.98.0", 5))
        assert here.exchange(frame) == []
        assert here.counter(counter) == 1


def test_a_device_of_vlans_only() -> None:
    with trunk(FIVE) as here:
        assert [repr(i) for i in here.node.network.interfaces] == [
            "<Interface wire-a>",
            "<Interface wire-a.5 10.98.0.2/24>",
        ]
        here.exchange(ask("10.98.0", 5))
        assert len(here.exchange(ping("10.98.0", 5))) == 1
        nothing = IP(src="10.99.0.1", dst="0.0.0.0") / ICMP()
        everybody = IP(src="10.99.0.1", dst="255.255.255.255") / ICMP()
        assert here.exchange(ask("10.98.0"), ping("10.98.0"), ask("10.99.0"), link(OUR_MAC) / nothing) == []
        assert here.exchange(link(BROADCAST) / everybody, link(BROADCAST) / nothing) == []
        assert here.counter("icmp_received") == 1


def test_the_order_of_interfaces_does_not_matter() -> None:
    with trunk(FIVE, UNTAGGED) as here:
        for network, vlan in NETWORKS[:2]:
            here.exchange(ask(network, *vlan))
            assert [tags(frame) for frame in here.exchange(ping(network, *vlan))] == [vlan]


def test_a_vlan_is_there_once() -> None:
    with Simulation() as simulation, pytest.raises(ValueError, match="VLAN 5 twice"):
        simulation.node(simulation.wire().a, address=[FIVE, InterfaceConfig("10.1.0.2/24", vlan=5, device=0)])
    with pytest.raises(ValueError, match="is no VLAN"):
        InterfaceConfig(vlan=4095)


def test_the_mtu_stays() -> None:
    with trunk(FIVE) as here:
        here.exchange(ask("10.98.0", 5))
        (reply,) = here.exchange(ping("10.98.0", 5, length=1472))
        assert len(reply) == 1518 and tags(reply) == [5]
        assert here.node.devices[0].counters()["tx_oversized"] == 0


def test_what_others_hold_is_not_written_over(tmp_path: Any) -> None:
    """The frame comes twice, in slots that two see."""
    with trunk(FIVE, wrap=lambda device: FaultDevice(device, duplicate=1.0)) as here:
        here.exchange(ask("10.98.0", 5))
        replies = here.exchange(ping("10.98.0", 5))
        # Each reply comes twice: they have an identification each.
        assert len(replies) == 4 and len(set(replies)) == 2 and all(tags(reply) == [5] for reply in replies)


def test_a_capture_sees_the_tags(tmp_path: Any) -> None:
    path = tmp_path / "frames.pcapng"
    with Simulation() as simulation:

        def captured(device: Any) -> CaptureDevice:
            return CaptureDevice(device, str(path), simulation.wall_clock)

        here = Trunk(simulation, (FIVE,), captured)
        here.exchange(ask("10.98.0", 5))
        here.exchange(ping("10.98.0", 5))
    with path.open("rb") as file:
        frames = [data for _, data in dpkt.pcapng.Reader(file)]
    assert [tags(frame) for frame in frames] == [[5]] * 4


def test_a_full_ring_leaves_the_frame_as_it_was() -> None:
    """What did not go out goes out later, with one tag and right checksums."""
    with trunk(FIVE, capacity=4) as here:
        here.exchange(ask("10.98.0", 5))
        received = talk(here, b"x" * 40_000)
        assert received == b"x" * 40_000
        assert here.node.devices[0].counters()["tx_full"] > 0


@pytest.mark.parametrize("features", [0, offloads.CHECKSUM, offloads.CHECKSUM | offloads.TSO4])
def test_tcp_over_a_vlan_with_every_offload(features: int) -> None:
    with trunk(FIVE, features_a=features) as here:
        here.exchange(ask("10.98.0", 5))
        data = bytes(range(256)) * 200
        assert talk(here, data) == data


class Talkative(Client):
    data = b""

    def connected(self) -> None:
        self.send(self.data)


def talk(here: Trunk, data: bytes) -> bytes:
    """A peer on VLAN 5, whose segments are made here; what it was sent, every checksum verified."""
    with here.node.core:

        def factory() -> Talkative:
            made = Talkative()
            made.data = data
            return made

        here.node.tcp.listen(7, factory)
    seq, ack, received = 1000, 0, b""

    def segment(flags: str) -> Ether:
        tcp = TCP(sport=4000, dport=7, flags=flags, seq=seq, ack=ack, window=65535)
        return link(OUR_MAC, 5) / IP(src="10.98.0.1", dst="10.98.0.2") / tcp

    pending = here.exchange(segment("S"))
    seq += 1
    for _ in range(1000):
        for frame in pending:
            assert tags(frame) == [5]
            ip = dpkt.ethernet.Ethernet(frame).data
            wanted = IP(bytes(ip))
            del wanted[TCP].chksum, wanted.chksum
            assert bytes(IP(bytes(wanted))) == bytes(ip)
            if ip.data.flags & dpkt.tcp.TH_SYN:
                ack = ip.data.seq + 1 & 0xFFFFFFFF
            elif ip.data.seq == ack:
                received += ip.data.data
                ack = ack + len(ip.data.data) & 0xFFFFFFFF
        if len(received) == len(data):
            break
        pending = here.exchange(segment("A"))
        if not pending:
            with here.simulation.outside:
                here.simulation.advance(50_000_000)
                pending = here.wire.b.receive()
    return received


def test_a_datagram_that_met_a_full_ring_is_whole_when_it_is_sent_again() -> None:
    """The device completes its checksum, behind the tag: neither is put in twice."""
    with trunk(FIVE, features_a=offloads.CHECKSUM, capacity=1) as it:
        it.exchange(ask("10.98.0", 5))
        handler = UdpHandler()
        with it.node.core:
            it.node.udp.bind(7, handler)
            datagrams = [Chain(b"one"), Chain(b"two")]
            assert [handler.send_to(one, "10.98.0.1", 9) for one in datagrams] == [1, 0]
            assert bytes(datagrams[1]) == b"two"
        first = it.exchange()
        with it.node.core:
            assert handler.send_to(datagrams[1], "10.98.0.1", 9) == 1
        for frame, text in zip([*first, *it.exchange()], (b"one", b"two"), strict=True):
            packet = Ether(frame)
            assert packet[Dot1Q].vlan == 5 and bytes(packet[UDP].payload).startswith(text)
            stored = packet[UDP].chksum
            del packet[UDP].chksum
            assert Ether(bytes(packet))[UDP].chksum == stored
