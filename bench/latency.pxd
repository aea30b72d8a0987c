"""How long requests took, and whose time that was."""
from libc.stdint cimport uint64_t
from bench.clients cimport Meter
from netapp.event.virtual cimport VirtualClock

cdef extern from "sys/resource.h":
    const int RUSAGE_THREAD

cdef enum:
    FINE = 16                    # buckets from a power of two to the next: 6 % apart
    BUCKETS = 1024

cdef struct moment_t:
    # Sums so far.
    uint64_t turns               # ns within the node's turns
    uint64_t cpu                 # of these, ns for which its thread ran
    uint64_t idle                # ns that the node would have waited for a timer, on the virtual clock
    uint64_t switches            # times that the system took the processor away from it
    uint64_t faults              # pages that were not there


cdef class Stopwatch(Meter):
    """Turns that are timed. A request's time is from when it was sent to when its answer came, less what its client
    did meanwhile: the turns of the node between, and its waiting."""
    cdef VirtualClock clock
    cdef uint64_t pace
    cdef uint64_t expected                   # the clock at the next turn, unless the node waits
    cdef uint64_t limit                      # ns: what takes longer is an outlier
    cdef moment_t now
    cdef uint64_t buckets[BUCKETS]
    cdef readonly uint64_t requests
    cdef readonly uint64_t most
    cdef readonly list outliers              # {"request", "ns", "cpu", "idle", "switches", "faults"}
    cdef int record(self, moment_t* began) except -1
    cpdef uint64_t percentile(self, double part)     # ns
