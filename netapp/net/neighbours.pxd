"""Link addresses of the hosts on an interface's subnet, found by ARP (RFC 826; RFC 1122, 2.3.2)."""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.event.timer cimport timer_entry_t
from netapp.iobuf.chain cimport Chain
from netapp.net.interface cimport Interface

cdef enum:
    # Neighbour.state
    INCOMPLETE = 0               # link address not known; packets wait while requests go out
    REACHABLE                    # known, and confirmed within the last minute
    STALE                        # known, but not confirmed lately; the next packet asks for it
    PROBING                      # known, and being asked for
    FAILED                       # did not answer; packets are dropped until retry_at
    GONE                         # evicted from the table, or its interface is closed


cdef enum:
    EVERYBODY = 0xffffffff       # its link address is known without asking: that of all


@final
cdef class Neighbour:
    """Kept by paths. Who finds it GONE asks the table for another."""
    cdef bint usable                         # REACHABLE or PROBING: `header` may be copied before a packet as it is
    cdef uint8_t state
    cdef uint8_t attempts                    # requests sent since the last answer
    cdef uint8_t header[14]                  # the Ethernet header of packets to it
    cdef uint32_t address                    # as in memory
    cdef uint64_t retry_at                   # ns
    cdef timer_entry_t timer
    cdef Neighbours table                    # None when GONE
    cdef object waiting                      # deque of frames, oldest first, their Ethernet header still to be written


@final
cdef class Neighbours:
    cdef Interface interface                 # None when closed
    cdef dict entries                        # IPv4 address as in memory -> Neighbour; oldest first
    cdef uint32_t waiting                    # frames, of all neighbours
    cdef Neighbour obtain(self, uint32_t address)            # a new one is INCOMPLETE
    cdef bint send(self, Neighbour neighbour, Chain frame) except -1 # to one that is not usable; False: ring full
    cdef int receive_arp(self, Chain frame) except -1        # a frame with its Ethernet header
    cdef bint is_alive(self, uint32_t address)               # False: it is FAILED
    cdef int ask_again(self, uint32_t address) except -1     # one that is not alive, at most once a second
    cdef void doubt(self, Neighbour neighbour)               # it may be gone: the next packet asks for it
    cdef void renew(self)                                    # every Neighbour becomes GONE; what is known stays
    cdef void close(self)
    cdef int _learn(self, Neighbour neighbour, const uint8_t* mac) except -1
    cdef int _request(self, Neighbour neighbour) except -1
    cdef int _reply(self, Chain frame) except -1
    cdef void _drop_waiting(self, Neighbour neighbour, uint64_t* counter)
    cdef void _remove(self, Neighbour neighbour)

# Asks for the link address of `target`: everybody (`to` is NULL), or `to`. `sender`: our address, or 0.
cdef int send_request(Interface interface, const uint8_t* to, uint32_t sender, uint32_t target) except -1
