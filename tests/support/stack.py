"""A whole stack under the virtual clock, and a peer whose every segment the test makes."""

import gc
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dpkt
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from netapp.drivers.memory import MemoryWire
from netapp.ebb.core import CONGESTION_CONTROL, NETWORK_MANAGER, TIMER, EbbRef
from netapp.ebb.core import TCP as TCP_ID
from netapp.event.virtual import VirtualEntropy
from netapp.iobuf.chain import Chain
from netapp.net.config import InterfaceConfig
from netapp.net.manager import NetworkManager
from netapp.tcp.config import TcpConfig
from netapp.tcp.congestion.reno import Reno
from netapp.tcp.connection import Connection, live_connections
from netapp.tcp.handler import TcpHandler
from netapp.tcp.manager import TcpManager
from netapp.wire.checksum import checksum
from tests.support.pools import PoolCore, core_with_pool

OURS, THEIRS = "10.99.0.2", "10.99.0.1"
MS = 1_000_000
SECOND = 1_000_000_000


class Recorder(TcpHandler):
    """Writes down what it is told. `script` maps a callback's name to what it does besides."""

    def __init__(self, **script: Any) -> None:
        self.calls: list[Any] = []
        self.data = b""
        self.error: BaseException | None = None
        self.script = script

    def _called(self, name: str, *arguments: Any) -> None:
        self.calls.append(name)
        if name in self.script:
            self.script[name](self, *arguments)

    def connected(self) -> None:
        self._called("connected")

    def receive(self, data: Chain) -> None:
        self.data += bytes(data)
        self._called("receive", data)

    def peer_closed(self) -> None:
        self._called("peer_closed")

    def writable(self) -> None:
        self._called("writable")

    def urgent(self, left: int) -> None:
        self._called("urgent", left)

    def delivery_delayed(self) -> None:
        # It comes in whatever test loses segments; who wants to see it says so.
        if "delivery_delayed" in self.script:
            self._called("delivery_delayed")

    def closed(self, error: BaseException | None) -> None:
        self.error = error
        self._called("closed", error)


class Stack:
    """Ours is one end of a memory wire, the test the other."""

    def __init__(
        self,
        core: PoolCore,
        config: TcpConfig,
        interface: InterfaceConfig,
        features: int,
        mtu: int,
        capacity: int,
        seed: int,
    ) -> None:
        self.core = core
        self.config = config
        self.wire = MemoryWire(mtu=mtu, features_a=features, features_b=0, capacity=capacity)
        self.end = self.wire.b
        names = core.namespace
        names.install(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager())
        names.install(CONGESTION_CONTROL, lambda core, ebb_id: Reno())
        names.install(TCP_ID, lambda core, ebb_id: TcpManager(config, VirtualEntropy(seed)))
        self.network: NetworkManager = EbbRef(NETWORK_MANAGER)()
        self.network.add_interface(self.wire.a.queues[0], interface)
        core.attach(self.wire.a)
        self.tcp: TcpManager = EbbRef(TCP_ID)()
        self.listener: Any = None

    @property
    def now(self) -> int:
        return self.core.clock.time

    def send_frame(self, *frames: bytes) -> None:
        """They arrive in one turn."""
        for frame in frames:
            assert self.end.send(frame)
        self.core.settle()

    def frames(self) -> list[bytes]:
        """What ours sent since last asked, ARP apart, which is answered here."""
        self.core.settle()
        found = []
        while new := self.end.receive():
            for frame in new:
                ethernet = dpkt.ethernet.Ethernet(frame)
                if ethernet.type == dpkt.ethernet.ETH_TYPE_ARP:
                    self._answer_arp(ethernet)
                else:
                    found.append(frame)
            self.core.settle()
        return found

    def _answer_arp(self, request: dpkt.ethernet.Ethernet) -> None:
        if request.arp.op != dpkt.arp.ARP_OP_REQUEST:
            return
        answer = dpkt.arp.ARP(
            op=dpkt.arp.ARP_OP_REPLY, sha=self.end.mac, spa=request.arp.tpa, tha=request.arp.sha, tpa=request.arp.spa
        )
        self.end.send(bytes(dpkt.ethernet.Ethernet(dst=request.src, src=self.end.mac, type=0x0806, data=bytes(answer))))

    def segments(self) -> list[dpkt.tcp.TCP]:
        """The TCP segments that ours sent since last asked; every checksum is verified."""
        found = []
        for frame in self.frames():
            ip = dpkt.ethernet.Ethernet(frame).data
            assert isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.tcp.TCP)
            segment = ip.data
            total = bytes(ip)[20:]
            pseudo = ip.src + ip.dst + b"\0\x06" + len(total).to_bytes(2, "big")
            assert dpkt.in_cksum(pseudo + total) == 0, "bad TCP checksum"
            assert dpkt.in_cksum(bytes(ip)[:20]) == 0, "bad IP checksum"
            found.append(segment)
        return found

    def advance(self, nanoseconds: int) -> None:
        self.core.advance(nanoseconds)

    def until_sent(self, limit: int = 600 * SECOND) -> tuple[int, list[dpkt.tcp.TCP]]:
        """Lets time pass until ours sends something: how long it took, ns, and the segments; none by the limit: []."""
        begun = self.now
        while True:
            found = self.segments()
            if found or self.now - begun >= limit:
                return self.now - begun, found
            idle = self.core.events.idle_time()
            left = begun + limit - self.now
            self.core.clock.advance(left if idle < 0 else min(max(idle, 1), left))

    def listen(self, port: int = 7, factory: Any = None, **options: Any) -> list[Recorder]:
        """Listens; the handlers that are made appear in the list."""
        made: list[Recorder] = []

        def make() -> TcpHandler:
            handler = factory() if factory else Recorder()
            made.append(handler)
            return handler

        self.listener = self.tcp.listen(port, make, **options)
        return made

    def peer(self, **options: Any) -> "Peer":
        return Peer(self, **options)

    def echo(self, port: int = 7) -> list[Recorder]:
        return self.listen(port, lambda: Recorder(receive=lambda self, data: self.send(data)))

    def connect(self, handler: TcpHandler | None = None, port: int = 80, **options: Any) -> tuple[Any, "Peer"]:
        """Ours begins to connect; the peer has our SYN, as `peer.syn`."""
        handler = handler or Recorder()
        connection = self.tcp.connect(THEIRS, port, lambda: handler, **options)
        peer = Peer(self, port=port, to=connection.local[1])
        peer.syn = peer.one()
        assert flags_of(peer.syn) == "S"
        return handler, peer

    @property
    def counters(self) -> dict[str, int]:
        return self.tcp.counters()

    def state(self) -> str:
        """Of the only connection; CLOSED when there is none."""
        states = [connection.state_name for connection in self.tcp.connections()]
        assert len(states) < 2, states
        return states[0] if states else "CLOSED"


class Peer:
    """The other end of one connection. Sequence numbers are those of the wire; `seq` and `ack` follow what passes."""

    def __init__(
        self, stack: Stack, port: int = 40000, to: int = 7, isn: int = 1000, window: int = 65535, address: str = OURS
    ) -> None:
        self.stack = stack
        self.port, self.to, self.address = port, to, address
        self.seq, self.ack = isn, 0
        self.window = window
        self.received = b""
        self.ours = stack.wire.a.mac
        self.syn: Any = None

    def frame(self, flags: str, payload: bytes = b"", **fields: Any) -> bytes:
        segment = TCP(
            sport=self.port,
            dport=self.to,
            flags=flags,
            seq=fields.pop("seq", self.seq) % 2**32,
            ack=fields.pop("ack", self.ack) % 2**32 if "A" in flags else fields.pop("ack", 0),
            window=fields.pop("window", self.window),
            options=fields.pop("options", []),
            **fields,
        )
        return bytes(
            Ether(src=self.stack.end.mac, dst=self.ours) / IP(src=THEIRS, dst=self.address) / segment / payload
        )

    def send(self, flags: str, payload: bytes = b"", **fields: Any) -> None:
        """Sends a segment; the sequence number moves on over its text, SYN and FIN unless `seq` was given."""
        fixed = "seq" in fields
        self.stack.send_frame(self.frame(flags, payload, **fields))
        if not fixed:
            self.seq = (self.seq + len(payload) + ("S" in flags) + ("F" in flags)) % 2**32

    def get(self) -> list[dpkt.tcp.TCP]:
        """The segments that arrived for this peer; in-order text is taken, and `ack` moves on."""
        found = []
        for segment in self.stack.segments():
            assert (segment.sport, segment.dport) == (self.to, self.port), "a segment of another connection"
            found.append(segment)
            if segment.flags & dpkt.tcp.TH_SYN:
                self.ack = (segment.seq + 1) % 2**32
            elif (self.ack - segment.seq) % 2**32 < 2**31:
                fresh = bytes(segment.data)[(self.ack - segment.seq) % 2**32 :]
                self.received += fresh
                self.ack = (self.ack + len(fresh)) % 2**32
                if segment.flags & dpkt.tcp.TH_FIN and (segment.seq + len(segment.data)) % 2**32 == self.ack:
                    self.ack = (self.ack + 1) % 2**32
        return found

    def one(self) -> dpkt.tcp.TCP:
        """Exactly one segment arrived."""
        found = self.get()
        assert len(found) == 1, found
        return found[0]

    def nothing(self) -> None:
        found = self.get()
        assert not found, found

    def open(self, mss: int = 1460, scale: int | None = None, **fields: Any) -> "Peer":
        """The handshake of a connection that this peer opens; `scale`: it offers window scaling."""
        options: list[Any] = [("MSS", mss)]
        if scale is not None:
            options += [("NOP", None), ("WScale", scale)]
        fields.setdefault("options", options)
        self.send("S", **fields)
        self.syn = self.one()
        assert flags_of(self.syn) == "SA" and self.syn.ack == self.seq
        self.send("A")
        return self

    def accept(self, mss: int = 1460, **fields: Any) -> "Peer":
        """Answers the SYN of a connection that ours opens."""
        fields.setdefault("options", [("MSS", mss)])
        self.send("SA", **fields)
        assert flags_of(self.one()) == "A"
        return self

    def acknowledge(self, **fields: Any) -> None:
        self.send("A", **fields)


def flags_of(segment: dpkt.tcp.TCP) -> str:
    return "".join(letter for bit, letter in enumerate("FSRPAUEC") if segment.flags & 1 << bit)


@contextmanager
def stack(
    config: TcpConfig | None = None,
    features: int = 0,
    mtu: int = 1500,
    pool: int = 64 << 20,
    reserve: int = 1 << 20,
    capacity: int = 1024,
    seed: int = 7,
    interface: InterfaceConfig | None = None,
) -> Iterator[Stack]:
    """On the way out connections are reset, and nothing may be left: no slot, no connection object; and no exception
    may have come out of the stack."""
    live = live_connections()
    with core_with_pool(pool, reserve) as core:
        own = interface or InterfaceConfig(f"{OURS}/24", announce=False)
        made = Stack(core, config or TcpConfig(), own, features, mtu, capacity, seed)
        try:
            yield made
            raised = core.events.counters()["exceptions"] + EbbRef(TIMER)().counters()["exceptions"]
            assert not raised, f"{raised} exceptions came out of the stack"
        finally:
            for ebb_id in (TCP_ID, CONGESTION_CONTROL):
                core.namespace.destroy(ebb_id)
            core.polling.detach(made.wire.a.queues[0])
            core.namespace.destroy(NETWORK_MANAGER)
            made.wire.close()
        del made
        if live_connections() > live:
            gc.collect()
        assert live_connections() <= live, f"{live_connections() - live} connections are still alive"


def connection_of(handler: TcpHandler) -> Connection:
    assert handler.connection is not None
    return handler.connection


def parse(frame: bytes) -> dpkt.tcp.TCP:
    """The TCP segment of a frame."""
    return dpkt.ethernet.Ethernet(frame).data.data


def tcp_options(segment: dpkt.tcp.TCP) -> dict[int, bytes]:
    """By kind, those with a value."""
    return {kind: value for kind, value in dpkt.tcp.parse_opts(segment.opts) if kind > 1}


_IP = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 6, 0, bytes([10, 99, 0, 1]), bytes([10, 99, 0, 2]))
_ETHERNET = b"\x02\0\0\0\0\x0a\x02\0\0\0\0\x0b\x08\0"


def frame(port: int, seq: int, ack: int, flags: int, text: bytes = b"") -> bytes:
    """To port 7 of ours; made faster than by scapy."""
    segment = struct.pack(">HHIIBBHHH", port, 7, seq, ack, 0x50, flags, 65535, 0, 0) + text
    total = checksum(_IP[12:] + b"\0\x06" + len(segment).to_bytes(2, "big") + segment)
    header = _IP[:2] + (20 + len(segment)).to_bytes(2, "big") + _IP[4:]
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return _ETHERNET + header + segment[:16] + total.to_bytes(2, "big") + segment[18:]
