"""Times of requests: exact sums, and buckets that are HdrHistogram's with three significant digits."""
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    HALF = 1024                          # buckets from a power of two to the next, from 2 * HALF on; below it each ns
    BUCKETS = 34816                      # 34 * HALF
    POWERS = 64

cdef extern from *:
    """
    #include <stdint.h>
    #define NETAPP_LONGEST (((uint64_t)1 << 43) - 1)
    static inline uint32_t netapp_bucket(uint64_t ns) {
        uint32_t shift = 53 - __builtin_clzll(ns | 2047);    /* 10 less than the highest bit */
        return (shift << 10) + (uint32_t)(ns >> shift);
    }
    static inline uint64_t netapp_bucket_least(uint32_t bucket) {
        uint32_t shift = bucket < 2048 ? 0 : (bucket >> 10) - 1;
        return (uint64_t)(bucket - (shift << 10)) << shift;
    }
    static inline uint32_t netapp_power(uint64_t us) { return us < 2 ? 0 : 64 - __builtin_clzll(us - 1); }
    """
    const uint64_t LONGEST "NETAPP_LONGEST"                                      # ns, 2.4 hours: what took longer counts as this
    uint32_t bucket_of "netapp_bucket"(uint64_t ns) noexcept nogil
    uint64_t bucket_least "netapp_bucket_least"(uint32_t bucket) noexcept nogil  # the next bucket's is one above its most
    uint32_t power_of "netapp_power"(uint64_t us) noexcept nogil                 # the least n so that us <= 2 ** n

cdef struct series_t:
    uint64_t count
    uint64_t ns
    uint64_t least
    uint64_t most
    double squares                       # of microseconds
    uint64_t powers[POWERS]              # of two, of microseconds
    uint64_t buckets[BUCKETS]

cdef inline void note(series_t* s, uint64_t ns) noexcept nogil:
    cdef double us
    if ns > LONGEST:
        ns = LONGEST
    us = ns * 0.001
    if s.count == 0 or ns < s.least:
        s.least = ns
    if ns > s.most:
        s.most = ns
    s.count += 1
    s.ns += ns
    s.squares += us * us
    s.powers[power_of(ns // 1000)] += 1
    s.buckets[bucket_of(ns)] += 1


cdef class Series:
    cdef series_t s
    cpdef object record(self, uint64_t ns)
    cpdef object add(self, Series other)             # its times, too
    cpdef Series since(self, Series earlier)         # what came after `earlier` was a copy of this; least and most by buckets
    cpdef uint64_t percentile(self, double part)     # ns, the most of its bucket; 0 of none
    cpdef double geometric(self)                     # us, by buckets: within 0.05 %
    cpdef double deviation(self)                     # us, of a sample
    cpdef list filled(self)                          # (ns, count) of buckets, the least first
