"""The stack under test, on one end of a memory wire under the virtual clock; whoever drives it is the network."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netapp.drivers.memory import MemoryWire
from netapp.ebb.core import CONGESTION_CONTROL, NETWORK_MANAGER, TIMER, EbbRef
from netapp.ebb.core import TCP as TCP_ID
from netapp.ebb.core import UDP as UDP_ID
from netapp.event.virtual import VirtualEntropy
from netapp.net.manager import NetworkManager
from netapp.net.udp import UdpManager
from netapp.tcp.congestion.reno import Reno
from netapp.tcp.connection import live_connections
from netapp.tcp.manager import TcpManager
from tests.packets.configuration import Configuration
from tests.packets.wire import LivePacket, parse
from tests.support.pools import PoolCore, core_with_pool

_ARP, _IPV4 = b"\x08\x06", b"\x08\x00"
_TURNS = 100_000


class Host:
    """Times are ns since the script began."""

    def __init__(self, core: PoolCore, configuration: Configuration) -> None:
        self.core = core
        self.configuration = configuration
        self.begun = core.clock.time
        self.wire = MemoryWire(mtu=configuration.mtu, features_a=configuration.features, features_b=0, capacity=4096)
        names = core.namespace
        names.install(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager())
        names.install(CONGESTION_CONTROL, lambda core, ebb_id: Reno())
        names.install(TCP_ID, lambda core, ebb_id: TcpManager(configuration.tcp, VirtualEntropy(7)))
        names.install(UDP_ID, lambda core, ebb_id: UdpManager(VirtualEntropy(8)))
        self.network: NetworkManager = EbbRef(NETWORK_MANAGER)()
        self.network.add_interface(self.wire.a.queues[0], configuration.interface())
        core.attach(self.wire.a)
        self.tcp: TcpManager = EbbRef(TCP_ID)()
        self.udp: UdpManager = EbbRef(UDP_ID)()
        self.local = socket.inet_aton(configuration.local_ip)
        self.remote = socket.inet_aton(configuration.remote_ip)
        self.sent: list[LivePacket] = []  # what the stack sent and nobody looked at yet, in order
        self.when_settled: Callable[[], bool] = lambda: False  # called with nothing to do; whether it did something
        self.settle()

    @property
    def now(self) -> int:
        return self.core.clock.time - self.begun

    def settle(self) -> None:
        """Until there is nothing to do now."""
        for _ in range(_TURNS):
            self.core.settle()
            if not self._collect() and not self.when_settled():
                return
        raise AssertionError("the stack sends without end")

    def _collect(self) -> bool:
        """Takes what was sent; whether ARP was answered, so that there is more to do."""
        answered = False
        for frame in self.wire.b.receive():
            if frame[12:14] == _ARP:
                answered |= self._answer_arp(frame)
            else:
                assert frame[12:14] == _IPV4, frame.hex()
                self.sent.append(parse(self.now, frame[14:]))
        return answered

    def _answer_arp(self, request: bytes) -> bool:
        operation, asks, address, wanted = request[20:22], request[22:28], request[28:32], request[38:42]
        if operation != b"\0\x01" or wanted == self.local:
            return False
        own = self.wire.b.mac
        reply = asks + own + _ARP + request[14:20] + b"\0\x02" + own + wanted + asks + address
        return self.wire.b.send(reply)

    def send(self, packet: bytes) -> None:
        """An IP packet arrives."""
        assert self.wire.b.send(self.wire.a.mac + self.wire.b.mac + _IPV4 + packet)
        self.settle()

    def advance(self, until: int) -> None:
        """Lets time pass, stopping at every timer on the way."""
        self.settle()
        while self.now < until:
            self._step(until)

    def wait(self, until: int) -> bool:
        """Lets time pass up to the next packet that the stack sends; False: none by then."""
        self.settle()
        while not self.sent:
            if self.now >= until:
                return False
            self._step(until)
        return True

    def _step(self, until: int) -> None:
        idle = self.core.events.idle_time()
        left = until - self.now
        self.core.clock.advance(left if idle < 0 else min(max(idle, 1), left))
        self.settle()


@contextmanager
def host(configuration: Configuration) -> Iterator[Host]:
    """On the way out nothing may be left of it, and no exception may have come out of the stack: AssertionError."""
    live = live_connections()
    with core_with_pool(configuration.pool_bytes, configuration.pool_reserve) as core:
        made = Host(core, configuration)
        try:
            yield made
            raised = core.events.counters()["exceptions"] + EbbRef(TIMER)().counters()["exceptions"]
            assert not raised, f"{raised} exceptions came out of the stack"
            raised = made.tcp.counters()["callback_exceptions"] + made.udp.counters()["callback_exceptions"]
            assert not raised, f"{raised} exceptions came out of handlers"
        finally:
            made.when_settled = lambda: False
            for ebb_id in (TCP_ID, UDP_ID, CONGESTION_CONTROL):
                core.namespace.destroy(ebb_id)
            core.polling.detach(made.wire.a.queues[0])
            core.namespace.destroy(NETWORK_MANAGER)
            made.wire.close()
        del made
        if live_connections() > live:
            gc.collect()
        assert live_connections() <= live, f"{live_connections() - live} connections are still alive"
