"""UDP on one end of a memory wire under the virtual clock; the test plays everybody else at the other end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dpkt
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from netapp.drivers.device import Device
from netapp.ebb.core import UDP as UDP_ID
from netapp.ebb.core import EbbRef
from netapp.event.virtual import VirtualEntropy
from netapp.iobuf.chain import Chain
from netapp.net.udp import UdpManager
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node

BROADCAST = "10.99.0.255"


class Recorder(UdpHandler):
    """Writes down what it is told. `script` maps a callback's name to what it does besides."""

    def __init__(self, **script: Any) -> None:
        self.calls: list[str] = []
        self.received: list[bytes] = []
        self.sources: list[Endpoint] = []
        self.errors: list[tuple[OSError, Endpoint]] = []
        self.end: Any = "none yet"
        self.script = script

    def _called(self, name: str, *arguments: Any) -> None:
        self.calls.append(name)
        if name in self.script:
            self.script[name](self, *arguments)

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.received.append(bytes(datagram))
        self.sources.append(source)
        self._called("receive", datagram, source)

    def error(self, error: OSError, destination: Endpoint) -> None:
        self.errors.append((error, destination))
        self._called("error", error, destination)

    def writable(self) -> None:
        self._called("writable")

    def closed(self, error: BaseException | None) -> None:
        self.end = error
        self._called("closed", error)


def echo(handler: Recorder, datagram: Chain, source: Endpoint) -> None:
    """A script for receive()."""
    assert handler.reply(datagram) == 1


class Datagrams:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.udp: UdpManager = EbbRef(UDP_ID)()

    def bind(self, port: int = 7, **arguments: Any) -> Recorder:
        """A socket, by its handler; what is no argument of bind() is the Recorder's script."""
        names = ("address", "broadcast", "ttl", "traffic_class")
        options = {name: arguments.pop(name) for name in names if name in arguments}
        handler = Recorder(**arguments)
        self.udp.bind(port, handler, **options)
        return handler

    def connect(self, port: int = 7, address: str = HOST_ADDRESS, **arguments: Any) -> Recorder:
        handler = arguments.pop("handler", None) or Recorder()
        self.udp.connect(address, port, handler, **arguments)
        return handler

    def greet(self, address: str = HOST_ADDRESS) -> None:
        """The host becomes our neighbour."""
        self.node.exchange(Ether(src=HOST_MAC, dst=b"\xff" * 6) / ARP(hwsrc=HOST_MAC, psrc=address, pdst=OUR_ADDRESS))

    def frame(self, payload: bytes = b"hello", sport: int = 4000, dport: int = 7, **fields: Any) -> bytes:
        """A datagram to us. `src`, `dst`, `mac` and IP's other fields; `len`, `chksum` are UDP's."""
        own = {name: fields.pop(name) for name in ("len", "chksum") if name in fields}
        mac = fields.pop("mac", OUR_MAC)
        header = IP(**{"src": HOST_ADDRESS, "dst": OUR_ADDRESS, **fields})
        return bytes(Ether(src=HOST_MAC, dst=mac) / header / UDP(sport=sport, dport=dport, **own) / payload)

    def arrives(self, payload: bytes = b"hello", **fields: Any) -> list[bytes]:
        """A datagram comes; the frames that ours answers at once."""
        return self.node.exchange(self.frame(payload, **fields))

    def error(self, packet: bytes, type: int = 3, code: int = 3, quoted: int = 28, **fields: Any) -> list[bytes]:
        """An ICMP error comes about a frame of ours."""
        mtu = fields.pop("mtu", 0)
        header = IP(**{"src": HOST_ADDRESS, "dst": OUR_ADDRESS, **fields})
        icmp = ICMP(type=type, code=code, nexthopmtu=mtu) if mtu else ICMP(type=type, code=code)
        return self.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / header / icmp / packet[14 : 14 + quoted])

    def frames(self) -> list[bytes]:
        """Those that ours sent since last asked."""
        self.node.core.settle()
        return self.node.host.receive()

    def frame_sent(self) -> bytes:
        (frame,) = self.frames()
        return frame

    def sent(self) -> list[dpkt.ip.IP]:
        """The packets of frames(); lengths and checksums are verified."""
        return [packet_of(frame) for frame in self.frames()]

    @property
    def counters(self) -> dict[str, int]:
        """Those that are not 0."""
        return {name: value for name, value in self.udp.counters().items() if value}


def packet_of(frame: bytes) -> dpkt.ip.IP:
    """The packet of a frame, which is a datagram's; lengths and checksums are verified."""
    packet = dpkt.ethernet.Ethernet(frame).data
    assert isinstance(packet, dpkt.ip.IP), packet
    assert dpkt.in_cksum(bytes(packet)[:20]) == 0, "bad IP checksum"
    if packet.p == dpkt.ip.IP_PROTO_UDP and not packet.mf and not packet.offset:
        assert packet.data.ulen == len(packet.data) == packet.len - 20
        whole = frame[34 : 14 + packet.len]
        pseudo = packet.src + packet.dst + b"\0\x11" + packet.data.ulen.to_bytes(2, "big")
        assert packet.data.sum != 0 and dpkt.in_cksum(pseudo + whole) == 0, "bad UDP checksum"
    return packet


@contextmanager
def datagrams(
    address: str = f"{OUR_ADDRESS}/24",
    greet: bool = True,
    wrap: Callable[[Device], Device] | None = None,
    **arguments: Any,
) -> Iterator[Datagrams]:
    """On the way out sockets are closed, every slot, view and chain must be back, and nothing may have raised."""
    with network_node(address, wrap=wrap, **arguments) as node:
        node.core.namespace.install(UDP_ID, lambda core, ebb_id: UdpManager(VirtualEntropy(7)))
        made = Datagrams(node)
        if greet:
            made.greet()
        try:
            yield made
        finally:
            node.core.namespace.destroy(UDP_ID)
