"""The echo appliance behind netapp's driver and the device model, and a client at the other end of the wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netapp.drivers.virtio.net import VirtioNet
from netapp.node.node import Node
from netapp.node.simulation import MILLISECOND, SECOND, Simulation
from tests.support.appliances import CLIENT, SERVER, Client, appliance
from tests.virtio.model.faults import Faults
from tests.virtio.model.machine import Machine, simulated


def payload(length: int) -> bytes:
    """No piece of it comes twice."""
    return b"".join(b"%05x" % i for i in range(length // 5 + 1))[:length]


class Echoing:
    def __init__(self, simulation: Simulation, machine: Machine, card: VirtioNet, node: Node, client: Node) -> None:
        self.simulation = simulation
        self.machine = machine
        self.card = card
        self.node = node
        self.client = client

    @property
    def faults(self) -> Faults:
        return self.machine.device.faults

    def connect(self) -> Client:
        made = Client()
        with self.client.core:
            self.client.tcp.connect(SERVER, 7, lambda: made)
        self.simulation.run_until(lambda: made.is_connected or made.ended, within=60 * SECOND)
        assert not made.ended, made.error
        return made

    def echo(self, data: bytes, client: Client | None = None, piece: int = 10_000) -> Client:
        """All of it comes back, in whatever time that takes."""
        made = client or self.connect()
        before = len(made.received)
        for at in range(0, len(data), piece):
            with self.client.core:
                made.send(data[at : at + piece])
            self.simulation.advance(10 * MILLISECOND)
        self.simulation.run_until(lambda: made.ended or len(made.received) - before == len(data), within=200 * SECOND)
        assert made.received[before:] == data, made.error
        return made

    def counters(self) -> dict[str, int]:
        return {name: value for name, value in self.card.counters().items() if value}


@contextmanager
def echoing(offered: str | int = "qemu", kind: str = "pci", size: int = 256, **options: Any) -> Iterator[Echoing]:
    """`size`: VirtioNet's; `options`: simulated()'s. At the end no rule is broken, and nothing is left in the pool."""
    with Simulation() as simulation, simulated(simulation, offered, kind, **options) as (machine, end):
        card = VirtioNet(machine.transport(), machine.controller, machine.platform.interrupts, size=size)
        node = simulation.node(card, appliance("echo", "compiled")(), f"{SERVER}/24", platform=machine.platform)
        client = simulation.node(end, None, f"{CLIENT}/24")
        yield Echoing(simulation, machine, card, node, client)
        simulation.settle()
        machine.verify()
        assert (node.events.counters()["exceptions"], node.tcp.counters()["callback_exceptions"]) == (0, 0)
        pool = node.pool
        node.close()
        left = {place: size for place, size in pool.pinned().items() if size}
        assert (pool.live_slots(), pool.live_iobufs()) == (0, 0), left
