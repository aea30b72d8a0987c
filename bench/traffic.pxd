"""Clients of a memcached appliance at the far end of a memory wire, whose replies are checked.

The workload is the one of the EbbRT paper: connections with one outstanding request each, get and set in a given ratio
over keys chosen evenly.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from bench.clients cimport Clients

cdef enum:
    KEY_BYTES = 64
    VALUE_BYTES_MAX = 1024

cdef enum:
    # request_t.waiting: for what
    NOTHING = 0
    VALUE
    STORED

cdef struct request_t:
    # The one that a client has under way.
    uint32_t key
    uint8_t waiting


cdef class Traffic(Clients):
    cdef request_t* requests                 # of each client
    cdef uint32_t key_count
    cdef uint8_t* keys                       # KEY_BYTES each
    cdef uint16_t* lengths                   # of the values, by key
    cdef uint8_t* values                     # a value is a run of these bytes
    cdef uint64_t random
    cdef uint32_t sets_of_ten
    cdef readonly uint64_t sent
    cdef readonly uint64_t gets
    cdef uint32_t next_key                   # of those to be stored first
    cdef int _begin(self, uint64_t requests, uint32_t sets_of_ten) except -1
    cdef int _request(self, uint32_t number) except -1
    cdef uint64_t _chance(self) noexcept
    cpdef object store_all(self)             # from now on: each key is stored once
    cpdef object mix(self, uint64_t requests, uint32_t sets_of_ten)  # from now on: so many more requests
