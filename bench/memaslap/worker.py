"""A thread of the generator."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap import binary, text
from cython.cimports.bench.memaslap.client import GET, IDLE, LOST, SET, client_t, counters_t
from cython.cimports.bench.memaslap.datagrams import frame
from cython.cimports.bench.memaslap.mix import account, choose, choose_next_of_window
from cython.cimports.bench.memaslap.series import Series, note
from cython.cimports.bench.memaslap.sockets import CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, time_of
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free

_NEVER = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)


@cython.nonecheck(False)  # as in Connections
class Worker:
    def __cinit__(self):
        self.gets = Series()
        self.sets = Series()
        self.waited = Series()

    def __init__(
        self,
        number: int,
        clients: int,
        characters: bytes,
        offsets: int,
        window: int,
        servers: int,
        seed: int,
        get_share: float,
        set_share: float,
        verify: float = 0.0,
        overwrite: float = 0.0,
        expiry: int = 0,
        division: int = 1,
        writers: int = 0,
        binary_protocol: bool = False,
        facebook: bool = False,
        reconnect: bool = False,
        verbose: bool = False,
        rate: float = 0.0,
        open_loop: bool = False,
    ):
        """`characters`: keys and values are runs of them that begin before `offsets`; `rate`: requests a second."""
        self.characters = characters
        self.settings.characters = cython.cast(cython.p_const_char, characters)
        self.settings.offsets = offsets
        self.settings.window = window
        self.settings.servers = servers
        self.settings.get_share = get_share
        self.settings.set_share = set_share
        self.settings.verify = verify
        self.settings.overwrite = overwrite
        self.settings.expiry = expiry
        self.settings.expiry_error = max(2, expiry // 12)  # memaslap's 5 s of 60
        self.settings.division = division
        self.settings.writers = writers
        self.settings.binary = binary_protocol
        self.settings.facebook = facebook
        self.settings.reconnect = reconnect
        self.settings.verbose = verbose
        self.interval = 1e9 / rate if rate else 0.0
        self.open = open_loop
        self.random = seed | 1
        self.names = cython.cast(uint64_t, number) << 40
        self.task.settings = cython.address(self.settings)
        self.task.counters = cython.address(self.unmeasured)
        self.begin = _NEVER
        self._allocate(clients, servers)
        self.idle = cython.cast(
            cython.pointer(cython.pointer(client_t)), calloc(clients, cython.sizeof(cython.pointer(client_t)))
        )
        if not self.idle:
            raise MemoryError

    def __dealloc__(self):
        free(self.idle)

    def fill(self):
        """Every object of every window is set."""
        i: uint32_t
        c: cython.pointer(client_t)
        interval: cython.double = self.interval
        self.filling = True
        self.interval = 0.0
        with cython.nogil:
            self.end = _NEVER
            self._loop()
        self.interval = interval
        self.filling = False
        for i in range(self.client_count):
            c = self.clients + i
            c.sets = 0

    def run(self, start, begin, end):
        """From `start` to `end`; what begins before `begin` is not measured. By the monotonic clock, in ns."""
        with cython.nogil:
            self.start = start
            self.begin = begin
            self.end = end
            self.now = time_of(CLOCK_MONOTONIC)
            while self.now < start and not self.stop:
                self._until(start)
            self._loop()
            self.ended = min(self.now, end)
            self.cpu = time_of(CLOCK_THREAD_CPUTIME_ID) - self.cpu if self.ended > begin else 0
            self._drain()

    def _loop(self):
        i: uint32_t
        c: cython.pointer(client_t)
        until: uint64_t
        self.now = time_of(CLOCK_MONOTONIC)
        self.next_tick = self.now + TICK
        self.answered = self.now
        self.idle_first = 0
        self.idle_count = 0
        self.offered = 0
        self.active = 0
        self.task.second = cython.cast(uint32_t, self.now // 1_000_000_000)
        for i in range(self.client_count):
            c = self.clients + i
            if c.kind != LOST or self.settings.reconnect:
                self.active += 1
        self._measure()
        for i in range(self.client_count):
            c = self.clients + i
            if c.kind == IDLE:
                self.now = time_of(CLOCK_MONOTONIC)
                self._next(c)
        while self.active and not self.stop and self.now < self.end:
            self._measure()
            until = min(self.end, self.next_tick)
            if self.interval and self.idle_count:
                self._offer()
                if self.idle_count:
                    until = min(until, self._due())
            self._until(until)
            if self.now >= self.next_tick:
                self.next_tick = self.now + TICK
                self._tick()
                if self.end == _NEVER and self.now - self.answered > SILENCE:
                    self.silence = True
                    self.stop = True
        if self.interval and not self.stop:
            self._offer()  # what was due before the end, where this thread woke after it

    def _until(self, time):
        """Goes on with what comes before then; with a rate it does not sleep up to it, which would end too late."""
        timeout: int64_t = 0
        if time > self.now + SPIN:
            timeout = cython.cast(int64_t, time - self.now - (SPIN if self.interval else 0))
        self._wait(timeout)

    def _measure(self):
        """From the time on at which it begins."""
        if self.now >= self.begin and self.task.counters != cython.address(self.counters_):
            self.task.counters = cython.address(self.counters_)
            self.cpu = time_of(CLOCK_THREAD_CPUTIME_ID)

    def _drain(self):
        """Answers that come after the end count, for a while; who still waits then, has waited that long at least."""
        i: uint32_t
        c: cython.pointer(client_t)
        deadline: uint64_t = self.now + LAST_PATIENCE
        self.draining = True
        while self.outstanding and self.now < deadline:
            self._until(deadline)
        for i in range(self.client_count):
            c = self.clients + i
            if c.kind == GET or c.kind == SET:
                self.unanswered += 1
                self.task.counters.errors += 1
                if c.began >= self.begin:
                    self._note(c)
        if self.interval and self.open and not self.stop and self.end != _NEVER:
            while self._due() < self.end:
                if self._due() >= self.begin:
                    self.counters_.unsent += 1
                    note(cython.address(self.waited.s), self.end - self._due())
                self.offered += 1

    def _note(self, c):
        if c.kind == GET:
            note(cython.address(self.gets.s), self.now - c.began)
        else:
            note(cython.address(self.sets.s), self.now - c.began)

    def _over(self, c, answered, stored):
        """A request, and on to the next."""
        kept: cython.pointer(counters_t) = self.task.counters
        self.now = time_of(CLOCK_MONOTONIC)
        self.answered = self.now
        self.outstanding -= 1
        if c.began >= self.begin:
            self.task.counters = cython.address(self.counters_)
            self._note(c)
        else:
            self.task.counters = cython.address(self.unmeasured)
        account(c, cython.address(self.task), answered, stored)
        self.task.counters = kept
        self._next(c)

    def _next(self, c):
        if self.draining:
            return
        if self.filling:
            choose_next_of_window(c, cython.address(self.task), cython.address(self.random))
            if c.kind == IDLE:
                self.active -= 1
            else:
                self._begin(c, self.now)
            return
        if not self.interval:
            choose(c, cython.address(self.task), cython.address(self.random), cython.address(self.names))
            if c.kind == IDLE:
                self.active -= 1
            else:
                self._begin(c, self.now)
            return
        if self.idle_count == 0 and self.open and self._due() <= self.now and self._due() >= self.begin:
            self.task.counters.late += 1
        self.idle[(self.idle_first + self.idle_count) % self.client_count] = c
        self.idle_count += 1
        self._offer()

    def _due(self):
        return self.start + cython.cast(uint64_t, self.offered * self.interval)

    def _offer(self):
        """What is due goes to those who have been idle longest."""
        c: cython.pointer(client_t)
        due: uint64_t = self._due()
        while self.idle_count and due <= self.now and due < self.end and not self.draining:
            c = self.idle[self.idle_first]
            self.idle_first = (self.idle_first + 1) % self.client_count
            self.idle_count -= 1
            choose(c, cython.address(self.task), cython.address(self.random), cython.address(self.names))
            if c.kind == IDLE:
                self.active -= 1
                continue
            self.offered += 1
            self._begin(c, due if self.open else self.now)
            due = self._due()

    def _begin(self, c, began):
        self.outstanding += 1
        c.began = began
        c.sent_at = self.now
        c.answered = 0
        c.skip = 0
        c.before = 0
        c.compare_bytes = 0
        c.tail_bytes = 0
        if not self._pick(c):
            self._lose(c, cython.NULL)
            return
        if self.settings.binary:
            binary.build(c, cython.address(self.task))
        else:
            text.build(c, cython.address(self.task))
        if c.sockets[c.current].udp:
            frame(c)
        self._send(c)

    def _forget(self, c):
        """It is not idle any more."""
        i: uint32_t
        j: uint32_t = 0
        kept: cython.pointer(client_t)
        for i in range(self.idle_count):
            kept = self.idle[(self.idle_first + i) % self.client_count]
            if kept != c:
                self.idle[(self.idle_first + j) % self.client_count] = kept
                j += 1
        self.idle_count = j

    @property
    def counters(self):
        """counters_t by name; may be read while the loop runs."""
        return self.counters_

    @property
    def filled(self):
        """Objects that were set, while fill() runs."""
        i: uint32_t
        return sum([self.clients[i].cursor for i in range(self.client_count)])
