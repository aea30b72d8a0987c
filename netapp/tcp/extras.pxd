"""What few connections use: keep-alive, a user time-out, urgent data, errors that ICMP reports."""
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t
from netapp.tcp.connection cimport Connection


@final
cdef class Extras:
    """Of one connection, from the first use on. Times are ns."""
    cdef uint64_t user_timeout               # 0: none was asked for
    cdef uint64_t waits_since                # of what begins at timed_out_una: when it was sent; 0: not known
    cdef uint64_t keepalive_idle             # 0: off
    cdef uint64_t keepalive_interval
    cdef uint32_t keepalive_count
    cdef uint32_t probes                     # keep-alives since the peer was heard
    cdef uint64_t keepalive_since            # when it was asked for
    cdef uint64_t probed_at                  # the last keep-alive
    cdef uint32_t snd_up                     # SND.UP, with SND_URGENT
    cdef uint32_t rcv_up                     # RCV.UP, with RCV_URGENT
    cdef object soft_error                   # the OSError that is told, with UP_SOFT_ERROR

cdef Extras extras_of(Connection c)                          # made, if there are none
cdef int keepalive_due(Connection c, uint64_t now) except -1 # its timer fired
cdef int urgent_arrives(Connection c, uint32_t up) except -1 # SEG.UP, of a segment that is acceptable
cdef uint32_t urgent_left(Connection c) noexcept             # bytes not handed up, to the mark; 0: none are urgent
