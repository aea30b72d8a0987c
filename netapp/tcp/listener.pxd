"""A listening port."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from netapp.net.address cimport address_t
from netapp.tcp.connection cimport Connection
from netapp.tcp.manager cimport TcpManager


cdef class Listener:
    """Half-open connections, and those that wait while it is paused, are bounded apart, by `backlog` each."""
    cdef readonly TcpManager tcp             # None once closed
    cdef readonly uint16_t port
    cdef address_t address                   # all zero: any of ours
    cdef readonly object factory             # called without arguments for each connection; returns its handler
    cdef readonly uint32_t backlog
    cdef readonly uint8_t traffic_class      # of the connections, to begin with
    cdef readonly bint paused
    cdef dict half_open                      # Connections in SYN_RECEIVED, oldest first; values None
    cdef dict waiting                        # those established while it is paused, which have no handler yet
    cpdef object close(self)                 # connections stay; half-open and waiting ones are reset
    cpdef object pause(self)                 # new connections wait, with what their peers send
    cpdef object resume(self)                # those that wait get their handlers now
    cdef bint is_full(self) noexcept         # no further one may wait
    cdef bint make_room(self) except -1      # for one more half-open connection; False: there is none
    cdef int established(self, Connection c) except -1
    cdef int forget(self, Connection c) except -1            # it ended before it had a handler
