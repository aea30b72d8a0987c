"""Several addresses an interface, several interfaces a node (RFC 1122, 3.3.4.2: the strong model)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether

from netapp.net.config import InterfaceConfig
from netapp.node.node import Node
from netapp.node.simulation import Simulation
from tests.support.appliances import Client
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_MAC, network_node

BROADCAST = b"\xff" * 6
TWO = InterfaceConfig("10.99.0.2/24", secondary=("10.99.0.3/24", "10.98.0.2/24"), announce=False)


def ask(target: str, sender: str = HOST_ADDRESS) -> Ether:
    return Ether(src=HOST_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=HOST_MAC, psrc=sender, pdst=target)


def ping(target: str, source: str = HOST_ADDRESS, mac: bytes = OUR_MAC, **fields: Any) -> Ether:
    return Ether(src=HOST_MAC, dst=mac) / IP(src=source, dst=target, **fields) / ICMP(id=1)


def shown(frames: list[bytes]) -> list[str]:
    """'who-has X tell Y', 'X is-at', 'X > Y' for each frame."""
    lines = []
    for frame in map(Ether, frames):
        if ARP in frame:
            arp = frame[ARP]
            lines.append(f"who-has {arp.pdst} tell {arp.psrc}" if arp.op == 1 else f"{arp.psrc} is-at")
        else:
            lines.append(f"{frame[IP].src} > {frame[IP].dst}")
    return lines


def test_every_address_is_answered_for_and_answers() -> None:
    with network_node(config=TWO) as node:
        assert node.interface.addresses == ["10.99.0.2/24", "10.99.0.3/24", "10.98.0.2/24"]
        assert shown(node.exchange(ask("10.99.0.2"))) == ["10.99.0.2 is-at"]
        assert shown(node.exchange(ask("10.99.0.3"))) == ["10.99.0.3 is-at"]
        assert shown(node.exchange(ask("10.98.0.2", "10.98.0.1"))) == ["10.98.0.2 is-at"]
        assert shown(node.exchange(ask("10.99.0.4"))) == []
        assert shown(node.exchange(ping("10.99.0.2"))) == ["10.99.0.2 > 10.99.0.1"]
        assert shown(node.exchange(ping("10.99.0.3"))) == ["10.99.0.3 > 10.99.0.1"]
        assert shown(node.exchange(ping("10.98.0.2", "10.98.0.1"))) == ["10.98.0.2 > 10.98.0.1"]
        # From an address of another subnet of the same interface, too: the answer's source is what was asked.
        assert shown(node.exchange(ping("10.98.0.2"))) == ["10.98.0.2 > 10.99.0.1"]


def test_a_neighbour_is_asked_from_the_address_on_its_subnet() -> None:
    with network_node(config=TWO) as node:
        assert shown(node.exchange(ping("10.99.0.2", "10.98.0.7"))) == ["who-has 10.98.0.7 tell 10.98.0.2"]
        assert shown(node.exchange(ping("10.98.0.2", "10.99.0.7"))) == ["who-has 10.99.0.7 tell 10.99.0.2"]
        assert node.network.route("10.98.0.9") == "10.98.0.9 dev wire-a src 10.98.0.2"
        assert node.network.route("10.99.0.9") == "10.99.0.9 dev wire-a src 10.99.0.2"


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (ping("10.99.0.2", "10.99.0.3"), "ipv4_bad_source"),
        (ping("10.99.0.2", "10.98.0.2"), "ipv4_bad_source"),
        (ping("10.99.0.2", "10.98.0.255"), "ipv4_bad_source"),
        (ping("10.98.0.2", "10.98.0.1", BROADCAST), "ipv4_link_broadcast"),
        (ping("10.98.0.3", "10.98.0.1"), "ipv4_not_ours"),
        (ping("10.98.0.255", "10.98.0.1", BROADCAST), "icmp_echo_to_group"),
        (ping("10.99.0.255", "10.98.0.1", BROADCAST), "icmp_echo_to_group"),
        (ask("10.98.0.2", "10.98.0.255"), "arp_bad_sender"),
        (ask("10.98.0.2", "10.98.0.0"), "arp_bad_sender"),
    ],
)
def test_dropped(frame: Ether, counter: str) -> None:
    with network_node(config=TWO) as node:
        assert node.exchange(frame) == []
        assert node.counters()[counter] == 1


@contextmanager
def two_wires(*configs: InterfaceConfig) -> Iterator[tuple[Simulation, Node, list[Any]]]:
    """A node between two wires, whose other ends are the test's."""
    with Simulation() as simulation:
        wires = [simulation.wire(), simulation.wire()]
        node = simulation.node([wire.a for wire in wires], address=configs or TWO_INTERFACES)
        yield simulation, node, [wire.b for wire in wires]


TWO_INTERFACES = (
    InterfaceConfig("10.99.0.2/24", gateway="10.99.0.1", announce=False),
    InterfaceConfig("10.98.0.2/24", announce=False),
)


def exchange(simulation: Simulation, end: Any, *frames: Ether) -> list[str]:
    with simulation.outside:
        for frame in frames:
            assert end.send(bytes(frame))
        simulation.settle()
        return shown(end.receive())


def test_each_interface_has_its_own_addresses() -> None:
    with two_wires() as (simulation, node, (first, second)):
        assert exchange(simulation, first, ask("10.99.0.2")) == ["10.99.0.2 is-at"]
        assert exchange(simulation, second, ask("10.98.0.2", "10.98.0.1")) == ["10.98.0.2 is-at"]
        assert exchange(simulation, first, ping("10.99.0.2")) == ["10.99.0.2 > 10.99.0.1"]
        assert exchange(simulation, second, ping("10.98.0.2", "10.98.0.1")) == ["10.98.0.2 > 10.98.0.1"]
        with node.core:
            assert node.network.route("10.98.0.9") == "10.98.0.9 dev wire-a src 10.98.0.2"


def test_an_address_is_reached_over_its_interface_only() -> None:
    with two_wires() as (simulation, node, (first, second)):
        assert exchange(simulation, first, ping("10.98.0.2")) == []
        assert exchange(simulation, second, ping("10.99.0.2", "10.98.0.1")) == []
        assert exchange(simulation, second, ask("10.99.0.2", "10.98.0.1")) == []
        counters = node.counters()["NetworkManager"]
        assert counters["ipv4_other_interface"] == 2 and counters["icmp_received"] == 0
        assert exchange(simulation, first, ping("10.99.0.2", "10.98.0.2")) == []  # from an address of ours
        assert node.counters()["NetworkManager"]["ipv4_bad_source"] == 1


def test_what_leaves_from_an_address_leaves_by_its_interface() -> None:
    with two_wires() as (simulation, node, (first, second)):
        # The way back to 192.0.2.1 is by the first interface's gateway, which the second's address cannot take.
        assert exchange(simulation, second, ping("10.98.0.2", "192.0.2.1")) == []
        assert node.counters()["NetworkManager"]["ipv4_no_route"] == 1
        assert exchange(simulation, first) == []
        assert exchange(simulation, first, ping("10.99.0.2", "192.0.2.1")) == ["who-has 10.99.0.1 tell 10.99.0.2"]
        with node.core:
            node.network.add_route("192.0.2.0/24", "10.98.0.1")
        assert exchange(simulation, second, ping("10.98.0.2", "192.0.2.1")) == ["who-has 10.98.0.1 tell 10.98.0.2"]


def syn(target: str, source: str, port: int) -> Ether:
    return Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=source, dst=target) / TCP(sport=4000, dport=port, flags="S", seq=1)


def test_tcp_answers_from_the_address_that_was_asked() -> None:
    with two_wires(TWO, InterfaceConfig("10.97.0.2/24", announce=False)) as (simulation, node, (first, second)):
        with node.core:
            node.tcp.listen(7, Client)
            node.tcp.listen(8, Client, address="10.98.0.2")
        for sender in ("10.99.0.1", "10.98.0.1"):
            exchange(simulation, first, ask("10.99.0.2", sender), ask("10.98.0.2", sender))
        assert exchange(simulation, first, syn("10.99.0.3", HOST_ADDRESS, 7)) == ["10.99.0.3 > 10.99.0.1"]
        assert exchange(simulation, first, syn("10.98.0.2", "10.98.0.1", 8)) == ["10.98.0.2 > 10.98.0.1"]
        refused = exchange(simulation, first, syn("10.99.0.3", HOST_ADDRESS, 8))
        assert refused == ["10.99.0.3 > 10.99.0.1"]  # the reset, too
        assert node.tcp.counters()["resets_out"] == 1
        assert exchange(simulation, second, syn("10.99.0.2", "10.97.0.1", 7)) == []


def test_a_connection_is_made_from_the_address_that_is_asked_for() -> None:
    refused = [("10.97.0.2", "no route .* from 10.97.0.2"), ("10.99.0.4", "not an address of this node")]
    with two_wires(TWO, InterfaceConfig("10.97.0.2/24", announce=False)) as (simulation, node, (first, _)):
        exchange(simulation, first, ask("10.99.0.2"))
        with node.core:
            node.tcp.connect(HOST_ADDRESS, 7, Client)
            node.tcp.connect(HOST_ADDRESS, 7, Client, local_address="10.99.0.3")
            node.tcp.connect(HOST_ADDRESS, 7, Client, local_address="10.98.0.2")
            for address, message in refused:
                with pytest.raises(OSError, match=message):
                    node.tcp.connect(HOST_ADDRESS, 7, Client, local_address=address)
            with pytest.raises(ValueError, match="no IP address"):
                node.tcp.connect(HOST_ADDRESS, 7, Client, local_address="here")
        assert exchange(simulation, first) == [f"10.{n} > 10.99.0.1" for n in ("99.0.2", "99.0.3", "98.0.2")]


def test_two_nodes_talk_over_the_second_of_two_wires() -> None:
    with Simulation() as simulation:
        wires = [simulation.wire(), simulation.wire()]
        node = simulation.node([wire.a for wire in wires], address=TWO_INTERFACES)
        other = simulation.node(wires[1].b, address="10.98.0.1/24")
        with node.core:
            node.tcp.listen(7, Client)
        client = Client()
        with other.core:
            other.tcp.connect("10.98.0.2", 7, lambda: client)
        simulation.run_until(lambda: client.connection is not None and client.connection.state_name == "ESTABLISHED")
        assert client.connection is not None and client.connection.remote == ("10.98.0.2", 7)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([InterfaceConfig("10.99.0.2/24"), InterfaceConfig("10.99.0.2/16")], "10.99.0.2 is on two interfaces"),
        ([InterfaceConfig("10.99.0.2/24"), InterfaceConfig("10.98.0.2/16", device=0)], "device 0 has an interface twi"),
        ([InterfaceConfig("10.99.0.2/24")], "2 devices, and interfaces on 1"),
    ],
)
def test_interfaces_that_do_not_fit_are_refused(configs: list[InterfaceConfig], message: str) -> None:
    with Simulation() as simulation, pytest.raises(ValueError, match=message):
        simulation.node([simulation.wire().a, simulation.wire().a], address=configs)
