"""Datagrams that come in fragments (RFC 791, 3.2; RFC 1122, 3.3.2), put together by reference."""
from cpython.ref cimport PyObject
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.event.timer cimport timer_entry_t
from netapp.iobuf.chain cimport Chain
from netapp.net.counters cimport net_counters_t
from netapp.net.interface cimport Interface
from netapp.net.transport cimport ip_info_t

cdef enum:
    RANGES = 32                  # of one datagram that have come apart from each other

cdef struct fragment_range_t:
    uint32_t start               # bytes of the datagram's data
    uint32_t end
    PyObject* data               # the Chain; one reference


@final
cdef class Datagram:
    """Not complete yet. Owns the chains; ranges are disjoint, not adjacent, and in order."""
    cdef bytes key
    cdef fragment_range_t ranges[RANGES]
    cdef int count                           # ranges
    cdef uint32_t fragments                  # that make them up
    cdef uint32_t length                     # of its data; 0: the last fragment has not come
    cdef uint64_t pinned                     # bytes of slots
    cdef uint64_t deadline                   # ns
    cdef ip_info_t info                      # its `header` is set aside here
    cdef uint8_t header[60]                  # of the first fragment; header[0] == 0: it has not come
    cdef bint refused                        # what comes of it is dropped until its time is over
    cdef void forget(self) noexcept


@final
cdef class Reassembly:
    """Bounded in time, in datagrams (in all and of a source), and of one in fragments, and in pinned bytes (of all, of
    one). Small fragments are copied together, so that they do not pin more than 1.45 times their bytes."""
    cdef dict datagrams                      # key -> Datagram, oldest first, which is also the order of deadlines
    cdef dict sources                        # IPv4 address -> datagrams of it that are here
    cdef readonly uint64_t pinned
    cdef uint8_t header[60]                  # of the datagram that was last completed
    cdef net_counters_t* counters            # the manager's
    cdef timer_entry_t timer
    # `fragment` begins behind the header, which `info.header` is; it is taken over. Returns the datagram's data when this
    # completes it, `info.header` being that of its first fragment then, as if it had not been cut; else None.
    cdef Chain fragment_arrives(self, Interface interface, Chain fragment, ip_info_t* info)
    cdef void close(self)
    cdef Datagram _begin(self, bytes key, uint32_t source)
    cdef void _remove(self, Datagram datagram)
    cdef void _refuse(self, Datagram datagram, uint64_t* counter)
    cdef bint _keep(self, Datagram datagram, int at, uint32_t start, Chain fragment) except -1
    cdef void _evict(self)
    cdef int _expire(self, uint64_t now) except -1
