"""What appliances see of UDP: sockets, their handlers, and where datagrams come from."""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.keys cimport Keyed
from netapp.net.address cimport address_t
from netapp.net.key cimport key_t
from netapp.net.transport cimport Path
from netapp.net.udp cimport UdpManager


@final
cdef class Endpoint:
    """An address and a port: `Endpoint("10.99.0.1", 53)`, or where a datagram came from. Compares and hashes by the two.
    Does not change for as long as somebody keeps it."""
    cdef address_t remote
    cdef address_t local                     # of a datagram's: the address of ours that it was sent to
    cdef readonly uint16_t port
    cdef readonly bint broadcast             # it was sent to everybody on the link
    # As the datagram came: of its IP header.
    cdef readonly uint8_t ttl
    cdef readonly uint8_t traffic_class
    cdef readonly bytes options              # IP's; None: none


cdef class UdpHandler:
    """The callbacks of a socket. Every call is legal inside a callback. An exception out of a callback is logged and
    counted; the socket stays."""
    cdef readonly UdpSocket socket           # from bind() or connect() until closed() returned; else None
    # One datagram, by reference, which the handler owns; there and then: nothing is queued.
    cpdef object receive(self, Chain datagram, Endpoint source)
    # An ICMP error came about a datagram to `destination`: an OSError. Anybody may have made it up (RFC 5927).
    cpdef object error(self, object error, Endpoint destination)
    cpdef object writable(self)              # after a full ring: it is worth trying again
    cpdef object closed(self, object error)  # exactly once, the last call; None: by close()
    # The same calls of its socket.
    cpdef int send(self, object data, uint32_t segment_size=*) except -1
    cpdef int send_to(self, object data, object address, int port=*, uint32_t segment_size=*) except -1
    cpdef int reply(self, object data, uint32_t segment_size=*) except -1
    cpdef object close(self)


cdef class UdpBinding:
    """The callbacks that a handler class defines in Python, bound once a class; None where it is compiled."""
    cdef object receive
    cdef object error
    cdef object writable
    cdef object closed


@final
cdef class UdpSocket(Keyed):
    """Bound to a port; with a peer after connect().

    The calls that send take a Chain, which is emptied, or immutable bytes-like, and return how many datagrams were
    handed over: one, or as many as `segment_size` makes of the data, each of that many bytes but the last. Fewer: the
    device's ring is full; a Chain keeps what was not sent, and writable() will be called. They raise OSError where the
    datagram is too long, there is no way to the destination, or it is a broadcast address and the socket is not for that.
    """
    cdef readonly UdpManager udp             # None after closed()
    cdef UdpHandler handler                  # None after closed()
    cdef UdpBinding binding
    cdef key_t key                           # zero where any address, or no peer
    cdef readonly uint8_t ttl
    cdef readonly uint8_t traffic_class
    cdef readonly bint broadcast             # may send to broadcast addresses, and receives what was sent to them
    cdef readonly bint dont_fragment         # what is longer than the path MTU is refused, not cut
    cdef bint in_callback
    cdef bint in_receive
    cdef bint blocked                        # on the manager's list of those that met a full ring
    cdef bint ended                          # nothing goes any more; closed() was called, or is due
    cdef object failure                      # what it will say
    cdef Path path                           # to the peer; None: to be made
    cdef uint32_t routes_version             # of the network manager, when it was made
    cdef Endpoint source                     # of the last datagram; used again unless somebody kept it
    cpdef int send(self, object data, uint32_t segment_size=*) except -1                 # to the peer
    cpdef int send_to(self, object data, object address, int port=*, uint32_t segment_size=*) except -1
    # To where the datagram that is being received came from, from the address that it was sent to.
    cpdef int reply(self, object data, uint32_t segment_size=*) except -1
    cpdef object set_marks(self, int ttl, int traffic_class)
    cpdef object close(self)
    cdef Endpoint next_source(self)
    cdef Path peer_path(self)                # OSError: there is none
    cdef bint is_connected(self) noexcept

ctypedef int (*receive_t)(UdpSocket socket, Chain datagram) noexcept

cdef UdpBinding bind_class(object handler_class)
cdef int hand_up(UdpSocket socket, Chain datagram) except -1     # receive(), from socket.source
cdef int tell_error(UdpSocket socket, object error, Endpoint destination) except -1
cdef int tell_writable(UdpSocket socket) except -1
cdef int end(UdpSocket socket, object error) except -1           # out of the table; closed(error) is called, or is due
