"""The routing table: prefixes, the longest first (RFC 1122, 3.3.1)."""
from cython cimport final
from libc.stdint cimport uint32_t
from netapp.net.interface cimport Interface


@final
cdef class Route:
    cdef uint32_t network                    # addresses as in memory
    cdef uint32_t netmask
    cdef uint32_t gateway                    # 0: the network is the interface's own subnet
    cdef readonly uint32_t prefix_length
    cdef readonly Interface interface


@final
cdef class Routes:
    cdef list entries                        # of Route
    cdef void add(self, uint32_t network, uint32_t netmask, uint32_t gateway, Interface interface)
    # None: unreachable. `interface`: only what leaves by it counts; None: any.
    cdef Route find(self, uint32_t destination, Interface interface)
    cdef void remove_interface(self, Interface interface)
