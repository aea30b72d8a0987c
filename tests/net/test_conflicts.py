"""Announcing addresses, asking for them before they are used, defending them (RFC 5227)."""

import logging
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether

from netapp.net import local
from netapp.net.config import InterfaceConfig
from netapp.node.simulation import Simulation
from tests.support.appliances import Client
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node
from tests.support.stack import Recorder, stack

BROADCAST = b"\xff" * 6
THIEF = b"\x02\0\0\0\0\x66"
PROBE = ("probe", OUR_ADDRESS)
ANNOUNCEMENT = ("announcement", OUR_ADDRESS)


def claim(mac: bytes = THIEF, operation: int = 1, address: str = OUR_ADDRESS) -> Ether:
    return Ether(src=mac, dst=BROADCAST) / ARP(op=operation, hwsrc=mac, psrc=address, pdst=address)


def probe(mac: bytes = THIEF) -> Ether:
    return Ether(src=mac, dst=BROADCAST) / ARP(op=1, hwsrc=mac, psrc="0.0.0.0", pdst=OUR_ADDRESS)


def ping() -> Ether:
    return Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS) / ICMP(id=1)


def greet() -> Ether:
    return Ether(src=HOST_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=HOST_MAC, psrc=HOST_ADDRESS, pdst=OUR_ADDRESS)


def kinds(frames: list[bytes]) -> list[tuple[str, str]]:
    found = []
    for frame in map(Ether, frames):
        arp = frame[ARP]
        assert (frame.dst, arp.hwsrc, arp.op) == ("ff:ff:ff:ff:ff:ff", OUR_MAC.hex(":"), 1)
        assert arp.hwdst == "00:00:00:00:00:00"
        assert arp.psrc in ("0.0.0.0", arp.pdst)
        found.append(("probe" if arp.psrc == "0.0.0.0" else "announcement", arp.pdst))
    return found


def configured(**options: Any) -> InterfaceConfig:
    return InterfaceConfig(f"{OUR_ADDRESS}/24", **options)


def times(node: Node, seconds: float) -> list[tuple[float, tuple[str, str]]]:
    """When what was sent, seconds from now."""
    begun, found = node.events.now, []
    while node.events.now - begun < seconds * 1e9:
        found += [((node.events.now - begun) / 1e9, kind) for kind in kinds(node.host.receive())]
        node.advance(0.01)
    return found


def test_an_address_is_announced_twice() -> None:
    with network_node(config=configured()) as node:
        assert [(round(when, 1), kind) for when, kind in times(node, 10)] == [(0, ANNOUNCEMENT), (2, ANNOUNCEMENT)]
        assert node.counters() == {"arp_announcements": 2, "arp_requests_sent": 2}


def test_every_address_is_announced() -> None:
    config = InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.98.0.2/24",))
    with network_node(config=config) as node:
        assert kinds(node.host.receive()) == [ANNOUNCEMENT, ("announcement", "10.98.0.2")]


def test_probes_then_announcements() -> None:
    with network_node(config=configured(detect_conflicts=True)) as node:
        seen = times(node, 20)
        assert [kind for _, kind in seen] == [PROBE] * 3 + [ANNOUNCEMENT] * 2
        when = [time for time, _ in seen]
        assert when[0] <= 1.01
        assert all(0.99 <= after - before <= 2.02 for before, after in pairwise(when[:3]))
        assert when[3] - when[2] == pytest.approx(2, abs=0.02)
        assert when[4] - when[3] == pytest.approx(2, abs=0.02)
        assert len({when[0], when[1] - when[0], when[2] - when[1]}) == 3  # random
        node.exchange(greet())
        assert len(node.exchange(ping())) == 1


def test_a_tentative_address_is_not_used() -> None:
    with network_node(config=configured(detect_conflicts=True)) as node:
        assert node.interface.addresses == []
        assert node.exchange(greet(), ping()) == []
        assert node.counters()["ipv4_not_ours"] == 1
        assert node.network.route(HOST_ADDRESS) == f"{HOST_ADDRESS} dev wire-a src 0.0.0.0"
        node.advance(10)
        assert node.interface.address == f"{OUR_ADDRESS}/24"


@pytest.mark.parametrize("frame", [claim(), claim(operation=2), probe()], ids=["request", "reply", "probe"])
@pytest.mark.parametrize("after", [0.001, 3.5])
def test_an_address_in_use_is_not_taken(frame: Ether, after: float, caplog: pytest.LogCaptureFixture) -> None:
    with network_node(config=configured(detect_conflicts=True)) as node, caplog.at_level(logging.WARNING):
        node.advance(after)
        node.host.receive()
        assert node.exchange(frame) == []
        node.advance(30)
        assert node.host.receive() == []
        assert node.interface.addresses == []
        assert node.exchange(greet(), ping()) == []
        counters = node.counters()
        assert counters["addresses_lost"] == counters["arp_conflict"] == 1
        assert "arp_defences" not in counters
    assert [record.getMessage() for record in caplog.records] == [
        "wire-a: 02:00:00:00:00:66 says that 10.99.0.2 is its address",
        "wire-a: 10.99.0.2 is somebody else's address and is not used",
    ]


def test_the_other_addresses_stay() -> None:
    config = InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.3/24",), detect_conflicts=True)
    with network_node(config=config) as node:
        node.advance(0.5)
        node.exchange(claim())
        node.advance(12)
        assert node.interface.addresses == ["10.99.0.3/24"]
        assert node.network.route(HOST_ADDRESS) == f"{HOST_ADDRESS} dev wire-a src 10.99.0.3"


def test_an_address_is_defended_once_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    with network_node(config=configured(announce=False)) as node, caplog.at_level(logging.WARNING):
        assert kinds(node.exchange(claim())) == [ANNOUNCEMENT]
        for _ in range(9):
            node.advance(1)
            assert node.exchange(claim(), claim(operation=2)) == []
        node.advance(1)
        assert kinds(node.exchange(claim())) == [ANNOUNCEMENT]
        assert node.counters()["arp_conflict"] == 20
        assert node.counters()["arp_defences"] == 2
        # The address stays, and its users are answered.
        node.exchange(greet())
        assert len(node.exchange(ping())) == 1
    assert len(caplog.records) == 2


def test_conflicts_far_apart_are_each_defended() -> None:
    with network_node(config=configured(announce=False, give_up=True)) as node:
        for _ in range(3):
            assert kinds(node.exchange(claim())) == [ANNOUNCEMENT]
            node.advance(10)
        assert node.interface.addresses == [f"{OUR_ADDRESS}/24"]


def test_an_address_is_given_up_where_that_is_asked_for() -> None:
    with network_node(config=configured(announce=False, give_up=True)) as node:
        assert kinds(node.exchange(claim())) == [ANNOUNCEMENT]
        node.advance(9.9)
        assert node.exchange(claim()) == []
        assert node.counters()["addresses_lost"] == 1
        assert node.interface.addresses == []
        assert node.exchange(greet(), ping()) == []


def test_connections_of_an_address_that_is_given_up_are_reset() -> None:
    """RFC 5227, 2.4: so that the peers need not find out by time-out."""
    mine = InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.3/24",), announce=False, give_up=True)
    clients = [Client(), Client()]
    with Simulation() as simulation:
        wire = simulation.wire()
        node = simulation.node(wire.a, address=[mine])
        with simulation.outside:
            wire.b.send(bytes(greet()))
            simulation.settle()
        with node.core:
            for client, address in zip(clients, (OUR_ADDRESS, "10.99.0.3")):
                node.tcp.connect(HOST_ADDRESS, 80, partial(lambda one: one, client), local_address=address)
        with simulation.outside:
            simulation.settle()
            for frame in map(Ether, wire.b.receive()):
                if TCP in frame:
                    answer = TCP(sport=80, dport=frame[TCP].sport, flags="SA", seq=1, ack=frame[TCP].seq + 1)
                    ip = IP(src=HOST_ADDRESS, dst=frame[IP].src)
                    wire.b.send(bytes(Ether(src=HOST_MAC, dst=OUR_MAC) / ip / answer))
            simulation.settle()
            wire.b.receive()
            assert [client.is_connected for client in clients] == [True, True]
            for _ in range(2):
                wire.b.send(bytes(claim()))
            simulation.settle()
            sent = [Ether(frame) for frame in wire.b.receive()]
        assert [(frame[IP].src, str(frame[TCP].flags)) for frame in sent if TCP in frame] == [(OUR_ADDRESS, "RA")]
        assert [client.ended for client in clients] == [True, False]
        assert "10.99.0.2 is somebody else's address" in str(clients[0].error)


def test_what_is_opened_when_an_address_is_given_up_has_another() -> None:
    """Appliances open their next connection, or socket, from closed()."""
    mine = InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.3/24",), announce=False, give_up=True)
    with stack(interface=mine) as s:

        def again(handler: Recorder, error: BaseException) -> None:
            s.tcp.connect(HOST_ADDRESS, 80, Recorder)
            with pytest.raises(OSError, match="not an address of this node"):
                s.tcp.listen(81, Recorder, address=OUR_ADDRESS)
            handler.calls.append("refused")

        before, _ = s.connect(Recorder(closed=again))
        assert [one.local[0] for one in s.tcp.connections()] == [OUR_ADDRESS]
        s.send_frame(bytes(claim()), bytes(claim()))
        assert [one.local[0] for one in s.tcp.connections()] == ["10.99.0.3"]
        assert before.calls == ["closed", "refused"]


def test_our_own_frames_are_no_conflict() -> None:
    with network_node(config=configured(announce=False)) as node:
        assert node.exchange(claim(mac=OUR_MAC), probe(mac=OUR_MAC)) == []
        assert node.counters()["arp_bad_sender"] == 2
        assert "arp_conflict" not in node.counters()


def test_an_announcement_updates_what_others_know() -> None:
    with network_node(config=configured(announce=False)) as node:
        node.exchange(greet())
        assert node.exchange(claim(mac=THIEF, address=HOST_ADDRESS)) == []
        assert list(node.interface.neighbours) == [(HOST_ADDRESS, THIEF.hex(":"), "reachable")]


def test_probing_stops_with_the_node() -> None:
    with network_node(config=configured(detect_conflicts=True)) as node:
        node.advance(1.5)
    # network_node() sees that nothing stays behind; a timer that fires now would crash.


def test_the_times_are_those_of_the_rfc() -> None:
    second = 10**9
    assert (local.PROBE_WAIT, local.PROBE_NUM, local.PROBE_MIN, local.PROBE_MAX) == (second, 3, second, 2 * second)
    assert (local.ANNOUNCE_WAIT, local.ANNOUNCE_NUM, local.ANNOUNCE_INTERVAL) == (2 * second, 2, 2 * second)
    assert local.DEFEND_INTERVAL == 10 * second
