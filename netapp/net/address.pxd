"""Addresses are 16 bytes everywhere in keys; IPv4 ones are mapped (RFC 4291, 2.5.5.2)."""
from libc.stdint cimport uint32_t, uint64_t

cdef struct address_t:
    # As in memory, network byte order: comparing and hashing need no swap.
    uint64_t high
    uint64_t low

cdef inline address_t mapped(uint32_t ipv4) noexcept:
    """`ipv4` as in memory."""
    cdef address_t address
    address.high = 0
    address.low = 0xffff0000UL | (<uint64_t>ipv4 << 32)      # 00 00 ff ff a b c d, on a little-endian machine
    return address

cdef inline uint32_t ipv4_of(address_t address) noexcept:
    return <uint32_t>(address.low >> 32)

cdef inline bint is_ipv4(address_t address) noexcept:
    return address.high == 0 and <uint32_t>address.low == 0xffff0000UL

cdef inline bint same(address_t a, address_t b) noexcept:
    return a.low == b.low and a.high == b.high

cdef address_t parse_address(object text) except *       # str or ipaddress; ValueError in one line
cdef str format_address(address_t address)
