"""An appliance on a node under the virtual clock, and clients of it on another node."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, NamedTuple

from netapp.cli.find import find_appliance
from netapp.drivers.device import Device
from netapp.iobuf.chain import live_chains
from netapp.node.appliance import Appliance
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.platform import Platform
from netapp.node.simulation import SECOND, Simulation
from netapp.tcp.handler import TcpHandler

SERVER, CLIENT = "10.99.0.2", "10.99.0.1"
BUILDS = ("compiled", "uncompiled")


@cache
def appliance(name: str, build: str) -> type[Appliance]:
    compiled = find_appliance(name)  # first: else its sources would stay what others import
    return find_appliance(name, uncompiled=True) if build == "uncompiled" else compiled


class Client(TcpHandler):
    """Collects what comes; does not close when the server does, unless told."""

    def __init__(self) -> None:
        self.received = b""
        self.is_connected = self.server_closed = self.ended = False
        self.error: OSError | None = None

    def connected(self) -> None:
        self.is_connected = True

    def receive(self, data: Any) -> None:
        self.received += bytes(data)

    def peer_closed(self) -> None:
        self.server_closed = True
        self.close()

    def closed(self, error: OSError | None) -> None:
        self.ended = True
        self.error = error


class Ends(NamedTuple):
    """The device that the appliance's node has, and the other end."""

    ours: Device
    theirs: Any
    platform: Platform | None = None  # that `ours` was made for


@contextmanager
def on_wire(simulation: Simulation, **wire: Any) -> Iterator[Ends]:
    made = simulation.wire(**wire)
    yield Ends(made.a, made.b)


class Served:
    def __init__(self, simulation: Simulation, ends: Ends, node: Node, client: Node, port: int) -> None:
        self.simulation = simulation
        self.ends = ends
        self.node = node
        self.client = client
        self.port = port
        self._steady: Client | None = None

    @property
    def steady(self) -> Client:
        """A connection that is kept."""
        if self._steady is None:
            self._steady = self.connect()
        return self._steady

    def connect(self) -> Client:
        made = Client()
        with self.client.core:
            self.client.tcp.connect(SERVER, self.port, lambda: made)
        self.simulation.run_until(lambda: made.is_connected or made.ended, within=10 * SECOND)
        return made

    def send(self, client: Client, *pieces: bytes) -> None:
        """Each piece arrives before the next is sent; after the server closed, none is."""
        for piece in pieces:
            if client.server_closed or client.ended:
                return
            with self.client.core:
                client.send(piece)
            self.simulation.settle()

    def ask(self, *pieces: bytes, client: Client | None = None) -> bytes:
        """What the server answers at once, over a new connection unless there is one."""
        asking = client or self.connect()
        before = len(asking.received)
        self.send(asking, *pieces)
        # Delayed acknowledgments and what is sent after them.
        self.simulation.advance(SECOND // 4)
        answer = asking.received[before:]
        if client is None:
            with self.client.core:
                asking.close()
            self.simulation.run_until(lambda: asking.ended, within=10 * SECOND)
        return answer

    def stop(self) -> None:
        self.node.stop()
        self.simulation.run_until(lambda: self.node.stopped, within=10 * SECOND)


@contextmanager
def served(
    found: type[Appliance],
    arguments: Sequence[str] = (),
    port: int = 11211,
    config: NodeConfig | None = None,
    joined: Callable[..., AbstractContextManager[Ends]] = on_wire,
    **options: Any,
) -> Iterator[Served]:
    """On the way out nothing may be left: no slot and no view in the node's pool, no chain. `joined` makes what is
    between the nodes, with `options`."""
    from netapp.cli.run import appliance_options

    started = found(appliance_options(found, arguments))
    chains = live_chains()
    with Simulation() as simulation, joined(simulation, **options) as ends:
        node = simulation.node(ends.ours, started, f"{SERVER}/24", config, platform=ends.platform)
        client = simulation.node(ends.theirs, None, f"{CLIENT}/24")
        pool = node.pool
        running = Served(simulation, ends, node, client, port)
        yield running
        simulation.settle()
        node.close()
        left = {place: size for place, size in pool.pinned().items() if size}
        assert (pool.live_slots(), pool.live_iobufs()) == (0, 0), left
        vars(running).clear()
    simulation.nodes.clear()
    del ends, started, node, client, simulation, running
    gc.collect()  # a node and its parts know each other
    assert live_chains() <= chains, f"{live_chains() - chains} chains are still alive"


def split(data: bytes, at: Callable[[int], bool]) -> list[bytes]:
    """`data` cut before each position for which `at` says so."""
    pieces, begin = [], 0
    for position in range(1, len(data)):
        if at(position):
            pieces.append(data[begin:position])
            begin = position
    return [*pieces, data[begin:]]
