"""A listening port."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from netapp.net.address cimport address_t
from netapp.tcp.manager cimport TcpManager


cdef class Listener:
    cdef readonly TcpManager tcp             # None once closed
    cdef readonly uint16_t port
    cdef address_t address                   # all zero: any of ours
    cdef readonly object factory             # called without arguments for each connection; returns its handler
    cdef readonly uint32_t backlog           # half-open connections at most
    cdef readonly uint32_t half_open
    cdef readonly uint8_t traffic_class      # of the connections, to begin with
    cpdef object close(self)                 # connections stay; half-open ones are reset
