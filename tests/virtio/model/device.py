"""A virtio device without its transport: status, features, configuration, queues (VIRTIO 1.2, 2 and 3)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests.virtio.model import features as feature_bits
from tests.virtio.model.configuration import ConfigurationSpace, Field
from tests.virtio.model.exposed import Exposed
from tests.virtio.model.faults import Faults
from tests.virtio.model.memory import Memory
from tests.virtio.model.packed import PackedRing
from tests.virtio.model.ring import Areas, Buffer, Ring
from tests.virtio.model.rules import Broken, Rules
from tests.virtio.model.split import SplitRing

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 64, 128
_STEPS = (ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK)
USED_BUFFERS, CONFIGURATION_CHANGED = 1, 2


class Clock(Protocol):
    @property
    def time(self) -> int:
        """ns"""
        ...


class Wires(Protocol):
    """What a device needs of its transport."""

    def interrupt(self, queue: Queue | None) -> None:
        """Of used buffers; None: the configuration changed."""
        ...

    def was_reset(self) -> None: ...


class Queue:
    """Registers of a queue, and its ring while it is enabled."""

    def __init__(self, index: int, max_size: int) -> None:
        self.index = index
        self.max_size = max_size
        self.kicked = False
        self.notifications = self.superfluous = self.interrupts = 0
        self.clear()

    def clear(self) -> None:
        self.size = self.max_size
        self.descriptors = self.driver = self.device = 0
        self.vector = 0xFFFF
        self.vector_verified = True
        self.enabled = False
        self.broken = False
        self.was_reset = False
        self.kicked = False
        self.ring: Ring | None = None
        self.pending: list[list[tuple[Buffer, int]]] = []
        """Done, and not yet given back: what belongs together, and the bytes written into each."""


class Device:
    """`pump()` is its turn: nothing else makes it work, but the checks of what the driver does happen at once."""

    def __init__(
        self,
        offered: int,
        device_type: int,
        queue_sizes: Sequence[int],
        fields: Sequence[Field],
        clock: Clock,
        faults: Faults | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.offered = offered
        self.device_type = device_type
        self.clock = clock
        self.faults = faults or Faults()
        self.rules = Rules()
        self.memory = memory or Memory()
        self.queues = [Queue(index, size) for index, size in enumerate(queue_sizes)]
        self.configuration = ConfigurationSpace(fields, self)
        self.exposed = Exposed(self.rules)
        self.wires: Wires | None = None
        self.waits_for_reset = False
        self.resets = 0
        self.closed = False
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._turn = 0
        self._was_reset = False
        self._clear()

    def _clear(self) -> None:
        for queue in self.queues:
            if queue.ring is not None:
                queue.ring.release()
            queue.clear()
        self._later.clear()
        self._after: list[tuple[int, Callable[[], None]]] = []
        self.status = 0
        self.accepted = 0
        self._reset_reads = 0
        self._features_written = False
        self._features_read = False
        self._status_read = True
        self._zero_read = True
        self.configuration.reading = ""
        self.exposed.clear()

    # --- features --------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        return self.accepted >> feature_bits.NUMBERS[name] & 1 == 1

    def offers(self, name: str) -> bool:
        return self.offered >> feature_bits.NUMBERS[name] & 1 == 1

    def read_features(self, word: int) -> int:
        self.rules.check(self.status & DRIVER, "init-order", "features are read before DRIVER")
        return self.offered >> 32 * word & 0xFFFFFFFF if word < 4 else 0

    def write_features(self, word: int, value: int) -> None:
        if self.status & FEATURES_OK:
            self.rules.fail("init-features-fixed")
            return
        self.rules.check(self.status & DRIVER, "init-order", "features are written before DRIVER")
        if word < 4:
            self.accepted = self.accepted & ~(0xFFFFFFFF << 32 * word) | value << 32 * word
        elif value:
            self.rules.fail("feature-not-offered", f"word {word}")

    def _features_hold(self) -> bool:
        check = self.rules.check
        beyond = self.accepted & ~self.offered
        check(not beyond, "feature-not-offered", ", ".join(feature_bits.names(beyond)))
        unmet = feature_bits.unmet(self.accepted)
        check(not unmet, "feature-dependency", ", ".join(unmet))
        check(self.has("VERSION_1") or not self.offers("VERSION_1"), "feature-version")
        return not beyond and not unmet and self.has("VERSION_1")

    # --- status ----------------------------------------------------------------------------------------------------

    def read_status(self) -> int:
        if self._reset_reads:
            self._reset_reads -= 1
            return self._old_status
        if self.status == 0:
            self._zero_read = True
        if self.status & FEATURES_OK or self._refused:
            self._status_read = True
        return self.status

    _refused = False
    _old_status = 0

    def write_status(self, value: int) -> None:
        check = self.rules.check
        if value == 0:
            self.reset()
            return
        if not self._zero_read and self.waits_for_reset:
            self.rules.fail("pci-reset-wait", f"status {value:#x} is written")
        self._zero_read = True
        self._reset_reads = 0
        check(not value & ~(sum(_STEPS) | NEEDS_RESET | FAILED), "status-unknown", f"{value:#x}")
        check(not self.status & ~NEEDS_RESET & ~value, "status-cleared", f"{self.status:#x} to {value:#x}")
        added = value & ~self.status
        if self.status & FAILED and added & sum(_STEPS):
            self.rules.fail("failed-not-reset")
        if self.status == 0:
            check(self._was_reset, "init-reset")
        steps = [step for step in _STEPS if added & step]
        for step in steps:
            before = sum(_STEPS[: _STEPS.index(step)])
            missing = before & ~self.status
            if step == DRIVER_OK and self._refused:
                self.rules.fail("init-features-refused")
            else:
                check(not missing, "init-order", f"status {step} while it is {self.status:#x}")
        if added & FEATURES_OK:
            self._status_read = False
            if not self._features_hold() or self.faults.hit("features-refused"):
                self._refused = True
                value &= ~FEATURES_OK
            self.negotiated()
        if added & DRIVER_OK and not self._refused:
            check(self._status_read, "init-features-read")
            self.configuration.check_generation()
            self.status |= value
            self._started()
            return
        self.status |= value

    def reset(self) -> None:
        """By the driver (2.4)."""
        self._old_status = self.status
        self._clear()
        self._refused = False
        self._was_reset = True
        self._zero_read = False
        self._reset_reads = self.faults.reset_reads if self._old_status else 0
        self.resets += 1
        self.memory.forget()
        if self.wires is not None:
            self.wires.was_reset()
        self.cleared()

    def _started(self) -> None:
        if self.wires is not None:
            self.wires_started()
        for queue in self.queues:
            if queue.ring is not None:
                queue.ring.arm()
                self._look(queue)
        self.started()

    def needs_reset(self) -> None:
        """2.1.2: nothing works any more until then."""
        if not self.status & NEEDS_RESET:
            self.status |= NEEDS_RESET
            if self.status & DRIVER_OK and self.wires is not None:
                self.wires.interrupt(None)

    @property
    def running(self) -> bool:
        return self.status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK and not self.closed

    # --- the device-specific configuration -------------------------------------------------------------------------

    def read_generation(self) -> int:
        return self.configuration.read_generation()

    def change_configuration(self, offset: int, data: bytes) -> None:
        """The driver is told once it runs."""
        self.configuration.change(offset, data)
        if self.status & DRIVER_OK and self.wires is not None:
            self.wires.interrupt(None)

    # --- queues ----------------------------------------------------------------------------------------------------

    def set_up_allowed(self, queue: Queue) -> None:
        check = self.rules.check
        if self._refused:
            check(False, "init-features-refused", f"queue {queue.index}")
            return
        check(self.status & FEATURES_OK, "init-order", f"queue {queue.index} is set up before FEATURES_OK")
        check(self._status_read, "init-features-read", f"queue {queue.index} is set up")
        check(not self.status & DRIVER_OK or queue.was_reset, "init-queues-first", f"queue {queue.index}")

    def enable(self, queue: Queue) -> None:
        self.set_up_allowed(queue)
        queue.enabled = True
        if not queue.size:
            queue.broken = True
            return
        areas = Areas(queue.size, queue.descriptors, queue.driver, queue.device)
        known = {name: self.has(name) for name in ("EVENT_IDX", "INDIRECT_DESC", "IN_ORDER")}
        make = PackedRing if self.has("RING_PACKED") else SplitRing
        try:
            queue.ring = make(areas, known, self.memory, self.rules, self.exposed)
            if self.faults.unflagged and isinstance(queue.ring, PackedRing):
                queue.ring.flag_of_written = 0
        except Broken:
            queue.broken = True
            self.needs_reset()

    def check_size(self, queue: Queue) -> None:
        """4.1.4.3.2"""
        check, size = self.rules.check, queue.size
        check(size, "queue-size-zero", f"queue {queue.index}")
        check(size <= queue.max_size, "queue-size-large", f"{size} of {queue.max_size}")
        if not self.has("RING_PACKED"):
            check(size & (size - 1) == 0, "queue-size-power", f"{size}")

    def disable(self, queue: Queue) -> None:
        """Its ring is not looked at any more."""
        if queue.ring is not None:
            for buffer in queue.ring.outstanding.values():
                self.exposed.remove(buffer.readable, buffer.writable)
            queue.ring.release()
        broken = queue.broken
        queue.clear()
        queue.broken = broken

    def reset_queue(self, queue: Queue) -> None:
        """2.6.1: it can be set up anew."""
        self.rules.check(self.has("RING_RESET"), "ring-reset", f"queue {queue.index}")
        self.disable(queue)
        queue.was_reset = True

    def notify(self, index: int) -> None:
        """An available buffer notification: 2.9."""
        if not self.status & DRIVER_OK:
            self.rules.fail("notify-before-ok", f"queue {index}")
            return
        if index >= len(self.queues) or self.queues[index].ring is None:
            self.rules.fail("queue-none", f"queue {index} is notified")
            return
        queue = self.queues[index]
        queue.notifications += 1
        if queue.broken or not self.running:
            return
        assert queue.ring is not None
        try:
            queue.superfluous += not queue.ring.notified()
        except Broken:
            self._queue_broken(queue)
            return
        queue.kicked = True

    def _look(self, queue: Queue) -> None:
        """Outside a notification, with no rule about whether there should have been one."""
        assert queue.ring is not None
        try:
            queue.ring.look_untold()
        except Broken:
            self._queue_broken(queue)

    def _queue_broken(self, queue: Queue) -> None:
        queue.broken = True
        self.needs_reset()

    def give_back(self, queue: Queue, *done: tuple[Buffer, int]) -> None:
        """Buffers that belong together, at the end of this turn or later."""
        turns = self.faults.turns_to_wait()
        if turns and not self.has("IN_ORDER"):
            self.after(turns, lambda: queue.pending.append(list(done)))
        else:
            queue.pending.append(list(done))

    def complete(self, queue: Queue) -> bool:
        """Writes the used entries of what is done, and tells the driver; whether there were any."""
        ring = queue.ring
        if not queue.pending or ring is None or queue.broken or not self.running:
            return False
        groups, queue.pending = queue.pending, []
        if not ring.in_order:
            self.faults.shuffle(groups)
        done = [entry for group in groups for entry in group]
        old = ring.used
        for buffer, _ in done:
            if buffer.readable:
                ring.unchanged(buffer)
        wrong = self.faults.use(ring, done)
        if not wrong:
            # One entry may stand for many where those before the last were used to the last byte (2.7.9).
            if ring.in_order and any(buffer.capacity != length for buffer, length in done[:-1]):
                for entry in done:
                    ring.use([entry])
            else:
                ring.use(done)
        if wrong or self.faults.always_interrupt or ring.wants_interrupt(old):
            self.interrupt(queue)
        return True

    def interrupt(self, queue: Queue | None) -> None:
        fault = self.faults.interrupt()
        if fault == "lost" or self.wires is None:
            return
        if queue is not None:
            queue.interrupts += 1
        if isinstance(fault, int):
            wires = self.wires
            self.later(fault, lambda: wires.interrupt(queue))
        else:
            self.wires.interrupt(queue)

    # --- turns -----------------------------------------------------------------------------------------------------

    def later(self, delay: int, function: Callable[[], Any]) -> None:
        self._order += 1
        heapq.heappush(self._later, (self.clock.time + delay, self._order, function))

    def after(self, turns: int, function: Callable[[], Any]) -> None:
        """Until then it counts as busy: a stack that does not sleep while a ring is full lets no time pass."""
        self._after.append((self._turn + turns, function))

    def pump(self) -> bool:
        """The device's turn; whether it did anything. Violation: the driver broke a rule."""
        self._turn += 1
        done = bool(self._after)
        if done:
            due = [function for turn, function in self._after if turn <= self._turn]
            self._after = [entry for entry in self._after if entry[0] > self._turn]
            for function in due:
                function()
        while self._later and self._later[0][0] <= self.clock.time:
            heapq.heappop(self._later)[2]()
            done = True
        if self.running:
            done = self.faults.turn(self) or done
        if self.running:
            for queue in self.queues:
                ring = queue.ring
                if ring is not None and not queue.broken:
                    try:
                        self.rules.check(not ring.look_untold(), ring.missing_rule(), f"queue {queue.index}")
                    except Broken:
                        self._queue_broken(queue)
            if self.running:
                done = self.work() or done
            for queue in self.queues:
                done = self.complete(queue) or done
                queue.kicked = False
        self.rules.verify()
        return done

    turn = pump

    def idle_time(self) -> int:
        """ns until it has something to do of its own accord; -1: never."""
        if self._after:
            return 0
        return max(0, self._later[0][0] - self.clock.time) if self._later else -1

    def verify(self) -> None:
        """At a test's end."""
        for queue in self.queues:
            if queue.ring is not None and self.running and not queue.broken:
                self._look(queue)
                for buffer in queue.ring.outstanding.values():
                    queue.ring.unchanged(buffer)
        self.rules.verify()

    def close(self) -> None:
        """Lets go of the driver's memory; before the driver unmaps it."""
        self._clear()
        self.closed = True

    # --- what a type of device does --------------------------------------------------------------------------------

    def work(self) -> bool:
        raise NotImplementedError

    def negotiated(self) -> None:
        """Features are final."""

    def started(self) -> None:
        """DRIVER_OK."""

    def cleared(self) -> None:
        """After a reset."""

    def wires_started(self) -> None:
        """DRIVER_OK, of the transport."""
        started = getattr(self.wires, "started", None)
        if started is not None:
            started()
