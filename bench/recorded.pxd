"""Clients that do again what was recorded, in the same order.

A client waits with its next piece until it has got as much of the server's text as it had acknowledged by then in the
recording, and all others wait with it: so the order between connections is the recorded one, and what one turn of the
node gets is as much as can have been on its way at once. Where the node has nothing more to say, the reply is another
than the recorded one (a miss where there was a hit, say): the piece is sent all the same, and counted.
"""
from libc.stdint cimport uint32_t, uint64_t
from bench.clients cimport Clients

cdef enum:
    # step_t.kind
    OPEN = 0
    TEXT
    CLOSE
    RESET

cdef struct step_t:
    uint32_t client
    uint32_t kind
    uint64_t offset              # of its text
    uint32_t length
    uint64_t after               # bytes of the server's text that have to be there

cdef struct peer_t:
    uint64_t received            # bytes of the server's text
    uint32_t una                 # SND.UNA
    uint32_t window
    uint32_t unacknowledged      # bytes of what was received
    bint over                    # the server ended it, or this side


cdef class Recorded(Clients):
    cdef step_t* steps
    cdef uint32_t step_count
    cdef uint32_t next_step
    cdef uint32_t done                       # bytes of its text that were sent
    cdef bytes text
    cdef peer_t* peers                       # of each client
    cdef bint heard                          # something came since the last offer
    cdef int quiet                           # turns since anything came or went
    cdef bint finished
    cdef readonly uint64_t early             # pieces sent before as much had come as in the recording
    cdef readonly uint64_t dropped           # pieces of connections that the server had ended
    cdef int _next(self) except -1           # sends what comes next; 0: it has to wait
    cdef int _acknowledge(self) except -1    # whatever was not; how many segments
