"""Ethernet II frames (RFC 894)."""
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy
from netapp.wire.bytes cimport raw16, raw32, store16

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_DESTINATION = 0
    OFFSET_SOURCE = 6
    OFFSET_ETHERTYPE = 12
    HEADER_BYTES = 14
    ADDRESS_BYTES = 6

cdef enum:
    # As load16() reads them.
    ETHERTYPE_IPV4 = 0x0800
    ETHERTYPE_ARP = 0x0806

cdef enum:
    # Of check(): why a header is refused; REASONS in ethernet.py names them.
    TRUNCATED = 1                # less than 14 bytes


cdef inline int check(const uint8_t* header, uint64_t length) noexcept:
    return TRUNCATED if length < HEADER_BYTES else 0

cdef inline uint64_t address_at(const uint8_t* at) noexcept:
    """The six bytes in memory order, for comparing."""
    return raw32(at) | <uint64_t>raw16(at + 4) << 32

cdef inline bint is_multicast(uint64_t address) noexcept:
    """Of an address_at(): a group's, or broadcast."""
    return address & 1

cdef inline bint is_broadcast(uint64_t address) noexcept:
    return address == 0xffffffffffffULL

cdef inline bint is_all_hosts(uint64_t address) noexcept:
    """01:00:5e:00:00:01, to which 224.0.0.1 maps (RFC 1112, 6.4)."""
    return address == 0x0100005e0001ULL

cdef inline void write(
    uint8_t* header, const uint8_t* destination, const uint8_t* source, uint16_t ethertype
) noexcept:
    memcpy(header + OFFSET_DESTINATION, destination, ADDRESS_BYTES)
    memcpy(header + OFFSET_SOURCE, source, ADDRESS_BYTES)
    store16(header + OFFSET_ETHERTYPE, ethertype)
