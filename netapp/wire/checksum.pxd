"""The internet checksum (RFC 1071). Sums are in memory byte order: fold() gives what is stored as it is."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain

cdef uint64_t sum_bytes(const uint8_t* data, uint64_t length, uint64_t initial) noexcept
cdef uint64_t sum_chain(Chain chain, uint64_t offset, uint64_t initial) noexcept     # from offset to the end
cdef uint64_t sum_pseudo_header(uint32_t source, uint32_t destination, uint8_t protocol, uint32_t length) noexcept  # IPv4, addresses as in memory

cdef inline uint16_t fold(uint64_t total) noexcept:
    """The 16-bit one's complement sum, not complemented: 0xffff for bytes whose checksum is right."""
    total = (total & 0xffffffff) + (total >> 32)
    total = (total & 0xffffffff) + (total >> 32)
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return <uint16_t>total
