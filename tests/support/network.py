"""A core with the network layer on one end of a memory wire; the test holds the other end. Time is virtual."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netapp.drivers.memory import MemoryEnd, MemoryWire
from netapp.drivers.polling import AdaptivePolling
from netapp.ebb.core import EVENT_MANAGER, NETWORK_MANAGER, TIMER, EbbRef
from netapp.event.manager import EventManager
from netapp.event.timer import TimerWheel
from netapp.event.virtual import VirtualClock, VirtualInterrupts
from netapp.iobuf.pool import BufferPool
from netapp.net.config import InterfaceConfig
from netapp.net.manager import NetworkManager
from tests.support.pools import PoolCore, core_with_pool

OUR_MAC, HOST_MAC = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b"
OUR_ADDRESS, HOST_ADDRESS = "10.99.0.2", "10.99.0.1"


class Node:
    """Our end of the wire, with an interface on it, and the host's end, which the test plays."""

    def __init__(self, core: PoolCore, wire: MemoryWire, config: InterfaceConfig) -> None:
        self.namespace = core.namespace
        self.pool: BufferPool = core.pool
        self.clock = VirtualClock()
        self.interrupts = VirtualInterrupts(self.clock)
        self.wire = wire
        self.host: MemoryEnd = wire.b
        wire.a.queue.notify = self.interrupts.raise_interrupt
        self.events: EventManager = self._install(EVENT_MANAGER, EventManager(self.clock, self.interrupts))
        self.timers: TimerWheel = self._install(TIMER, TimerWheel())
        self.network: NetworkManager = self._install(NETWORK_MANAGER, NetworkManager())
        self.polling = AdaptivePolling(self.interrupts, spin=0)
        self.interface = self.network.add_interface(wire.a.queue, config)
        self.polling.attach(wire.a.queue)
        self.turn()

    def _install(self, ebb_id: int, ebb: Any) -> Any:
        self.namespace.install(ebb_id, lambda core, ebb_id: ebb)
        return EbbRef(ebb_id)()

    def close(self) -> None:
        self.polling.destroy()
        for ebb_id in (NETWORK_MANAGER, TIMER, EVENT_MANAGER):
            self.namespace.destroy(ebb_id)
        self.wire.close()

    def turn(self) -> None:
        """Turns until there is nothing to do at this time."""
        self.events.turn()
        while self.events.idle_time() == 0:
            self.events.turn()

    def advance(self, seconds: float) -> None:
        """Lets time pass, from timer to timer."""
        end = self.clock.time + round(seconds * 1e9)
        while True:
            self.turn()
            idle = self.events.idle_time()
            if idle < 0 or self.clock.time + idle > end:
                break
            self.clock.advance(idle)
        self.clock.time = end
        self.turn()

    def exchange(self, *frames: Any) -> list[bytes]:
        """Sends the frames (bytes, or what bytes() makes them of), and returns what comes back at once."""
        for frame in frames:
            assert self.host.send(bytes(frame))
        self.turn()
        return self.host.receive()

    def counters(self) -> dict[str, int]:
        """Of the network manager, those that are not 0."""
        return {name: value for name, value in self.network.counters().items() if value}


@contextmanager
def network_node(
    address: str = f"{OUR_ADDRESS}/24", gateway: str | None = None, pool_size: int = 64 << 20, **wire: Any
) -> Iterator[Node]:
    """A node; on the way out every slot, view and chain must be back. `wire`: arguments of MemoryWire."""
    with core_with_pool(pool_size, pool_size >> 6) as core:
        node = Node(core, MemoryWire(**wire), InterfaceConfig(address, gateway))
        try:
            yield node
        finally:
            node.close()
