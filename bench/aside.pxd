"""Clients that use a memcached appliance as a cache beside something slower, on a memory wire."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from bench.clients cimport Clients
from bench.latency cimport Stopwatch, moment_t
from bench.trace cimport Trace, asked_t

cdef enum:
    SEGMENT = 1460

cdef struct talk_t:
    # Of a client.
    asked_t asked
    moment_t began               # when the request was sent
    uint64_t whole               # bytes of it
    uint64_t sent                # of these
    uint32_t una                 # SND.UNA
    uint32_t window              # SND.WND
    bint busy


cdef class Aside(Clients):
    """Each has one request outstanding: the next get of the trace, then a set where that was a miss. Values of many
    segments are sent and received as the windows allow."""
    cdef Trace trace
    cdef Stopwatch watch
    cdef talk_t* talks
    cdef uint64_t begun                      # gets
    cdef readonly uint64_t hits
    cdef readonly uint64_t sets
    cdef int _next(self, uint32_t number) except -1
    cdef int _push(self, uint32_t number) except -1
    cpdef object go_on(self, uint64_t gets)  # so many more
