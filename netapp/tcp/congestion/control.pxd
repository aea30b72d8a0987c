"""Congestion control is an Ebb; a connection keeps the representative it began with. Windows are bytes."""
from libc.stdint cimport uint32_t, uint64_t
from netapp.ebb.core cimport Representative
from netapp.tcp.connection cimport Connection


cdef class CongestionControl(Representative):
    """Sets cwnd and ssthresh of the connection; duplicate and partial acknowledgments are told apart by the caller.

    A compiled subclass overrides what it does otherwise. So does one in plain Python, where these methods are looked up
    once and called through an adapter; it cannot call the base's.
    """
    cdef CongestionControl adapter           # of a subclass in Python; None: none is needed, or it is not made yet
    cdef bint adapted                        # it was looked whether one is needed
    cdef CongestionControl for_connections(self)     # what connections call from their begin to their end
    cdef int start(self, Connection c) except -1                             # the handshake is done
    cdef int acknowledged(self, Connection c, uint32_t acked) except -1      # progress, outside recovery
    cdef int loss_detected(self, Connection c) except -1                     # fast recovery begins
    cdef int duplicate(self, Connection c) except -1                         # one more duplicate during recovery
    cdef int partial(self, Connection c, uint32_t acked) except -1           # progress during recovery, not its end
    cdef int recovered(self, Connection c) except -1
    cdef int timed_out(self, Connection c) except -1                         # retransmission time-out
    cdef int idle(self, Connection c) except -1                              # sending again after an idle RTO
