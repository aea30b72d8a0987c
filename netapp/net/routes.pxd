"""The routing table: prefixes, the longest first (RFC 1122, 3.3.1)."""
from cython cimport final
from libc.stdint cimport uint32_t
from netapp.net.interface cimport Interface
from netapp.net.local cimport LocalAddress


@final
cdef class Route:
    cdef uint32_t network                    # addresses as in memory
    cdef uint32_t netmask
    cdef uint32_t gateway                    # 0: the network is a subnet of the interface
    cdef readonly uint32_t prefix_length
    cdef readonly Interface interface
    cdef LocalAddress local                  # of a subnet: the address that it comes with


@final
cdef class Routes:
    cdef list entries                        # of Route
    cdef void add_subnet(self, LocalAddress local)
    cdef void remove_subnet(self, LocalAddress local)
    cdef void add(self, uint32_t network, uint32_t netmask, uint32_t gateway, Interface interface, LocalAddress local)
    cdef Route get(self, uint32_t network, uint32_t netmask, uint32_t gateway, Interface interface)  # None: not there
    cdef void remove(self, Route route)
    # None: unreachable. `interface`: only what leaves by it counts; None: any.
    cdef Route find(self, uint32_t destination, Interface interface)
