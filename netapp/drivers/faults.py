"""Faults on the wire, reproducible by a seed."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.netapp.drivers.device import Device
from cython.cimports.netapp.drivers.frames import allocate_frame, complete_checksum, fill_frame
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.event.timer import timers
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, GSO_NONE, Chain, new_chain
from cython.cimports.netapp.iobuf.pool import iobuf_t

_LANE_COUNTERS = ("frames", "dropped", "duplicated", "reordered", "corrupted", "delayed", "overflow", "refused")
COUNTERS = tuple(f"fault_{lane}_{name}" for lane in ("rx", "tx") for name in _LANE_COUNTERS)

# A frame that is held to be overtaken goes after this time in any case.
_HELD_TIME = cython.declare(uint64_t, 10_000_000)
# When the device's ring is full, late frames try again after this time.
_RETRY_TIME = cython.declare(uint64_t, 100_000)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _held_expired(owner: cython.p_void, now: uint64_t) -> cython.int:
    lane: Lane = cython.cast(Lane, owner)
    while lane.held_count:
        lane._release(0)
    if lane.outbound:
        lane.queue.inner.flush()
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _late_due(owner: cython.p_void, now: uint64_t) -> cython.int:
    lane: Lane = cython.cast(Lane, owner)
    place: uint64_t
    entry: cython.pointer(PyObject)
    frame: Chain
    while lane.late_first != lane.late_end:
        place = lane.late_first % DELAYED
        if lane.late[place].deadline > now:
            timers().set(cython.address(lane.late_timer), lane.late[place].deadline)
            break
        # Taken out first: delivering a frame may close the device, or raise.
        entry = lane.late[place].frame
        frame = cython.cast(Chain, entry)
        lane.late_first += 1
        Py_DECREF(frame)
        if not lane._deliver(frame):
            Py_INCREF(frame)
            lane.late_first -= 1
            timers().set(cython.address(lane.late_timer), now + _RETRY_TIME)
            break
    if lane.outbound:
        lane.queue.inner.flush()
    return 0


class Lane:
    def __cinit__(self):
        self.held_timer.function = _held_expired
        self.held_timer.owner = cython.cast(cython.p_void, self)
        self.late_timer.function = _late_due
        self.late_timer.owner = cython.cast(cython.p_void, self)

    @cython.overflowcheck(False)
    def _random(self):
        """splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
        z: uint64_t
        self.random_state += cython.cast(uint64_t, 0x9E3779B97F4A7C15)
        z = self.random_state
        z = (z ^ (z >> 30)) * cython.cast(uint64_t, 0xBF58476D1CE4E5B9)
        z = (z ^ (z >> 27)) * cython.cast(uint64_t, 0x94D049BB133111EB)
        return z ^ (z >> 31)

    def _chance(self, probability):
        # No number is drawn for a fault that is not asked for.
        return probability > 0 and cython.cast(cython.double, self._random() >> 11) < probability * 9007199254740992.0

    def accept(self, frame):
        faults: FaultDevice = self.faults
        copy: Chain = None
        damaged: Chain
        before: uint64_t = self.random_state
        held: cython.bint
        if self._chance(faults.drop):
            self.count.frames += 1
            self.count.dropped += 1
            frame.advance(frame.length)
            return True
        if self._chance(faults.corrupt):
            damaged = self._corrupted(frame)
            if damaged is None:
                self.count.frames += 1
                frame.advance(frame.length)
                return True
        else:
            damaged = frame
        if self._chance(faults.duplicate):
            copy = allocate_frame(damaged.length)
            if copy is None:
                self.count.overflow += 1
            else:
                fill_frame(copy, 0, damaged, 0)
                copy.offload = damaged.offload
        held = self._chance(faults.reorder) and self._hold(damaged)
        if not held and not self._forward(damaged):
            # The frame comes again: so does what was drawn for it.
            self.random_state = before
            return False
        self.count.frames += 1
        if damaged is not frame:
            self.count.corrupted += 1
            frame.advance(frame.length)
        if not held and self.held_count:
            self._overtake()
        if copy is not None:
            if self._forward(copy):
                self.count.duplicated += 1
            else:
                self.count.refused += 1
        return True

    def _corrupted(self, frame):
        """A copy with one bit flipped; None: counted, and nothing is to be sent."""
        copy: Chain
        bit: uint64_t
        at: uint64_t
        view: cython.pointer(iobuf_t)
        if self.outbound and frame.offload.gso_type != GSO_NONE:
            self.count.corrupted += 1
            return None
        copy = allocate_frame(frame.length)
        if copy is None:
            self.count.overflow += 1
            return None
        fill_frame(copy, 0, frame, 0)
        if frame.offload.flags & CHECKSUM_PARTIAL:
            copy.offload = frame.offload
            complete_checksum(copy)
        bit = self._random() % (copy.length * 8)
        at = bit >> 3
        view = copy.head
        while at >= view.length:
            at -= view.length
            view = view.next
        view.data[at] ^= cython.cast(uint8_t, 1 << (bit & 7))
        return copy

    def _hold(self, frame):
        """Takes the frame to be overtaken; False when enough are held."""
        held: Chain
        if self.held_count == HELD:
            return False
        held = new_chain()
        held.move_from(frame)
        held.offload = frame.offload
        Py_INCREF(held)
        self.held[self.held_count].frame = cython.cast(cython.pointer(PyObject), held)
        self.held[self.held_count].overtaken = 1 + cython.cast(uint32_t, self._random() % 3)
        self.held_count += 1
        self.count.reordered += 1
        if not self.held_timer.pending:
            timers().set(cython.address(self.held_timer), events().now + _HELD_TIME)
        return True

    def _overtake(self):
        """One more frame went by those that are held."""
        i: uint32_t = 0
        for i in range(self.held_count):
            self.held[i].overtaken -= 1
        i = 0
        while i < self.held_count:
            if self.held[i].overtaken == 0:
                self._release(i)
                i = 0
            else:
                i += 1
        if not self.held_count:
            timers().cancel(cython.address(self.held_timer))
        return 0

    def _release(self, index):
        entry: cython.pointer(PyObject) = self.held[index].frame
        frame: Chain = cython.cast(Chain, entry)
        i: uint32_t
        Py_DECREF(frame)
        self.held_count -= 1
        for i in range(index, self.held_count):
            self.held[i] = self.held[i + 1]
        if not self._forward(frame):
            self.count.refused += 1
        return 0

    def _forward(self, frame):
        late: Chain
        place: uint64_t
        if not self.faults.delay:
            return self._deliver(frame)
        if self.late_end - self.late_first == DELAYED:
            if self.outbound:
                return False
            self.count.overflow += 1
            return True
        late = new_chain()
        late.move_from(frame)
        late.offload = frame.offload
        Py_INCREF(late)
        place = self.late_end % DELAYED
        self.late[place].frame = cython.cast(cython.pointer(PyObject), late)
        self.late[place].deadline = events().now + self.faults.delay
        if not self.late_timer.pending:
            timers().set(cython.address(self.late_timer), self.late[self.late_first % DELAYED].deadline)
        self.late_end += 1
        self.count.delayed += 1
        return True

    def _deliver(self, frame):
        if self.outbound:
            return self.queue.inner.transmit(frame)
        if self.queue.receiver is not None:
            self.queue.receiver.receive_frame(frame)
        return True

    def clear(self):
        i: uint32_t
        timers().cancel(cython.address(self.held_timer))
        timers().cancel(cython.address(self.late_timer))
        for i in range(self.held_count):
            Py_DECREF(cython.cast(object, self.held[i].frame))
        self.held_count = 0
        while self.late_first != self.late_end:
            Py_DECREF(cython.cast(object, self.late[self.late_first % DELAYED].frame))
            self.late_first += 1
        return 0


class FaultQueue:
    def __cinit__(self):
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def receive_frame(self, frame):
        self.rx.accept(frame)
        return 0

    def transmit(self, frame):
        return self.tx.accept(frame)

    def close_queue(self):
        self.rx.clear()
        self.tx.clear()
        return 0


@cython.cfunc
def _lane(queue: FaultQueue, faults: FaultDevice, number: uint64_t, outbound: cython.bint) -> Lane:
    lane: Lane = Lane()
    lane.queue = queue
    lane.faults = faults
    lane.outbound = outbound
    lane.count = cython.address(queue.count.tx) if outbound else cython.address(queue.count.rx)
    # Neighbouring seeds and lanes start far apart.
    lane.random_state = faults.seed
    lane.random_state = lane._random() ^ (number * 2 + outbound)
    lane.random_state = lane._random()
    return lane


class FaultDevice:
    def __init__(self, inner: Device, drop=0.0, duplicate=0.0, reorder=0.0, corrupt=0.0, delay=0, seed=1):
        """Probabilities from 0 to 1 for each frame; `delay`: ns, the same for all frames."""
        queue: FaultQueue
        for name, value in (("drop", drop), ("duplicate", duplicate), ("reorder", reorder), ("corrupt", corrupt)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, not {value}")
        self.drop = drop
        self.duplicate = duplicate
        self.reorder = reorder
        self.corrupt = corrupt
        self.delay = delay
        self.seed = seed
        queues: list = []
        for number in range(len(inner.queues)):
            queue = FaultQueue()
            queue.rx = _lane(queue, self, number, False)
            queue.tx = _lane(queue, self, number, True)
            queues.append(queue)
        self._wrap(inner, queues)
