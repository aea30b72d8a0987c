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
    """Sources are file descriptors, or objects with fileno(). Give close() a call, or let the object go.

    wait() lets other threads run; afterwards, Python's signal handlers. One that comes just before the sleep ends it as
    well where signal.set_wakeup_fd() has `wake_descriptor` (see netapp.hosted.signals).
    """
    cdef bint opened                         # the descriptors are ours to close
    cdef int epoll
    cdef int pipe[2]                         # wakes: what is written into [1] ends wait()
    cdef int timer                           # a timerfd, where epoll_pwait2 is missing; -1: not used
    cdef bint timer_armed
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
    cdef int _use_timer(self) except -1
    cpdef object close(self)
