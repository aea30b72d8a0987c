"""IPv4 (RFC 791; RFC 1122, 3.2.1 and 3.3): receiving, and paths to send on."""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.net.interface cimport Interface
from netapp.net.neighbours cimport Neighbour
from netapp.net.transport cimport Path

cdef enum:
    DEFAULT_TTL = 64


@final
cdef class IPv4Path(Path):
    """Cheap: its headers are ready but for lengths and checksum."""
    cdef Interface interface
    cdef Neighbour neighbour                 # the next hop
    cdef uint8_t header[20]                  # without length, protocol and checksum
    cdef uint64_t header_sum
    # A packet that is no longer than the MTU, with what its header says of fragments. As send_datagram().
    cdef bint send_piece(self, Chain packet, uint8_t protocol, uint16_t identification, uint16_t fragment) except -1
    # send(), of what begins with the transport's header.
    cdef bint _send_behind_headers(self, Chain packet, uint8_t protocol) except -1
    cdef bint _send_unresolved(self, Chain packet) except -1

cdef IPv4Path make_path(Interface interface, uint32_t source, uint32_t destination, uint32_t next_hop)
# A frame with its Ethernet header, of type IPv4; `to_group`: to a multicast or broadcast address of the link.
cdef int receive_ipv4(Interface interface, Chain frame, bint to_group) except -1
