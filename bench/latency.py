"""How long requests took, and whose time that was."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.clients import now_by
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.posix.resource import getrusage, rusage
from cython.cimports.posix.time import CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID


@cython.cfunc
@cython.exceptval(check=False)
def _bucket(ns: uint64_t) -> uint64_t:
    power: uint64_t = 0
    while ns >= 2 * FINE:
        ns >>= 1
        power += 1
    return power * FINE + ns


class Stopwatch:
    def __init__(self, clock: VirtualClock, pace: int, limit: int):
        self.clock = clock
        self.pace = pace
        self.limit = limit
        self.outliers = []

    def measured_turn(self, events):
        used: rusage
        start: uint64_t
        cpu: uint64_t
        switches: uint64_t
        faults: uint64_t
        if self.expected and self.clock.time > self.expected:
            self.now.idle += self.clock.time - self.expected
        self.expected = self.clock.time + self.pace
        getrusage(RUSAGE_THREAD, cython.address(used))
        switches = used.ru_nivcsw
        faults = used.ru_minflt + used.ru_majflt
        cpu = now_by(CLOCK_THREAD_CPUTIME_ID)
        start = now_by(CLOCK_MONOTONIC)
        events.turn()
        self.now.turns += now_by(CLOCK_MONOTONIC) - start
        self.now.cpu += now_by(CLOCK_THREAD_CPUTIME_ID) - cpu
        getrusage(RUSAGE_THREAD, cython.address(used))
        self.now.switches += used.ru_nivcsw - switches
        self.now.faults += used.ru_minflt + used.ru_majflt - faults
        return 0

    def record(self, began):
        ns: uint64_t = self.now.turns - began.turns + self.now.idle - began.idle
        self.requests += 1
        self.buckets[_bucket(ns)] += 1
        if ns > self.most:
            self.most = ns
        if ns > self.limit:
            self.outliers.append(
                {
                    "request": self.requests,
                    "ns": ns,
                    "cpu": self.now.cpu - began.cpu,
                    "idle": self.now.idle - began.idle,
                    "switches": self.now.switches - began.switches,
                    "faults": self.now.faults - began.faults,
                }
            )
        return 0

    def percentile(self, part):
        """The upper end of the bucket in which it is."""
        i: uint64_t
        left: uint64_t = cython.cast(uint64_t, part / 100 * self.requests)
        for i in range(BUCKETS):
            if self.buckets[i] > left:
                i += 1
                return i if i < 2 * FINE else (i % FINE + FINE) << (i // FINE - 1)
            left -= self.buckets[i]
        return self.most
