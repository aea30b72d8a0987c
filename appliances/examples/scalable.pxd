cimport cython
from libc.stdint cimport uint32_t
from netapp.tcp.congestion.reno cimport Reno
from netapp.tcp.connection cimport Connection


cdef class Scalable(Reno):
    cdef int acknowledged(self, Connection c, uint32_t acked) except -1
    @cython.locals(window=uint32_t)
    cdef int loss_detected(self, Connection c) except -1
