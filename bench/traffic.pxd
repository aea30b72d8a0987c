"""Clients of a memcached appliance at the far end of a memory wire: frames made from templates, replies checked.

What it does is not part of any measurement: it stands for other machines. The workload is the one of the EbbRT paper:
connections with one outstanding request each, get and set in a given ratio over keys chosen evenly.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.device cimport FrameReceiver
from netapp.drivers.memory cimport MemoryEnd, MemoryQueue
from netapp.ebb.core cimport Core
from netapp.event.manager cimport EventManager
from netapp.event.virtual cimport VirtualClock
from netapp.iobuf.chain cimport Chain

cdef enum:
    KEY_BYTES = 64
    VALUE_BYTES_MAX = 1024
    HEADER_BYTES = 54            # Ethernet, IPv4, TCP

cdef enum:
    # connection_t.waiting: for what
    NOTHING = 0
    HANDSHAKE
    VALUE
    STORED

cdef struct connection_t:
    uint8_t header[HEADER_BYTES]
    uint32_t seq
    uint32_t ack
    uint32_t key                 # of the request under way
    uint8_t waiting


cdef class Traffic:
    cdef Core core                           # the clients' own: its pool is not the appliance's
    cdef MemoryEnd end
    cdef MemoryQueue queue
    cdef connection_t* connections
    cdef uint32_t connection_count
    cdef uint32_t key_count
    cdef uint8_t* keys                       # KEY_BYTES each
    cdef uint16_t* lengths                   # of the values, by key
    cdef uint8_t* values                     # a value is a run of these bytes
    cdef bint device_checksums
    cdef uint64_t random
    cdef uint32_t sets_of_ten
    cdef uint64_t target                     # requests to send in all
    cdef readonly uint64_t sent
    cdef readonly uint64_t answered
    cdef readonly uint64_t gets
    cdef readonly uint64_t wrong             # replies that were not what they should be
    cdef uint32_t next_key                   # of those to be stored first
    cdef Replies receiver
    cdef int _begin(self, uint64_t requests, uint32_t sets_of_ten) except -1
    cdef int reply(self, Chain frame) except -1
    cdef int _request(self, connection_t* c) except -1
    cdef int _transmit(self, connection_t* c, uint8_t flags, const uint8_t* text, uint32_t length) except -1
    cdef uint64_t _chance(self) noexcept
    cpdef object connect(self)               # sends every connection's SYN
    cpdef object store_all(self)             # from now on: each key is stored once
    cpdef object mix(self, uint64_t requests, uint32_t sets_of_ten)  # from now on: so many more requests
    cpdef int step(self) except -1           # takes what arrived and sends what follows; how many replies


cdef class Replies(FrameReceiver):
    cdef Traffic traffic


cdef class Meter:
    """Turns of a node, whose clock goes on by 2 us in each. An instruction counter is switched by measured_turn's name."""
    cdef int measured_turn(self, EventManager events) except -1
    # Until the last reply; ns spent within turns. RuntimeError when the node falls silent before.
    cpdef uint64_t run(self, EventManager events, VirtualClock clock, Traffic traffic, bint measured) except? 0
