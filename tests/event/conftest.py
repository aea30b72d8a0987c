import gc
from collections.abc import Iterator

import pytest

from netapp.ebb.core import EVENT_MANAGER, TIMER, EbbNamespace
from netapp.event.manager import EventManager, event_manager
from netapp.event.timer import TimerWheel
from netapp.event.virtual import VirtualClock, VirtualInterrupts


class Simulated:
    """Cores of one namespace under one virtual clock."""

    def __init__(self, cores: int = 1, **options: int) -> None:
        self.clock = VirtualClock()
        self.namespace = EbbNamespace(cores)
        self.interrupts = [VirtualInterrupts(self.clock) for _ in range(cores)]
        self.namespace.install(
            EVENT_MANAGER, lambda core, _: EventManager(self.clock, self.interrupts[core.index], **options)
        )
        self.namespace.install(TIMER, lambda core, _: TimerWheel())
        self.cores = self.namespace.cores

    def manager(self, index: int = 0) -> EventManager:
        with self.cores[index]:
            return event_manager()

    def settle(self) -> None:
        """Turns on every core until none has anything to do now."""
        managers = [self.manager(index) for index in range(len(self.cores))]
        for _ in range(1_000_000):
            if not any([manager.turn() for manager in managers]) and all(m.idle_time() != 0 for m in managers):
                return
        raise AssertionError("it does not come to rest")

    def run_for(self, nanoseconds: int) -> None:
        """Time passes, from one deadline to the next."""
        end = self.clock.time + nanoseconds
        while True:
            self.settle()
            idle = [self.manager(index).idle_time() for index in range(len(self.cores))]
            step = min([t for t in idle if t > 0], default=nanoseconds)
            if self.clock.time + step > end:
                self.clock.time = end
                return self.settle()
            self.clock.advance(step)

    def close(self) -> None:
        self.namespace.destroy(EVENT_MANAGER)
        self.namespace.destroy(TIMER)


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    """One core, which is running."""
    made = Simulated()
    with made.cores[0]:
        yield made
    made.close()


@pytest.fixture
def two_cores() -> Iterator[Simulated]:
    made = Simulated(2)
    yield made
    made.close()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The collector is off, and there is nothing for it to find at the end."""
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()
