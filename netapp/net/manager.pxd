"""The network manager Ebb: interfaces, routes, and the table of transports."""
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.drivers.device cimport Queue
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport NETWORK_MANAGER_ID
from netapp.net.address cimport address_t
from netapp.net.counters cimport net_counters_t
from netapp.net.fragmentation cimport Identifications
from netapp.net.icmp_errors cimport ErrorLimit
from netapp.net.interface cimport Interface
from netapp.net.local cimport LocalAddress
from netapp.net.path_mtu cimport PathMtus
from netapp.net.reassembly cimport Reassembly
from netapp.net.routes cimport Route, Routes
from netapp.net.transport cimport Path, Transport


cdef class NetworkManager(Representative):
    cdef PyObject* transports[256]           # Transport by IP protocol number, NULL: none; each owns a reference
    cdef net_counters_t values
    cdef readonly list interfaces
    cdef Routes routes
    cdef Reassembly reassembly
    cdef PathMtus path_mtus
    cdef uint8_t header[60]                  # of the packet being received, where its slot may go
    cdef Identifications identifications
    cdef ErrorLimit error_limit
    cdef uint32_t routes_version             # grows with every change
    cdef object entropy                      # for random times; None: they are the longest
    cdef Path path(self, address_t destination)      # None: no route (counted)
    # The same from our address `source`. None: it is not ours, or no route leaves from its interface (counted).
    cdef Path path_between(self, address_t source, address_t destination)
    # To everybody on the link (RFC 1122, 3.3.6): on a subnet, or with 255.255.255.255, from `source` or, where that is 0,
    # of the first interface. None: `destination` is no broadcast address.
    cdef Path broadcast_path(self, address_t source, address_t destination)
    cdef uint32_t next_hop(self, Interface interface, uint32_t source, uint32_t target)  # 0: not to be reached
    cdef bint is_local(self, address_t address)      # one of our unicast addresses, also one not yet in use
    cdef void register_transport(self, uint8_t protocol, Transport transport)
    cdef Path _path_over(self, Route found, uint32_t source, uint32_t target)
    cdef bint _is_reachable(self, Route route, uint32_t target)
    cdef Interface _untagged(self, Queue queue)
    cdef Interface _interface_of(self, object config, object name)
    cdef int remove_local(self, LocalAddress local) except -1
    cdef void count_addresses(self)
    cdef uint64_t random_time(self, uint64_t least, uint64_t greatest)
    cdef void routes_changed(self)
    cdef const uint8_t* keep_header(self, const uint8_t* header) noexcept    # a copy, until the next packet
    cpdef Interface add_interface(self, Queue queue, object config)
    # `network` and `gateway` as in RouteConfig; `interface`: its name, where several have the gateway's subnet.
    # ValueError says in a line what is wrong. Paths that are in use follow at once.
    cpdef object add_route(self, object network, object gateway, object interface=*)
    cpdef object remove_route(self, object network, object gateway, object interface=*)
    cpdef list route_table(self)                     # a line of text for each, in the order of looking
    cpdef str route(self, object destination)        # how a packet to it would go, as a line of text

cdef inline NetworkManager network():
    return <NetworkManager>representative(NETWORK_MANAGER_ID)
