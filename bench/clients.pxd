"""Clients of a node at the far end of a memory wire: frames made from templates, sequence numbers kept.

What they do is not part of any measurement: they stand for other machines.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from posix.time cimport clockid_t
from netapp.drivers.device cimport FrameReceiver
from netapp.drivers.memory cimport MemoryEnd, MemoryQueue
from netapp.ebb.core cimport Core
from netapp.event.manager cimport EventManager
from netapp.event.virtual cimport VirtualClock
from netapp.iobuf.chain cimport Chain

cdef enum:
    HEADER_BYTES = 54            # Ethernet, IPv4, TCP
    ARP_BYTES = 42
    PORTS = 25000                # of an address, from FIRST_PORT
    FIRST_PORT = 20000

cdef struct client_t:
    uint8_t header[HEADER_BYTES]
    uint8_t connected
    uint32_t seq
    uint32_t ack


cdef uint64_t now_by(clockid_t clock) noexcept           # ns


cdef class Clients:
    cdef Core core                           # the clients' own: its pool is not the node's
    cdef MemoryEnd end
    cdef MemoryQueue queue
    cdef client_t* clients
    cdef uint32_t client_count
    cdef uint32_t first_address              # client i has port FIRST_PORT + i % PORTS of address first + i / PORTS
    cdef bint device_checksums
    cdef readonly uint64_t target            # answers to wait for in all
    cdef readonly uint64_t answered
    cdef readonly uint64_t wrong             # answers that were not what they should be
    cdef Arrivals receiver
    cdef int transmit(self, client_t* c, uint8_t flags, const uint8_t* text, uint32_t length) except -1
    cdef int receive(self, Chain frame) except -1
    cdef int _answer_arp(self, const uint8_t* request) except -1
    cpdef object connect(self, uint32_t first, uint32_t count)       # sends their SYNs
    cpdef int step(self) except -1           # takes what arrived and sends what follows; how many frames came
    # For the kind of clients: a segment of a connected client arrived, of `length` bytes of text, SND.NXT not moved yet.
    cdef int arrived(self, uint32_t number, Chain frame, uint32_t length) except -1
    cdef int offer(self) except -1           # sends what goes before a turn; how many segments


cdef class Arrivals(FrameReceiver):
    cdef Clients clients


cdef class Meter:
    """Turns of a node, whose clock goes on by `pace` ns in each. An instruction counter is switched by the name of
    measured_turn, and read at that of mark."""
    cdef readonly uint64_t longest           # ns of CPU time of the longest turn so far
    cdef int measured_turn(self, EventManager events) except -1
    cdef int mark(self) except -1
    cpdef object count(self)                 # what was measured since the last time is a count of its own
    # Until the last answer; ns spent within turns. RuntimeError when the node falls silent before.
    cpdef uint64_t run(
        self, EventManager events, VirtualClock clock, Clients clients, bint measured, uint64_t pace=*
    ) except? 0
