"""What the event layer needs from a platform. `netapp.hosted` and `netapp.native` implement these."""
from libc.stdint cimport int64_t, uint64_t


cdef class Clock:
    """Monotonic time. Nothing but the event manager reads it, once a turn and to find handlers that take too long; a
    stopwatch (`netapp.node.stopwatch`) has one of its own."""
    cdef uint64_t now(self) noexcept         # ns


cdef class WallClock:
    """Time of day."""
    cpdef int64_t nanoseconds(self) except? -1       # since 1970-01-01 00:00 UTC


cdef class Entropy:
    cpdef bytes random_bytes(self, int count)        # fit for cryptographic keys


cdef class InterruptHandler:
    cdef int interrupt(self) except -1       # runs at the start of a turn; must not sleep


cdef class InterruptFunction(InterruptHandler):
    """Calls a Python function."""
    cdef readonly object function


cdef class Interrupts:
    """Interrupt sources of one core. `source` is what the platform knows them by: hosted, a file descriptor, which
    interrupts for as long as there is something to read; with the virtual clock, any object."""
    cdef bint polling                        # set by the event manager: turns follow each other without sleep, so
                                             # that a costly look may be left out now and then
    cdef InterruptHandler handler            # that dispatch() ran last; set before it runs
    # Runs the handlers of pending interrupts; how many. An exception leaves the others for the next call.
    cdef int dispatch(self) except -1
    cdef int wait(self, int64_t timeout) except -1   # sleeps until one is pending, or `timeout` ns passed; -1: for ever
    cpdef object attach(self, object source, InterruptHandler handler)   # ValueError: it is attached already
    cpdef object detach(self, object source)         # nothing happens when it is not attached
    cpdef object wake(self)                          # ends a wait() of this core; from signal handlers and other cores
