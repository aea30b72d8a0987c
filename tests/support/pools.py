"""A core with a buffer pool and a virtual clock for tests, which fails a test that leaves memory behind."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netapp.drivers.device import Device
from netapp.drivers.polling import AdaptivePolling
from netapp.ebb.core import BUFFER_POOL, EVENT_MANAGER, TIMER, EbbNamespace, EbbRef
from netapp.event.manager import EventManager
from netapp.event.timer import TimerWheel
from netapp.event.virtual import VirtualClock, VirtualInterrupts
from netapp.iobuf.chain import live_chains
from netapp.iobuf.pool import BufferPool


class PoolCore:
    """Core 0 of a namespace of its own: pool, event manager and timers."""

    def __init__(self, size: int, reserve: int, clock: Any, interrupts: Any) -> None:
        self.namespace = EbbNamespace()
        self.core = self.namespace.cores[0]
        self.pool = BufferPool(size, reserve)
        self.clock = clock or VirtualClock(1_000_000_000)
        self.interrupts = interrupts or VirtualInterrupts(self.clock)
        self.namespace.install(BUFFER_POOL, lambda core, ebb_id: self.pool)
        self.namespace.install(TIMER, lambda core, ebb_id: TimerWheel())
        self.namespace.install(EVENT_MANAGER, lambda core, ebb_id: EventManager(self.clock, self.interrupts))
        self.polling_id = 0

    @property
    def events(self) -> EventManager:
        return EbbRef(EVENT_MANAGER)()

    @property
    def polling(self) -> AdaptivePolling:
        if not self.polling_id:
            self.polling_id = self.namespace.create(lambda core, ebb_id: AdaptivePolling(self.interrupts, spin=0))
        return EbbRef(self.polling_id)()

    def attach(self, device: Device) -> None:
        """Polls the device's queues in the turns of the loop; raises a memory wire's interrupts, under wrappers too."""
        for queue in device.queues:
            inner: Any = queue
            while hasattr(inner, "inner"):
                inner = inner.inner
            if hasattr(inner, "notify"):
                inner.notify = self.interrupts.raise_interrupt
            self.polling.attach(queue)

    def settle(self, turns: int = 100_000) -> None:
        """Turns of the loop until there is nothing to do now."""
        for _ in range(turns):
            busy = self.events.turn()
            if not busy and self.events.idle_time() != 0:
                return
        raise AssertionError(f"still busy after {turns} turns")

    def advance(self, nanoseconds: int, limit: int = 100_000) -> None:
        """Lets the time pass, stopping at every timer on the way."""
        end = self.clock.time + nanoseconds
        for _ in range(limit):
            self.settle()
            left = end - self.clock.time
            if left <= 0:
                return
            idle = self.events.idle_time()
            self.clock.advance(left if idle < 0 else min(max(idle, 1), left))
        raise AssertionError(f"more than {limit} timers in {nanoseconds} ns")


def left_behind(pool: BufferPool) -> str:
    """What is still in use, by place; empty when nothing is."""
    slots, views = pool.live_slots(), pool.live_iobufs()
    if not slots and not views:
        return ""
    places: dict[str, Any] = {place: size for place, size in pool.pinned().items() if size}
    return f"{slots} slots and {views} iobufs are still in use; bytes by place: {places}"


@contextmanager
def core_with_pool(
    size: int = 64 << 20, reserve: int = 1 << 20, clock: Any = None, interrupts: Any = None
) -> Iterator[PoolCore]:
    """Enters a new core. On the way out its Ebbs are destroyed, and every slot, view and chain must be back."""
    chains = live_chains()
    made = PoolCore(size, reserve, clock, interrupts)
    with made.core:
        made.events.turn()  # it now knows the time
        yield made
        for ebb_id in (made.polling_id, EVENT_MANAGER, TIMER):
            if ebb_id:
                made.namespace.destroy(ebb_id)
        if left_behind(made.pool) or live_chains() > chains:
            gc.collect()  # a caught exception is a cycle that holds the test's locals
        left = left_behind(made.pool)
        assert not left, left
        assert live_chains() <= chains, f"{live_chains() - chains} chains are still alive"
        # Its core holds it, where the collector does not look: the region would stay mapped.
        made.namespace.destroy(BUFFER_POOL)
