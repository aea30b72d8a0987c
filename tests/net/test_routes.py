"""Static routes and gateways: longest prefix, changes under live paths, gateways that died (RFC 1122, 3.3.1)."""

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from netapp.net.config import InterfaceConfig, RouteConfig
from netapp.node.config import NodeConfig
from netapp.node.simulation import SECOND, Simulation
from tests.support.appliances import Client
from tests.support.network import OUR_ADDRESS, OUR_MAC, Node, network_node

BROADCAST = b"\xff" * 6
ROUTERS = {f"10.99.0.{number}": b"\x02\0\0\0\0" + bytes([number]) for number in (1, 8, 9)}


def tell(router: str) -> Ether:
    """The router makes itself known."""
    mac = ROUTERS[router]
    return Ether(src=mac, dst=BROADCAST) / ARP(op=1, hwsrc=mac, psrc=router, pdst=OUR_ADDRESS)


def ping(source: str) -> Ether:
    return Ether(src=ROUTERS["10.99.0.1"], dst=OUR_MAC) / IP(src=source, dst=OUR_ADDRESS) / ICMP(id=1)


def gateway_of(node: Node, source: str) -> str | None:
    """By which router an answer to `source` goes."""
    frames = [Ether(frame) for frame in node.exchange(ping(source))]
    macs = {mac.hex(":"): router for router, mac in ROUTERS.items()}
    answers = [frame for frame in frames if ICMP in frame]
    assert len(answers) <= 1
    return macs[answers[0].dst] if answers else None


def test_the_longest_prefix_goes_first() -> None:
    with network_node(gateway="10.99.0.1") as node:
        node.exchange(*map(tell, ROUTERS))
        node.network.add_route("192.0.2.0/24", "10.99.0.8")
        node.network.add_route("192.0.2.128/25", "10.99.0.9")
        node.network.add_route("192.0.2.200/32", "10.99.0.1")
        assert gateway_of(node, "198.51.100.1") == "10.99.0.1"
        assert gateway_of(node, "192.0.2.1") == "10.99.0.8"
        assert gateway_of(node, "192.0.2.129") == "10.99.0.9"
        assert gateway_of(node, "192.0.2.200") == "10.99.0.1"
        assert node.network.route_table() == [
            "192.0.2.200/32 via 10.99.0.1 dev wire-a",
            "192.0.2.128/25 via 10.99.0.9 dev wire-a",
            "10.99.0.0/24 dev wire-a",
            "192.0.2.0/24 via 10.99.0.8 dev wire-a",
            "0.0.0.0/0 via 10.99.0.1 dev wire-a",
        ]


def test_routes_are_removed() -> None:
    with network_node() as node:
        node.exchange(*map(tell, ROUTERS))
        assert gateway_of(node, "192.0.2.1") is None
        node.network.add_route("default", "10.99.0.8")
        assert gateway_of(node, "192.0.2.1") == "10.99.0.8"
        node.network.remove_route("0.0.0.0/0", "10.99.0.8")
        assert gateway_of(node, "192.0.2.1") is None
        assert node.counters()["ipv4_no_route"] == 2


@pytest.mark.parametrize(
    ("network", "gateway", "interface", "message"),
    [
        ("192.0.2.0/24", "10.98.0.1", None, "via 10.98.0.1: the gateway is on no subnet of ours"),
        ("192.0.2.0/24", OUR_ADDRESS, None, "on no subnet of ours"),
        ("192.0.2.0/24", "10.99.0.255", None, "on no subnet of ours"),
        ("192.0.2.0/24", "10.99.0.1", "wire-b", "on no subnet of wire-b"),
        ("192.0.2.1/24", "10.99.0.1", None, "host bits"),
        ("192.0.2.1", "10.99.0.1", None, "write 192.0.2.1/32"),
        ("there", "10.99.0.1", None, "is no network"),
        ("::/0", "10.99.0.1", None, "IPv6"),
        ("192.0.2.0/24", "router", None, "is no address"),
        ("198.51.100.0/24", "10.99.0.1", "wire-a", "there already"),
    ],
)
def test_refused(network: str, gateway: str, interface: str | None, message: str) -> None:
    with network_node() as node:
        node.network.add_route("198.51.100.0/24", "10.99.0.1")
        before = node.network.route_table()
        with pytest.raises(ValueError, match=message) as caught:
            node.network.add_route(network, gateway, interface)
        assert "\n" not in str(caught.value)
        assert node.network.route_table() == before


def test_a_route_that_is_not_there_is_not_removed() -> None:
    with network_node(gateway="10.99.0.1") as node:
        for network, gateway in [("default", "10.99.0.8"), ("192.0.2.0/24", "10.99.0.1")]:
            with pytest.raises(ValueError, match="there is no route to"):
                node.network.remove_route(network, gateway)


def test_the_configuration_has_routes() -> None:
    interface = InterfaceConfig(f"{OUR_ADDRESS}/24", announce=False)
    with pytest.raises(ValueError, match="on no subnet of ours"):
        NodeConfig(interfaces=(interface,), routes=(RouteConfig("192.0.2.0/24", "10.98.0.1"),))
    with Simulation() as simulation:
        config = NodeConfig(routes=(RouteConfig("192.0.2.0/24", "10.99.0.8"),))
        node = simulation.node(simulation.wire().a, address=[interface], config=config)
        assert node.network.route("192.0.2.1") == "192.0.2.1 via 10.99.0.8 dev wire-a src 10.99.0.2"


# --- live paths ------------------------------------------------------------------------------------------------------


class Remote:
    """A host behind routers on the wire: answers ARP for those that live, and notes who was given each segment."""

    def __init__(self, simulation: Simulation, routes: tuple[RouteConfig, ...], **options: object) -> None:
        self.simulation = simulation
        self.wire = simulation.wire()
        interface = InterfaceConfig(f"{OUR_ADDRESS}/24", announce=False)
        self.node = simulation.node(self.wire.a, address=[interface], config=NodeConfig(routes=routes))
        self.alive = set(ROUTERS)
        self.asked: list[str] = []
        self.given: list[str] = []

    def answer(self) -> None:
        macs = {mac.hex(":"): router for router, mac in ROUTERS.items()}
        with self.simulation.outside:
            for frame in map(Ether, self.wire.b.receive()):
                if ARP not in frame:
                    self.given.append(macs[frame.dst])
                    continue
                router = frame[ARP].pdst
                self.asked.append(router)
                if router in self.alive:
                    mac = ROUTERS[router]
                    arp = ARP(op=2, hwsrc=mac, psrc=router, hwdst=OUR_MAC, pdst=OUR_ADDRESS)
                    self.wire.b.send(bytes(Ether(src=mac, dst=OUR_MAC) / arp))

    def advance(self, seconds: float) -> None:
        end = self.simulation.clock.time + round(seconds * SECOND)
        while self.simulation.clock.time < end:
            self.simulation.advance(SECOND // 10)
            self.answer()

    def connect(self) -> None:
        with self.node.core:
            self.node.tcp.connect("192.0.2.1", 80, Client)
        self.simulation.settle()
        self.answer()
        self.simulation.settle()
        self.answer()


def test_a_live_path_follows_the_route() -> None:
    with Simulation() as simulation:
        remote = Remote(simulation, (RouteConfig("default", "10.99.0.1"),))
        remote.connect()
        assert remote.given == ["10.99.0.1"]  # the SYN
        with remote.node.core:
            remote.node.network.add_route("192.0.2.0/24", "10.99.0.8")
        remote.advance(1.5)
        assert remote.given == ["10.99.0.1", "10.99.0.8"]
        with remote.node.core:
            remote.node.network.remove_route("192.0.2.0/24", "10.99.0.8")
        remote.advance(2)
        assert remote.given == ["10.99.0.1", "10.99.0.8", "10.99.0.1"]
        assert remote.asked == ["10.99.0.1", "10.99.0.8"]  # a change of routes forgets no neighbour
        with remote.node.core:
            remote.node.network.remove_route("default", "10.99.0.1")
        before = remote.node.counters()["NetworkManager"]["ipv4_no_route"]
        remote.advance(10)
        assert len(remote.given) == 3
        assert remote.node.counters()["NetworkManager"]["ipv4_no_route"] > before


def test_another_default_gateway_is_taken_when_one_does_not_answer() -> None:
    routes = (RouteConfig("default", "10.99.0.1"), RouteConfig("default", "10.99.0.8"))
    with Simulation() as simulation:
        remote = Remote(simulation, routes)
        remote.alive = {"10.99.0.8"}
        remote.connect()
        remote.advance(10)
        # Four times, once a second, then it is taken for dead; and once more when the next packet takes the other.
        assert remote.asked == ["10.99.0.1"] * 4 + ["10.99.0.1", "10.99.0.8"]
        assert remote.given and set(remote.given) == {"10.99.0.8"}
        # What begins now does not wait for the dead one, but asks whether it is back …
        before = len(remote.given)
        remote.connect()
        assert remote.given[before:] == ["10.99.0.8"]
        assert remote.asked.count("10.99.0.1") == 6
        # … and goes by it when it is.
        remote.alive = set(ROUTERS)
        remote.advance(1)
        remote.connect()
        remote.connect()
        assert remote.given[-1] == "10.99.0.1"


def test_a_gateway_that_dies_under_a_live_path_is_left() -> None:
    routes = (RouteConfig("default", "10.99.0.1"), RouteConfig("default", "10.99.0.8"))
    with Simulation() as simulation:
        remote = Remote(simulation, routes)
        remote.connect()
        assert remote.given == ["10.99.0.1"]
        remote.alive = {"10.99.0.8"}
        # The third retransmission, after 7 s, has it asked (R1: RFC 9293, 3.8.3); it is dead when the fourth goes out.
        remote.advance(14)
        assert set(remote.given) == {"10.99.0.1"}
        remote.advance(2)
        assert remote.given[-1] == "10.99.0.8"
        assert remote.asked.count("10.99.0.1") == 1 + 4 + 1


def test_a_gateway_is_asked_again_after_a_minute() -> None:
    """Whether or not somebody doubts it."""
    with network_node(gateway="10.99.0.1") as node:
        node.network.add_route("default", "10.99.0.8")
        node.exchange(*map(tell, ROUTERS))
        assert gateway_of(node, "192.0.2.1") == "10.99.0.1"
        node.advance(60)
        assert gateway_of(node, "192.0.2.1") == "10.99.0.1"
        node.advance(3.9)
        assert gateway_of(node, "192.0.2.1") == "10.99.0.1"
        node.advance(0.1)
        node.exchange(tell("10.99.0.8"))
        assert gateway_of(node, "192.0.2.1") == "10.99.0.8"
