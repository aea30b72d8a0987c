"""Sending what is larger than the path MTU (RFC 791, 3.2), and the identifications of what may be cut."""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.net.ipv4 cimport IPv4Path

cdef enum:
    COUNTERS = 256


@final
cdef class Identifications:
    """Of packets that may be cut; the others need none (RFC 6864, 4.1). Nobody can tell one from those to somebody else,
    and they repeat late (RFC 7739, 5.3)."""
    cdef uint64_t secret[2]
    cdef uint16_t counters[COUNTERS]
    cdef uint16_t take(self, uint32_t source, uint32_t destination, uint8_t protocol) noexcept

# Views of `packet` behind headers of their own; no byte is copied. False: the device's ring took none of them, and
# `packet` is as it was. Otherwise it is empty; those that the ring had no room for are counted.
cdef bint send_fragments(IPv4Path path, Chain packet, uint8_t protocol, uint16_t identification, uint32_t mtu) except -1
# Does what the device was asked to do for the whole packet.
cdef int complete_checksum(Chain packet) except -1
