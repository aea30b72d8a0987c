"""What the network layer offers to transports (tcp, udp, icmp), and what these register with it."""
from libc.stdint cimport uint8_t, uint32_t
from netapp.iobuf.chain cimport Chain
from netapp.net.address cimport address_t
from netapp.net.key cimport key_t

cdef enum:
    LOWER_HEADERS_BYTES = 34     # Ethernet and IPv4

cdef struct ip_info_t:
    # Of a received packet; the struct lives during the call only.
    key_t key                    # remote: the source; local: the destination; ports: for the transport to fill in
    bint multicast               # to a broadcast or multicast address, of the link or of IP
    const uint8_t* header        # the IP header, in one piece; of a datagram that came in fragments: the first one's


cdef struct icmp_error_t:
    # What an ICMP error says of a packet that we sent; the struct and what it points to live during the call only.
    # Anybody can send it: a transport acts on it only where it fits what is under way (RFC 5927).
    address_t source             # of our packet: one of our addresses
    address_t destination        # of our packet
    address_t reporter           # who sent the error
    const uint8_t* header        # our packet, from its transport header on
    uint32_t length              # bytes there, at least 8
    # Of "fragmentation needed" (RFC 1191): what the path MTU will be if the transport accepts the error, at most what it
    # is now, and less than our packet was; of all others 0.
    uint32_t mtu
    uint8_t type                 # as in ICMP
    uint8_t code


cdef class Transport:
    cdef int receive_packet(self, Chain packet, ip_info_t* info) except -1   # packet begins at the transport's header
    # 1: the error fits what is under way, as what was sent and is not acknowledged (RFC 5927, 4.1), and is believed: the
    # path MTU of its destination goes down to error.mtu after the call. 0: it does not. Returns 0 unless overridden.
    cdef int error_arrives(self, icmp_error_t* error) except -1
    # `address` is ours no more: what uses it should end, and may still send by the paths it has (RFC 5227, 2.4). Does
    # nothing unless overridden.
    cdef int address_lost(self, address_t address) except -1


cdef class Path:
    """The way to one destination: source address, interface and next hop. Kept by a connection for its life; finds out
    itself when the route or the neighbour changes."""
    cdef readonly uint32_t mtu               # of an IP packet, bytes: the path MTU (RFC 1191) at the last refresh_mtu()
    cdef readonly uint32_t features          # Device.features
    cdef address_t source
    cdef address_t destination
    cdef bint broadcast                      # to everybody on the link
    # Hands the packet to the device, or to the neighbour's queue while its address is being resolved. Its first
    # LOWER_HEADERS_BYTES are room for the lower headers, in front of the transport's and in a slot that nobody else
    # sees. False: the device's ring is full, the packet was not sent and is as it was; otherwise it is empty. True also
    # where it was dropped for another reason, which is counted.
    # Nobody may cut the packet; it is the caller's affair that it is no longer than `mtu` (or is cut by the device).
    cdef bint send(self, Chain packet, uint8_t protocol) except -1
    # The same for a packet that begins with the transport's header: the lower ones are prepended, and their length is
    # added to offload.csum_start and header_length, where False leaves them.
    # For a packet that routers may cut, and that is cut into fragments here where it exceeds the path MTU as
    # it is now. A checksum that the device should complete is completed first: it must lie in the first view, in a slot
    # that nobody else sees. `dont_fragment`: as send(), but a packet that exceeds the path MTU is dropped (counted).
    cdef bint send_datagram(self, Chain packet, uint8_t protocol, bint dont_fragment) except -1
    # Looks the path MTU up again, and returns it: it went down when an error was accepted, and is forgotten ten minutes
    # later (RFC 1191, 6.3). To be called after an accepted error, after a time-out, and before sending after a pause.
    cdef uint32_t refresh_mtu(self) except? 0
    # What the IP header of all further packets says (RFC 1122, 3.2.1.6 and 3.2.1.7).
    cdef int mark(self, uint8_t ttl, uint8_t traffic_class) except -1
    # Negative advice (RFC 1122, 3.3.1.4; RFC 9293, 3.8.3: at R1): nothing came back over this path lately. The next hop
    # is asked whether it is still there; where it does not answer, another gateway is taken.
    cdef int doubt(self) except -1
