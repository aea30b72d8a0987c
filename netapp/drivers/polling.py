"""Adaptive polling: poll while frames come, sleep while they do not."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint64_t
from cython.cimports.netapp.event.manager import STAGE_FLUSH, EventManager, events

COUNTERS = (
    "interrupts",
    "polls",
    "polls_empty",
    "frames",
    "spins",
    "to_polling",
    "to_arming",
    "rearmed",
    "to_interrupt",
)
_STATES = ("stopped", "polling", "arming", "interrupt")

# A gap counts as at most so many spins: after a long silence a burst is recognised within some dozen frames.
_LONGEST_GAP = cython.declare(uint64_t, 8)
# ns that going to sleep and waking cost the CPU, on a virtual machine: where frames are rarer, a spin costs more.
_SLEEP_COST = cython.declare(uint64_t, 11_500)
# Where they are rarer than that, one that ended a sleep is taken to be alone. Well above it: sleeps lengthen the gaps.
_RARE = cython.declare(uint64_t, 15_000)
# ns from when the loop would sleep to its next turn, at most, where an interrupt was pending already.
_TOLD_AT_ONCE = cython.declare(uint64_t, 2_000)


class AdaptivePolling:
    def __cinit__(self, interrupts, spin=50_000):
        """`spin`: ns."""
        self.interrupts = interrupts
        self.spin = spin
        self.pollers = []
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def attach(self, queue):
        poller: QueuePoller = QueuePoller.__new__(QueuePoller)
        poller.owner = self
        poller.queue = queue
        poller.handler = QueueInterrupt.__new__(QueueInterrupt)
        poller.handler.poller = poller
        poller.at_end = QueueFlush.__new__(QueueFlush)
        poller.at_end.queue = queue
        poller.source = queue.interrupt_source()
        self.interrupts.attach(poller.source, poller.handler)
        self.pollers.append(poller)
        poller._begin()

    def detach(self, queue):
        poller: QueuePoller
        for poller in self.pollers:
            if poller.queue is queue:
                poller._end()
                self.pollers.remove(poller)
                return
        raise ValueError("the queue is not attached")

    def state(self, queue):
        poller: QueuePoller
        for poller in self.pollers:
            if poller.queue is queue:
                return _STATES[poller.state]
        return _STATES[STATE_STOPPED]

    def destroy(self):
        poller: QueuePoller
        for poller in self.pollers:
            poller._end()
        self.pollers.clear()


class QueuePoller:
    def _begin(self):
        manager: EventManager = events()
        self.last_frame = manager.now
        self.queue.disable_interrupts()
        self.state = STATE_POLLING
        manager.start_polling(self)
        manager.at_end_of_turn(self.at_end, STAGE_FLUSH)
        return 0

    def _end(self):
        manager: EventManager = events()
        self.queue.flush()
        self.queue.disable_interrupts()
        if self.state == STATE_POLLING:
            manager.stop_polling(self)
        self.state = STATE_STOPPED
        manager.remove_end_of_turn(self.at_end)
        self.owner.interrupts.detach(self.source)
        self.handler.poller = None
        return 0

    def poll(self, budget):
        count: cython.pointer(polling_counters_t) = cython.address(self.owner.count)
        spin: uint64_t = self.owner.spin
        manager: EventManager = events()
        now: uint64_t = manager.now
        gap: uint64_t
        found: cython.int
        alone: cython.bint
        # A frame that ended a sleep is mostly alone where they are rare: to look for another one is left to the
        # interrupts. Where the core did not get to sleep, frames come faster than they are seen to.
        alone = self.expected_gap > _RARE and now - manager.asleep_at > _TOLD_AT_ONCE
        found = self.queue.poll(1 if alone else budget)
        count.polls += 1
        if self.state != STATE_POLLING:  # detached by what a frame did
            return found
        if found:
            count.frames += found
            gap = (now - self.last_frame) // found
            if gap > spin * _LONGEST_GAP:
                gap = spin * _LONGEST_GAP
            self.expected_gap = (self.expected_gap * 7 + gap) // 8
            self.last_frame = now
            self.spinning = False
            if not alone:
                return found
        else:
            count.polls_empty += 1
            if self.expected_gap <= _SLEEP_COST and now - self.last_frame < spin:
                if not self.spinning:
                    self.spinning = True
                    count.spins += 1
                return 0
        return found + self._arm(budget)

    def _arm(self, budget):
        """Between the last look and the interrupts being enabled a frame may come that no interrupt tells about: the
        queue looks again after enabling them, with a full fence between."""
        count: cython.pointer(polling_counters_t) = cython.address(self.owner.count)
        found: cython.int
        self.spinning = False
        self.state = STATE_ARMING
        count.to_arming += 1
        if self.queue.enable_interrupts():
            self.queue.disable_interrupts()
            self.state = STATE_POLLING
            count.rearmed += 1
            found = self.queue.poll(budget)
            count.frames += found
            self.last_frame = events().now
            return found
        self.state = STATE_INTERRUPT
        count.to_interrupt += 1
        events().stop_polling(self)
        return 0


class QueueInterrupt:
    def interrupt(self):
        poller: QueuePoller = self.poller
        if poller is None:
            return 0
        poller.owner.count.interrupts += 1
        poller.queue.acknowledge_interrupt()
        # What waits while the queue is polled may be told, too, or late, when it was taken already.
        if poller.state == STATE_INTERRUPT:
            poller.queue.disable_interrupts()
            poller.state = STATE_POLLING
            poller.owner.count.to_polling += 1
            events().start_polling(poller)
        return 0


class QueueFlush:
    def end_of_turn(self):
        return self.queue.flush()
