"""The timing wheel. The interface, and the invariant that orders the levels, are in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint64_t
from cython.cimports.netapp.ebb.core import representative
from cython.cimports.netapp.event.bits import highest_bit, lowest_bit

from netapp.ebb.core import EbbError
from netapp.event.report import report_exception, report_long

COUNTERS = ("fired", "cascaded", "exceptions", "long_handlers")

NEVER = 2**64 - 1
_NEVER = cython.declare(uint64_t, NEVER)
# next_deadline() looks at no more entries of a slot above level 0: the slot's begin is a bound as well.
_LOOK_AT = cython.declare(cython.int, 16)


@cython.cfunc
@cython.exceptval(check=False)
def _append(to: cython.pointer(timer_list_t), entry: cython.pointer(timer_entry_t)) -> cython.void:
    entry.next = cython.NULL
    entry.previous = to.last
    if to.last != cython.NULL:
        to.last.next = entry
    else:
        to.first = entry
    to.last = entry


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _in_order(entries: cython.pointer(timer_entry_t)) -> cython.bint:
    """As those of a slot mostly are: they were set one after the other, for the same time from then on."""
    entry: cython.pointer(timer_entry_t) = entries
    while entry.next != cython.NULL:
        if entry.next.deadline < entry.deadline:
            return False
        entry = entry.next
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _sort(entries: cython.pointer(timer_entry_t)) -> cython.pointer(timer_entry_t):
    """Merge sort by deadline of a list linked by `next`: stable, bottom up, in place."""
    width: cython.size_t = 1
    merges: cython.size_t
    left_count: cython.size_t
    right_count: cython.size_t
    left: cython.pointer(timer_entry_t)
    right: cython.pointer(timer_entry_t)
    taken: cython.pointer(timer_entry_t)
    tail: cython.pointer(timer_entry_t)
    while True:
        merges = 0
        left = entries
        entries = cython.NULL
        tail = cython.NULL
        while left != cython.NULL:
            merges += 1
            right = left
            left_count = 0
            while left_count < width and right != cython.NULL:
                left_count += 1
                right = right.next
            right_count = width
            while left_count > 0 or (right_count > 0 and right != cython.NULL):
                if left_count > 0 and (right_count == 0 or right == cython.NULL or left.deadline <= right.deadline):
                    taken = left
                    left = left.next
                    left_count -= 1
                else:
                    taken = right
                    right = right.next
                    right_count -= 1
                if tail != cython.NULL:
                    tail.next = taken
                else:
                    entries = taken
                tail = taken
            left = right
        if tail != cython.NULL:
            tail.next = cython.NULL
        if merges <= 1:
            return entries
        width *= 2


class TimerWheel:
    def __cinit__(self):
        self.bound = _NEVER
        self.held = set()
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.counts))
        self.counter_names = COUNTERS

    def may_be_replaced(self, new):
        if not isinstance(new, TimerWheel):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no TimerWheel")

    def take_over(self, old):
        before: TimerWheel = old
        if self.next_deadline() != _NEVER:
            raise EbbError("a timer wheel that takes over has no timers of its own yet")
        self.current = before.current
        self.counts = before.counts
        self.clock = before.clock
        self.handler_limit = before.handler_limit

    def replaced(self, new):
        """Moves every entry: what fires at the same time keeps its order, for it lies in the same list."""
        after: TimerWheel = new
        timer: Timer
        level: cython.int
        entry: cython.pointer(timer_entry_t) = self.due.first
        while entry != cython.NULL:
            self._unlink(entry)
            entry.pending = False
            after.set(entry, entry.deadline)
            entry = self.due.first
        for level in range(LEVELS):
            while self.occupied[level]:
                entry = self.slots[level][lowest_bit(self.occupied[level])].first
                self._unlink(entry)
                entry.pending = False
                after.set(entry, entry.deadline)
        for timer in self.held:
            timer.wheel = after
        after.held.update(self.held)
        self.held = set()

    def destroy(self):
        """Cancels what is pending."""
        level: cython.int
        for level in range(LEVELS):
            while self.occupied[level]:
                self.cancel(self.slots[level][lowest_bit(self.occupied[level])].first)
        while self.due.first != cython.NULL:
            self.cancel(self.due.first)
        for timer in tuple(self.held):
            timer.cancel()

    def set(self, entry, deadline):
        if entry.pending:
            self._unlink(entry)
        entry.pending = True
        entry.deadline = deadline
        if deadline < self.bound:
            self.bound = deadline
        self._place(entry)

    def cancel(self, entry):
        if entry.pending:
            self._unlink(entry)
            entry.pending = False

    def _place(self, entry):
        tick: uint64_t = entry.deadline >> TICK_BITS
        level: cython.int = 0
        slot: cython.int
        if tick > self.current:
            level = highest_bit(tick ^ self.current) // LEVEL_BITS
        else:
            tick = self.current
        slot = (tick >> (level * LEVEL_BITS)) & 63
        entry.level = level
        entry.slot = slot
        _append(cython.address(self.slots[level][slot]), entry)
        self.occupied[level] |= cython.cast(uint64_t, 1) << slot

    def _unlink(self, entry):
        home: cython.pointer(timer_list_t) = cython.address(self.due)
        if entry.level < LEVELS:
            home = cython.address(self.slots[entry.level][entry.slot])
        if entry.previous != cython.NULL:
            entry.previous.next = entry.next
        else:
            home.first = entry.next
        if entry.next != cython.NULL:
            entry.next.previous = entry.previous
        else:
            home.last = entry.previous
        if home.first == cython.NULL and entry.level < LEVELS:
            self.occupied[entry.level] &= ~(cython.cast(uint64_t, 1) << entry.slot)

    def _collect(self, now):
        """Moves what is due to the list `due`, and `current` to `now`: from one occupied slot to the next."""
        level: cython.int = 0
        slot: cython.int
        begin: uint64_t  # tick at which the slot begins
        target: uint64_t = now >> TICK_BITS
        entry: cython.pointer(timer_entry_t)
        after: cython.pointer(timer_entry_t)
        if target < self.current:
            target = self.current
        while True:
            level = 0
            while level < LEVELS and self.occupied[level] == 0:
                level += 1
            if level == LEVELS:
                break
            slot = lowest_bit(self.occupied[level])
            begin = ((self.current >> (level * LEVEL_BITS)) & ~cython.cast(uint64_t, 63)) | slot
            begin <<= level * LEVEL_BITS
            if begin > target:
                break
            self.current = begin
            entry = self.slots[level][slot].first
            self.slots[level][slot].first = cython.NULL
            self.slots[level][slot].last = cython.NULL
            self.occupied[level] &= ~(cython.cast(uint64_t, 1) << slot)
            if level == 0 and not _in_order(entry):
                entry = _sort(entry)
            while entry != cython.NULL:
                after = entry.next
                if level == 0 and entry.deadline <= now:
                    entry.level = LEVELS
                    _append(cython.address(self.due), entry)
                else:
                    self._place(entry)
                    self.counts.cascaded += level != 0
                entry = after
            if level == 0 and begin == target:
                break  # what is left of this slot is due within its tick, but later than now
        self.current = target

    def advance(self, now):
        fired: cython.int = 0
        entry: cython.pointer(timer_entry_t)
        if now < self.bound:
            return 0
        self._collect(now)
        self.bound = 0
        while self.due.first != cython.NULL:
            entry = self.due.first
            self.due.first = entry.next
            if entry.next != cython.NULL:
                entry.next.previous = cython.NULL
            else:
                self.due.last = cython.NULL
            entry.pending = False
            fired += 1
            try:
                entry.function(entry.owner, now)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exception:
                self.counts.exceptions += 1
                report_exception("a timer", exception)
        self.bound = self.next_deadline()
        self.counts.fired += fired
        return fired

    def next_deadline(self):
        level: cython.int = 0
        slot: cython.int
        looked_at: cython.int = 0
        begin: uint64_t
        earliest: uint64_t = _NEVER
        entry: cython.pointer(timer_entry_t) = self.due.first
        if entry != cython.NULL:  # an advance() was left by an exception
            return entry.deadline
        while level < LEVELS and self.occupied[level] == 0:
            level += 1
        if level == LEVELS:
            return _NEVER
        slot = lowest_bit(self.occupied[level])
        entry = self.slots[level][slot].first
        while entry != cython.NULL:
            if level != 0 and looked_at == _LOOK_AT:
                begin = ((self.current >> (level * LEVEL_BITS)) & ~cython.cast(uint64_t, 63)) | slot
                begin <<= level * LEVEL_BITS + TICK_BITS
                # advance() does nothing before `bound`: waking the loop earlier would have it spin until then.
                return begin if begin > self.bound else self.bound
            looked_at += 1
            if entry.deadline < earliest:
                earliest = entry.deadline
            entry = entry.next
        return earliest

    def call_at(self, deadline, function):
        timer: Timer = Timer.__new__(Timer)
        timer.entry.function = _fire
        timer.entry.owner = cython.cast(cython.p_void, timer)
        timer.function = function
        timer.wheel = self
        self.held.add(timer)
        self.set(cython.address(timer.entry), deadline)
        return timer


class Timer:
    def cancel(self):
        """Does nothing once it fired."""
        wheel: TimerWheel = self.wheel
        if wheel is not None:
            self.wheel = None
            self.function = None
            wheel.cancel(cython.address(self.entry))
            wheel.held.discard(self)

    @property
    def pending(self) -> bool:
        return self.wheel is not None

    @property
    def deadline(self) -> int:
        return self.entry.deadline


@cython.cfunc
@cython.exceptval(-1, check=False)
def _fire(owner: cython.p_void, now: uint64_t) -> cython.int:
    timer: Timer = cython.cast(Timer, owner)
    wheel: TimerWheel = timer.wheel
    function: object = timer.function
    begun: uint64_t = 0
    ended: uint64_t
    timer.wheel = None
    timer.function = None
    wheel.held.discard(timer)
    if wheel.clock is not None:
        begun = wheel.clock.now()
    try:
        function()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exception:
        wheel.counts.exceptions += 1
        report_exception(function, exception)
    if wheel.clock is not None:
        ended = wheel.clock.now()
        if ended > begun and ended - begun > wheel.handler_limit:
            wheel.counts.long_handlers += 1
            report_long(function, ended - begun)
    return 0


def timer_wheel():
    """The running core's timer wheel."""
    return representative(TIMER_ID)
