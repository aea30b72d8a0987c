"""Nodes on memory wires under one virtual clock: nothing sleeps, nothing is random, time jumps to the next timer.

    with Simulation() as simulation:
        wire = simulation.wire()
        node = simulation.node(wire.a, Echo())
        simulation.run_until(lambda: ..., within=SECOND)

An end that no node has is the test's: `with simulation.outside: wire.b.send(frame)`, `wire.b.receive()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from netapp.drivers.device import Device
from netapp.drivers.memory import MemoryEnd, MemoryWire
from netapp.ebb.core import BUFFER_POOL, EbbNamespace, EbbRef
from netapp.event.virtual import VirtualClock, VirtualEntropy, VirtualInterrupts, VirtualWallClock
from netapp.iobuf.pool import BufferPool
from netapp.net.config import InterfaceConfig
from netapp.node.appliance import Appliance
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.platform import Platform

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# 2024-01-01 00:00 UTC when the clock shows 0.
_ORIGIN = 1_704_067_200 * SECOND
_TURNS = 1_000_000


class Part(Protocol):
    """What is no node and has turns too: a model of a device."""

    def turn(self) -> bool:
        """Whether anything was done."""
        ...

    def idle_time(self) -> int:
        """ns until it has something to do of its own accord; -1: never."""
        ...


class Simulation:
    def __init__(self, seed: int = 0) -> None:
        self.clock = VirtualClock(SECOND)
        self.wall_clock = VirtualWallClock(self.clock, _ORIGIN)
        self.nodes: list[Node] = []
        self._parts: list[Part] = []
        self._wires: list[MemoryWire] = []
        self._seed = seed
        self._namespace = EbbNamespace()
        self._namespace.install(BUFFER_POOL, lambda core, ebb_id: BufferPool())
        self.outside = self._namespace.cores[0]

    # --- what there is -------------------------------------------------------------------------------------------

    def platform(self) -> Platform:
        """Of one more node; its random bytes are its own, and the same in every run."""
        self._seed += 1
        return Platform(self.clock, self.wall_clock, VirtualEntropy(self._seed), VirtualInterrupts(self.clock))

    def wire(self, features_a: int = 0, features_b: int = 0, mtu: int = 1500, capacity: int = 256) -> MemoryWire:
        wire = MemoryWire(features_a, features_b, mtu, capacity)
        self._wires.append(wire)
        return wire

    def attach(self, part: Part) -> None:
        """It has its turn after the nodes', from now on."""
        self._parts.append(part)

    def node(
        self,
        device: Device | Sequence[Device],
        appliance: Appliance | None = None,
        address: str | Sequence[InterfaceConfig] = "10.99.0.2/24",
        config: NodeConfig | None = None,
        notify: Device | None = None,
        platform: Platform | None = None,
    ) -> Node:
        """Starts a node on an end of a wire, or on several. Where `device` is around that end, `notify` is the end; one
        that is no end raises its interrupts itself, on the `platform` that it was made for.

        `address`: that of its interface, which announces nothing, or all its interfaces. `config` says all but that,
        and how to poll: a clock that stands still cannot tell how long.
        """
        platform = platform or self.platform()
        interfaces = (InterfaceConfig(address, announce=False),) if isinstance(address, str) else tuple(address)
        config = replace(config or NodeConfig(), interfaces=interfaces, spin=0)
        ends = (device,) if isinstance(device, Device) else device
        for end in ends if notify is None else (notify,):
            if isinstance(end, MemoryEnd):
                end.queue.notify = platform.interrupts.raise_interrupt  # type: ignore[attr-defined]
        made = Node(platform, device, appliance, config)
        made.start()
        self.nodes.append(made)
        return made

    # --- time ----------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """A turn of every node and part; whether anything was done, or is left to do now."""
        done = False
        for node in self.nodes:
            if not node.stopped:
                done = node.turn() or done
        for part in self._parts:
            done = part.turn() or done
        return done or self._next() == 0

    def settle(self) -> None:
        """Turns until there is nothing to do now."""
        idle = 0
        for _ in range(_TURNS):
            # A turn that found nothing to do may have sent, at its end, what a call from outside had queued.
            idle = 0 if self.step() else idle + 1
            if idle == 2:
                return
        raise RuntimeError(f"still busy after {_TURNS} turns")

    def advance(self, nanoseconds: int) -> None:
        """Lets the time pass, stopping at every timer on the way."""
        self.run_until(None, nanoseconds)

    def run_until(self, condition: Callable[[], object] | None, within: int = 60 * SECOND) -> None:
        """Until `condition` holds; asked whenever there is nothing to do. TimeoutError: it did not, in that time."""
        end = self.clock.time + within
        while True:
            self.settle()
            if condition is not None and condition():
                return
            left = end - self.clock.time
            if left <= 0:
                if condition is not None:
                    raise TimeoutError(f"not within {within / SECOND} s of the simulation")
                return
            idle = self._next()
            self.clock.advance(left if idle < 0 else min(max(idle, 1), left))

    def _next(self) -> int:
        """ns until one of them has something to do: -1 for never."""
        times = [node.events.idle_time() for node in self.nodes if not node.stopped]
        times += [part.idle_time() for part in self._parts]
        return min((time for time in times if time >= 0), default=-1)

    # --- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        with self.outside:
            for wire in self._wires:
                wire.close()
            pool = EbbRef(BUFFER_POOL)()
            if pool.live_slots():
                raise RuntimeError(f"{pool.live_slots()} slots of frames that were sent from outside are in use")
            self._namespace.destroy(BUFFER_POOL)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
