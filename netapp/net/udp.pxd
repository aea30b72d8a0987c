"""UDP (RFC 768; RFC 1122, 4.1): the Ebb, its sockets by what they are bound to, and what comes in. What appliances do
with a socket is in udp_socket.pxd."""
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport UDP_ID
from netapp.event.manager cimport Poller
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.keys cimport KeyTable
from netapp.net.address cimport address_t
from netapp.net.key cimport key_t
from netapp.net.transport cimport Path, Transport
from netapp.net.udp_socket cimport UdpSocket

cdef enum:
    PATHS = 256                  # of UdpManager.paths
    LONGEST_PAYLOAD = 65507      # 65,535 less IP's and UDP's headers

cdef struct udp_counters_t:
    uint64_t datagrams_in        # handed to a handler
    uint64_t datagrams_out
    uint64_t unchecked           # received without a checksum
    uint64_t cut_in              # datagrams that were cut from a received frame of several
    uint64_t cut_out             # datagrams that were cut from what a handler sent, in software
    uint64_t errors_in           # ICMP errors that a handler was told
    uint64_t errors_unmatched    # ICMP errors about what no socket sends
    uint64_t callback_exceptions
    uint64_t exhausted           # datagrams not sent for want of slots
    uint64_t transmit_full       # datagrams not sent because the device's ring was full
    uint64_t replies_undeliverable   # the datagram had source port 0, or there is no way back
    uint64_t dropped_short       # these two in the order of netapp.wire.udp's reasons
    uint64_t dropped_length
    uint64_t dropped_checksum
    uint64_t dropped_no_socket
    uint64_t dropped_broadcast   # nobody there asked for broadcasts

cdef struct path_entry_t:
    address_t destination
    address_t source             # that the socket is bound to; 0: any
    uint32_t marks               # ttl << 8 | traffic class
    PyObject* path               # owned; NULL: free


cdef class UdpTransport(Transport):
    cdef UdpManager udp                      # let go of in destroy()


cdef class UdpRetry(Poller):
    """Keeps the loop turning while a device's ring is full, and tells the sockets that met it."""
    cdef UdpManager udp


cdef class UdpManager(Representative):
    cdef udp_counters_t counts
    cdef KeyTable table                      # of UdpSocket; each has its key_t
    cdef uint32_t connected                  # sockets in it that have a peer …
    cdef uint32_t addressed                  # … that are bound to one address
    cdef dict ports                          # local port -> number of sockets
    cdef uint64_t secret[2]
    cdef uint16_t next_port                  # RFC 6056's counter
    cdef path_entry_t paths[PATHS]           # of sockets without a peer: the paths used last
    cdef uint32_t routes_version             # of the network manager, when they were made
    cdef Chain packet                        # the next one to send; used again where the device emptied it at once
    cdef UdpTransport transport
    cdef UdpRetry retry                      # started while sockets are blocked
    cdef list blocked                        # sockets that met a full ring
    cdef UdpSocket find(self, key_t* key)    # the one that a datagram with this key is for; None
    cdef Path path(self, UdpSocket socket, address_t destination)    # None: there is no way
    cdef bint sends_to(self, address_t destination) noexcept         # lately, from a socket without a peer
    cdef int block(self, UdpSocket socket) except -1
    cdef int forget(self, UdpSocket socket) except -1
    cpdef list sockets(self)

cdef inline UdpManager udp():
    return <UdpManager>representative(UDP_ID)

cdef Path new_path(UdpSocket socket, address_t destination)  # None: there is no way
