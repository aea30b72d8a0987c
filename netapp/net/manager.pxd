"""The network manager Ebb: interfaces, routes, and the table of transports."""
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.drivers.device cimport Queue
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport NETWORK_MANAGER_ID
from netapp.net.address cimport address_t
from netapp.net.counters cimport net_counters_t
from netapp.net.interface cimport Interface
from netapp.net.routes cimport Routes
from netapp.net.transport cimport Path, Transport


cdef class NetworkManager(Representative):
    cdef PyObject* transports[256]           # Transport by IP protocol number, NULL: none; each owns a reference
    cdef net_counters_t values
    cdef readonly list interfaces
    cdef Routes routes
    cdef Path path(self, address_t destination)      # None: no route (counted)
    # The same from our address `source`. None: it is not ours, or no route leaves from its interface (counted).
    cdef Path path_between(self, address_t source, address_t destination)
    cdef Path _path_over(self, Interface interface, uint32_t source, uint32_t target)
    cdef bint is_local(self, address_t address) noexcept     # one of our unicast addresses
    cdef void register_transport(self, uint8_t protocol, Transport transport)
    cpdef Interface add_interface(self, Queue queue, object config)
    cpdef str route(self, object destination)        # how a packet to it would go, as a line of text

cdef inline NetworkManager network():
    return <NetworkManager>representative(NETWORK_MANAGER_ID)
