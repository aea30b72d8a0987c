import contextlib
import gc
from collections.abc import Coroutine, Iterator

import pytest

from netapp.ebb.core import EVENT_MANAGER, TIMER, EbbError, EbbNamespace
from netapp.event.future import Future
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
        cores = range(len(self.cores))
        for _ in range(200_000):
            busy = [self.manager(index).turn() for index in cores]
            if not any(busy) and all(self.manager(index).idle_time() != 0 for index in cores):
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
        for ebb_id in (EVENT_MANAGER, TIMER):
            with contextlib.suppress(EbbError):  # the test destroyed it
                self.namespace.destroy(ebb_id)


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
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [thing for thing in gc.garbage if is_ours(thing)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def is_ours(thing: object) -> bool:
    """Pytest leaves cycles of its own."""
    return isinstance(thing, (Future, BaseException, Coroutine, Probe)) or type(thing).__module__.startswith("netapp.")


class Probe:
    """An object of the test's, which must not be in a cycle that is left behind."""
