"""A platform that is simulated: time passes when it is told to, nothing sleeps, nothing is random."""
from libc.stdint cimport int64_t, uint64_t
from netapp.event.contracts cimport Clock, Entropy, InterruptHandler, Interrupts, WallClock


cdef class VirtualClock(Clock):
    cdef public uint64_t time                # ns; set it, or advance()
    cpdef object advance(self, uint64_t nanoseconds)


cdef class VirtualWallClock(WallClock):
    """Runs with a clock, from a given time of day."""
    cdef Clock clock
    cdef int64_t origin


cdef class VirtualEntropy(Entropy):
    """The same bytes for the same seed."""
    cdef object random


cdef class VirtualInterrupts(Interrupts):
    """Sources are any objects. wait() does not block: where nothing is pending it lets the clock jump by the timeout,
    and raises RuntimeError where that is no way out (no clock was given, or no timeout)."""
    cdef VirtualClock clock
    cdef dict handlers                       # by source
    cdef dict pending                        # sources, in the order in which they were raised; the values mean nothing
    cdef bint woken
    cpdef object raise_interrupt(self, object source)    # ignored when nothing is attached to `source`
