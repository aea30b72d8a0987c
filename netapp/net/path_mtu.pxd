"""Path MTUs of destinations, learned from ICMP errors that a transport believed (RFC 1191)."""
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    # RFC 1191, 3, has 68. With less than this an error costs a sender more headers than data; whoever can make a
    # transport believe one is not to have that (RFC 5927, 7.2; Linux: min_pmtu). Beyond a narrower link nothing is reached.
    LEAST_MTU = 552


@final
cdef class PathMtus:
    """Bounded; what is not there has the MTU of its interface."""
    cdef dict entries                        # IPv4 address as in memory -> (MTU, ns until when), oldest first
    cdef uint32_t get(self, uint32_t destination, uint32_t limit, uint64_t now) except? 0    # `limit`: the interface's
    cdef int lower(self, uint32_t destination, uint32_t mtu, uint64_t now) except -1

cdef uint32_t plateau_below(uint32_t length) noexcept        # RFC 1191, 7: the next usual MTU
