"""A connection's timers share one lazy entry of the wheel, and the estimator of the time-out (RFC 6298)."""
from libc.stdint cimport uint64_t
from netapp.tcp.connection cimport Connection

cdef int arm(Connection c, uint64_t deadline) except -1      # the wheel's entry

cdef inline int set_timer(Connection c, int which, uint64_t deadline) except -1:
    c.deadlines[which] = deadline
    if not c.timer.pending or deadline < c.timer.deadline:
        arm(c, deadline)
    return 0

cdef inline void stop_timer(Connection c, int which) noexcept:
    # The wheel's entry stays: when it fires it looks which deadline is next.
    c.deadlines[which] = 0

cdef void prepare_timers(Connection c) noexcept
cdef void stop_timers(Connection c) noexcept
cdef void measured(Connection c, uint64_t rtt) noexcept      # ns
cdef void forget_backoff(Connection c) noexcept              # the time-out is again what was measured
