"""A core with the network layer on one end of a memory wire; the test plays the host at the other end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from netapp.drivers.device import Device
from netapp.drivers.memory import MemoryEnd, MemoryWire
from netapp.ebb.core import NETWORK_MANAGER, EbbRef
from netapp.event.virtual import VirtualEntropy
from netapp.net.config import InterfaceConfig
from netapp.net.manager import NetworkManager
from tests.support.pools import PoolCore, core_with_pool

OUR_MAC, HOST_MAC = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b"
OUR_ADDRESS, HOST_ADDRESS = "10.99.0.2", "10.99.0.1"


class Node:
    """Our end of the wire, with an interface on it, and the host's end."""

    def __init__(self, core: PoolCore, device: Device, host: MemoryEnd, config: InterfaceConfig) -> None:
        self.core = core
        self.pool = core.pool
        self.events = core.events
        self.host = host
        core.namespace.install(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager(VirtualEntropy(7)))
        self.network: NetworkManager = EbbRef(NETWORK_MANAGER)()
        self.interface = self.network.add_interface(device.queues[0], config)
        core.attach(device)
        core.settle()

    def advance(self, seconds: float) -> None:
        self.core.advance(round(seconds * 1e9))

    def exchange(self, *frames: Any) -> list[bytes]:
        """Sends the frames (bytes, or what bytes() makes them of), and returns what comes back at once."""
        for frame in frames:
            assert self.host.send(bytes(frame))
        self.core.settle()
        return self.host.receive()

    def counters(self) -> dict[str, int]:
        """Of the network manager, those that are not 0."""
        return {name: value for name, value in self.network.counters().items() if value}


@contextmanager
def network_node(
    address: str = f"{OUR_ADDRESS}/24",
    gateway: str | None = None,
    pool_size: int = 64 << 20,
    wrap: Callable[[Device], Device] | None = None,
    config: InterfaceConfig | None = None,
    **arguments: Any,
) -> Iterator[Node]:
    """A node; on the way out every slot, view and chain must be back, and no handler may have raised.

    `config` says more of the interface; `wrap` puts a device around our end; `arguments` are the MemoryWire's.
    """
    with core_with_pool(pool_size, pool_size >> 6) as core:
        wire = MemoryWire(**arguments)
        device = wrap(wire.a) if wrap else wire.a
        node = Node(core, device, wire.b, config or InterfaceConfig(address, gateway, announce=False))
        if wrap:
            wire.a.queue.notify = core.interrupts.raise_interrupt
        try:
            yield node
            raised = node.events.counters()["exceptions"]
        finally:
            core.namespace.destroy(NETWORK_MANAGER)
            core.polling.detach(device.queues[0])
            device.close()
            wire.close()
        assert not raised, f"{raised} handlers raised"
