"""The network manager Ebb: interfaces, routes, and the table of transports."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport NETWORK_MANAGER_ID
from netapp.net.address cimport address_t
from netapp.net.transport cimport Path, Transport


cdef class NetworkManager(Representative):
    cdef Transport transports[256]           # by IP protocol number
    cdef Path path(self, address_t destination)      # None: no route (counted)
    cdef bint is_local(self, address_t address) noexcept     # one of our unicast addresses
    cdef void register_transport(self, uint8_t protocol, Transport transport)

cdef inline NetworkManager network():
    return <NetworkManager>representative(NETWORK_MANAGER_ID)
