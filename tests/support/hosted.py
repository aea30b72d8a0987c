"""A node on a real tap device, in a network namespace of its own, and what the host does at the other end."""

import multiprocessing
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from netapp.drivers.device import Device
from netapp.drivers.faults import FaultDevice
from netapp.hosted.platform import EpollInterrupts, MonotonicClock, RealWallClock, SystemEntropy
from netapp.hosted.tap_setup import host_tap
from netapp.net.config import InterfaceConfig
from netapp.node.appliance import Appliance
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.platform import Platform
from netapp.tcp.config import TcpConfig
from tests.support.namespaces import network_namespace

OURS, HOSTS = "10.99.0.2", "10.99.0.1"
_LOOKS = 1_000_000  # ns between looks at the condition that is waited for
_FORK = multiprocessing.get_context("fork")


def event() -> Event:
    """That a host's function can wait for."""
    return _FORK.Event()


class Host:
    """A function that runs in a process of its own, in the namespace of the thread that made it: ordinary sockets."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._results, sender = _FORK.Pipe(duplex=False)
        self._process = _FORK.Process(target=_hosted, args=(sender, function, arguments))
        self._process.start()
        sender.close()
        self._ended = False

    @property
    def ended(self) -> bool:
        self._ended = self._ended or self._results.poll() or not self._process.is_alive()
        return self._ended

    def result(self) -> Any:
        """What the function returned."""
        assert self._results.poll(), "the host's process has not ended"
        value, error = self._results.recv()
        assert not error, error
        return value

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._results.close()


def _hosted(results: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        results.send((function(*arguments), ""))
    except BaseException:
        results.send((None, traceback.format_exc()))


class TapNode:
    def __init__(self, node: Node, faults: FaultDevice | None, stack: ExitStack) -> None:
        self.node = node
        self.faults = faults
        self.tcp = node.tcp
        self._stack = stack

    def host(self, function: Callable[..., Any], *arguments: Any) -> Host:
        made = Host(function, *arguments)
        self._stack.callback(made.close)
        return made

    def run_until(self, condition: Callable[[], bool], within: float = 20) -> None:
        """Runs the node, which sleeps while it has nothing to do. `within`: seconds."""
        events, timers = self.node.events, self.node.timers
        end = events.now + round(within * 1e9)

        def look() -> None:
            if condition() or events.now >= end:
                events.stop()
            else:
                timers.call_at(events.now + _LOOKS, look)

        with self.node.core:
            events.spawn(look)
        self.node.run()
        assert condition(), f"not within {within} s: {self.shown()}"

    def states(self) -> dict[str, int]:
        """How many connections are in each state."""
        with self.node.core:
            return Counter(connection.state_name for connection in self.tcp.connections())

    def shown(self) -> str:
        counted = {part: {k: v for k, v in c.items() if v} for part, c in self.node.counters().items()}
        return f"{counted}, connections: {dict(self.states())}"


@contextmanager
def tap_node(
    appliance: Appliance | None = None,
    tcp: TcpConfig | None = None,
    offloads: bool = True,
    io: str = "auto",
    **faults: Any,
) -> Iterator[TapNode]:
    """Started; `faults` are FaultDevice's. On the way out nothing may be left in its pool."""
    with network_namespace(), ExitStack() as stack:
        interrupts = EpollInterrupts()
        stack.callback(interrupts.close)
        platform = Platform(MonotonicClock(), RealWallClock(), SystemEntropy(), interrupts)
        device: Device = stack.enter_context(host_tap("tap-node", f"{HOSTS}/24", offloads=offloads, io=io))
        wrapper = device = FaultDevice(device, **faults) if faults else device
        config = NodeConfig(interfaces=(InterfaceConfig(f"{OURS}/24"),), tcp=tcp or TcpConfig())
        node = Node(platform, device, appliance, config)
        stack.callback(node.close)
        node.start()
        pool = node.pool
        yield TapNode(node, wrapper if isinstance(wrapper, FaultDevice) else None, stack)
        exceptions = node.events.counters()["exceptions"], node.tcp.counters()["callback_exceptions"]
        node.close()
        left = {place: size for place, size in pool.pinned().items() if size}
        assert (pool.live_slots(), pool.live_iobufs()) == (0, 0), left
        assert exceptions == (0, 0), exceptions
