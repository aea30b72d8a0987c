"""The simulated platform: for protocol tests, and for benches that measure without a kernel."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import random

from cython.cimports.libc.stdint import int64_t


class VirtualClock:
    def __cinit__(self, time=0):
        self.time = time

    def now(self):
        return self.time

    def advance(self, nanoseconds):
        self.time += nanoseconds


class VirtualWallClock:
    def __cinit__(self, clock: Clock, origin=0):
        """`origin`: ns since 1970-01-01 00:00 UTC when `clock` shows 0."""
        self.clock = clock
        self.origin = origin

    def nanoseconds(self):
        return self.origin + cython.cast(int64_t, self.clock.now())


class VirtualEntropy:
    def __cinit__(self, seed=0):
        self.random = random.Random(seed)

    def random_bytes(self, count):
        return self.random.randbytes(count)


class VirtualInterrupts:
    def __cinit__(self, clock: VirtualClock = None):
        self.clock = clock
        self.handlers = {}
        self.pending = {}

    def dispatch(self):
        waiting: cython.int = len(self.pending)
        ran: cython.int = 0
        while waiting > 0 and self.pending:
            waiting -= 1
            source = next(iter(self.pending))
            del self.pending[source]
            self.handler = self.handlers[source]
            self.handler.interrupt()
            ran += 1
        return ran

    def wait(self, timeout):
        if self.woken or self.pending:
            self.woken = False
            return 0
        if self.clock is None or timeout < 0:
            raise RuntimeError("the simulation would sleep for ever: nothing is pending and time does not pass")
        self.clock.time += timeout
        return 0

    def attach(self, source, handler):
        if source in self.handlers:
            raise ValueError(f"{source!r} is attached already")
        self.handlers[source] = handler

    def detach(self, source):
        self.handlers.pop(source, None)
        self.pending.pop(source, None)

    def wake(self):
        self.woken = True

    def raise_interrupt(self, source):
        if source in self.handlers:
            self.pending[source] = None
