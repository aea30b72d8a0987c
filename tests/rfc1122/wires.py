"""A node on two wires, whose other ends are the test's."""

from types import TracebackType
from typing import Any

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from netapp.net.config import InterfaceConfig
from netapp.node.config import NodeConfig
from netapp.node.simulation import SECOND, Simulation
from tests.support.network import HOST_MAC, OUR_MAC

TWO = (
    InterfaceConfig("10.99.0.2/24", gateway="10.99.0.1", announce=False),
    InterfaceConfig("10.98.0.2/24", announce=False),
)


class Wires:
    """On each the test has the neighbour .1, which ours knows where it has that subnet."""

    def __init__(self, interfaces: tuple[InterfaceConfig, ...] = TWO, config: NodeConfig | None = None) -> None:
        self.simulation = Simulation()
        self.interfaces = interfaces
        self.config = config

    def __enter__(self) -> "Wires":
        self.simulation.__enter__()
        wires = [self.simulation.wire() for _ in self.interfaces]
        self.node = self.simulation.node([wire.a for wire in wires], address=self.interfaces, config=self.config)
        self.ends: list[Any] = [wire.b for wire in wires]
        for wire, interface in enumerate(self.interfaces):
            if interface.vlan is None:
                self.greet(wire, str(interface.parsed_address().network[1]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.simulation.__exit__(kind, error, trace)

    def greet(self, wire: int, address: str, tag: Packet | None = None) -> None:
        own = str(self.interfaces[wire].parsed_address().ip)
        arp = ARP(hwsrc=HOST_MAC, psrc=address, pdst=own)
        self.exchange(wire, Ether(src=HOST_MAC, dst=b"\xff" * 6) / (tag / arp if tag else arp))

    def received(self, wire: int) -> list[bytes]:
        with self.simulation.outside:
            self.simulation.settle()
            found: list[bytes] = self.ends[wire].receive()
            return found

    def exchange(self, wire: int, *frames: Packet) -> list[bytes]:
        with self.simulation.outside:
            for frame in frames:
                assert self.ends[wire].send(bytes(frame))
        return self.received(wire)

    def ping(self, wire: int, target: str, source: str) -> list[str]:
        """An echo request; the packets that come back on that wire."""
        frames = self.exchange(wire, Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=source, dst=target) / ICMP(id=1))
        return [f"{frame[IP].src} > {frame[IP].dst}" for frame in map(Ether, frames) if IP in frame]

    def advance(self, seconds: float) -> None:
        self.simulation.advance(round(seconds * SECOND))
