"""Linux as the platform of a core: clocks, entropy, and interrupts out of epoll."""
from libc.stdint cimport int64_t, uint64_t
from netapp.event.contracts cimport Clock, Entropy, InterruptHandler, Interrupts, WallClock
from netapp.hosted.epoll cimport epoll_event

cdef enum:
    EVENTS = 64                  # that one look fetches; the others wait for the next


cdef class MonotonicClock(Clock):
    """CLOCK_MONOTONIC: does not count while the machine is suspended."""


cdef class RealWallClock(WallClock):
    pass


cdef class SystemEntropy(Entropy):
    pass


cdef class EpollInterrupts(Interrupts):
    """Sources are file descriptors, or objects with fileno(): a handler runs as long as there is something to read, and
    once where there is an error and nothing to read. Give close() a call, or let the object go.

    wait() lets other threads run; afterwards, Python's signal handlers. One that comes just before the sleep ends it as
    well where signal.set_wakeup_fd() has `wake_descriptor` (see netapp.hosted.signals).
    """
    cdef bint opened                         # the descriptors are ours to close
    cdef int epoll
    cdef int pipe[2]                         # wakes: what is written into [1] ends wait()
    # Ends sleeps. It stays armed over many of them, which costs the kernel nothing each time: only an earlier deadline
    # arms it anew, and where the deadline has moved on meanwhile, a sleep ends once in vain.
    cdef int timer
    cdef uint64_t timer_at                   # CLOCK_MONOTONIC, ns; 0: it is not armed
    cdef bint woken
    cdef bint sleeping
    cdef int skipped                         # looks left out since the last one
    cdef dict descriptors                    # file descriptor -> the name that epoll knows it by
    cdef dict handlers                       # by name: a number is not used again, so what is stale finds nothing
    cdef uint64_t next_name
    cdef epoll_event ready[EVENTS]
    cdef int ready_count
    cdef int ready_next
    cdef int _look(self, int64_t timeout) except -1
    cdef int _arm(self, uint64_t deadline) except -1
    cdef int _let_go(self, uint64_t name) except -1
    cpdef object close(self)
