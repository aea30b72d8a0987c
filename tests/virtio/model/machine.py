"""A machine with one virtio network card, which is the model: what a driver, and a node on top of it, need."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from netapp.drivers import device as device_features
from netapp.drivers.device import Device
from netapp.drivers.pci import functions
from netapp.drivers.virtio.mmio import MmioTransport
from netapp.drivers.virtio.pci import PciTransport
from netapp.drivers.virtio.transport import Transport
from netapp.event.virtual import VirtualInterrupts
from netapp.hosted.platform import MonotonicClock, RealWallClock, SystemEntropy
from netapp.node.node import Node
from netapp.node.platform import Platform
from netapp.node.simulation import Simulation
from tests.virtio.model.device import Clock
from tests.virtio.model.interrupts import ModelInterrupts
from tests.virtio.model.links import Link, MemoryLink, TapLink
from tests.virtio.model.mmio import MmioModel
from tests.virtio.model.net import NetDevice
from tests.virtio.model.pci import PciModel

_TRANSMIT = device_features.CHECKSUM | device_features.TSO4 | device_features.USO
_RECEIVE = device_features.RX_CHECKSUM | device_features.RX_TSO4 | device_features.RX_USO
LINE = 11
KINDS = ("pci", "pci-line", "mmio", "mmio-level")


class Machine:
    """`kind`, of KINDS: PCI with MSI-X or only a line; MMIO whose interrupt is told by edges, as in a microvm of
    QEMU's, or by its level. `device` is the model's device, `model` its registers."""

    def __init__(
        self,
        platform: Platform,
        link: Link,
        clock: Clock,
        offered: str | int = "qemu",
        kind: str = "pci",
        pci: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """`options`: NetDevice's; `pci`: PciModel's."""
        assert kind in KINDS, kind
        self.kind = kind
        self.platform = platform
        self.link = link
        self.controller = ModelInterrupts(platform.interrupts.raise_interrupt)  # type: ignore[attr-defined]
        self.device = NetDevice(offered, link, clock, **options)
        self.model: PciModel | MmioModel
        if kind.startswith("pci"):
            settings = {"vectors": 0 if kind == "pci-line" else 3, "line": LINE, **(pci or {})}
            self.model = PciModel(self.device, self.controller, **settings)
        else:
            self.model = MmioModel(self.device, self.controller, LINE)

    def transport(self) -> Transport:
        """As the platform's discovery would find it."""
        if isinstance(self.model, PciModel):
            return PciTransport(next(iter(functions(self.model.configuration))), self.model.memory)
        return MmioTransport(self.model, LINE, self.kind == "mmio")

    def turn(self) -> bool:
        return self.model.turn()

    def idle_time(self) -> int:
        return self.model.idle_time()

    def verify(self) -> None:
        """Raises Violation for a rule that was broken and not yet told of."""
        self.device.verify()


@contextmanager
def simulated(
    simulation: Simulation,
    offered: str | int = "qemu",
    kind: str = "pci",
    *,
    offloads: bool = True,
    wire: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[tuple[Machine, Device]]:
    """A machine in a simulation, behind a memory wire, and the wire's other end: a node's device, or the test's. At the
    end it is verified. `offloads`: whether frames come that are still to be cut or completed. `wire`: of the other end.
    """
    features = _TRANSMIT | (_RECEIVE if offloads else 0)
    settings = {"features_b": _TRANSMIT | _RECEIVE, **(wire or {})}
    made = simulation.wire(features_a=features, **settings)
    link = MemoryLink(made.a, simulation.outside)
    machine = Machine(simulation.platform(), link, simulation.clock, offered, kind, **options)
    simulation.attach(machine)
    yield machine, made.b
    machine.verify()


class RealClock:
    @property
    def time(self) -> int:
        return time.monotonic_ns()


def tap_machine(name: str, offered: str | int = "qemu", kind: str = "pci", **options: Any) -> Machine:
    """On a tap device `name`, in real time: `run()` it."""
    platform = Platform(MonotonicClock(), RealWallClock(), SystemEntropy(), VirtualInterrupts())
    return Machine(platform, TapLink(name), RealClock(), offered, kind, **options)


def run(machine: Machine, node: Node, condition: Callable[[], object], within: float = 20) -> None:
    """Turns of both, which sleep while there is nothing to do, until `condition` holds. `within`: seconds."""
    link = machine.link
    assert isinstance(link, TapLink)
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s: {node.counters()}"
        busy = node.turn()
        if not machine.turn() and not busy:
            times = [t / 1e9 for t in (node.events.idle_time(), machine.idle_time()) if t >= 0]
            select.select([link.file], [], [], min([*times, 0.02]))
