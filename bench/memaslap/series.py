"""Times of requests."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.math import exp, log, sqrt
from cython.cimports.libc.stdint import uint32_t, uint64_t


class Series:
    def record(self, ns):
        note(cython.address(self.s), ns)

    def add(self, other):
        i: uint32_t
        o: cython.pointer(series_t) = cython.address(other.s)
        if o.count and (self.s.count == 0 or o.least < self.s.least):
            self.s.least = o.least
        if o.most > self.s.most:
            self.s.most = o.most
        self.s.count += o.count
        self.s.ns += o.ns
        self.s.squares += o.squares
        for i in range(POWERS):
            self.s.powers[i] += o.powers[i]
        for i in range(BUCKETS):
            self.s.buckets[i] += o.buckets[i]

    def since(self, earlier):
        i: uint32_t
        later: Series = Series()
        o: cython.pointer(series_t) = cython.address(earlier.s)
        later.s.count = self.s.count - o.count
        later.s.ns = self.s.ns - o.ns
        later.s.squares = self.s.squares - o.squares
        for i in range(POWERS):
            later.s.powers[i] = self.s.powers[i] - o.powers[i]
        for i in range(BUCKETS):
            later.s.buckets[i] = self.s.buckets[i] - o.buckets[i]
            if later.s.buckets[i]:
                if not later.s.least:
                    later.s.least = max(bucket_least(i), self.s.least)
                later.s.most = min(bucket_least(i + 1) - 1, self.s.most)
        return later

    def percentile(self, part):
        i: uint32_t
        before: uint64_t = 0
        for i in range(BUCKETS):
            before += self.s.buckets[i]
            if before and before >= part * self.s.count:
                return min(bucket_least(i + 1) - 1, self.s.most)
        return 0

    def geometric(self):
        i: uint32_t
        logarithms: cython.double = 0
        middle: cython.double
        if not self.s.count:
            return 0
        for i in range(BUCKETS):
            if self.s.buckets[i]:
                middle = (bucket_least(i) + bucket_least(i + 1) - 1) / 2000.0
                logarithms += self.s.buckets[i] * log(max(middle, 0.001))
        return exp(logarithms / self.s.count)

    def deviation(self):
        n: cython.double = cython.cast(cython.double, self.s.count)
        average: cython.double
        if n < 2:
            return 0
        average = cython.cast(cython.double, self.s.ns) / 1000 / n
        return sqrt(max(self.s.squares - n * average * average, 0.0) / (n - 1))

    def filled(self):
        i: uint32_t
        return [(bucket_least(i), self.s.buckets[i]) for i in range(BUCKETS) if self.s.buckets[i]]

    @property
    def count(self):
        return self.s.count

    @property
    def least(self):
        """ns"""
        return self.s.least

    @property
    def most(self):
        """ns"""
        return self.s.most

    @property
    def average(self):
        """us"""
        return cython.cast(cython.double, self.s.ns) / 1000 / self.s.count if self.s.count else 0.0

    @property
    def powers(self):
        """How many took at most 2 ** i us, and more than 2 ** (i - 1), by i, up to the last that is not 0."""
        i: uint32_t
        found: list = [self.s.powers[i] for i in range(POWERS)]
        while found and not found[-1]:
            found.pop()
        return found
