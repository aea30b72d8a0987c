"""memcached's binary protocol, as a client speaks it. A get of several keys is as many gets, sent together."""
from libc.stdint cimport uint64_t
from bench.memaslap.client cimport client_t, task_t

cdef enum:
    HEADER_BYTES = 24
    SET_EXTRAS_BYTES = 8

# As text.pxd's.
cdef void build(client_t* c, task_t* t) noexcept nogil
cdef int read(client_t* c, task_t* t, const char* data, uint64_t length, bint* stored) noexcept nogil
