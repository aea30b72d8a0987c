"""The IPv4 header (RFC 791, 3.1)."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from netapp.wire.bytes cimport load16, raw32, store16
from netapp.wire.checksum cimport fold, sum_bytes

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_VERSION = 0           # in the upper four bits; the lower: header length in 32-bit words
    OFFSET_TRAFFIC_CLASS = 1     # DSCP and ECN (RFC 2474, RFC 3168)
    OFFSET_TOTAL_LENGTH = 2
    OFFSET_IDENTIFICATION = 4
    OFFSET_FRAGMENT = 6          # flags and offset
    OFFSET_TTL = 8
    OFFSET_PROTOCOL = 9
    OFFSET_CHECKSUM = 10
    OFFSET_SOURCE = 12
    OFFSET_DESTINATION = 16
    HEADER_BYTES_MIN = 20
    HEADER_BYTES_MAX = 60

cdef enum:
    # Of the word at OFFSET_FRAGMENT, as load16() reads it.
    DONT_FRAGMENT = 0x4000
    MORE_FRAGMENTS = 0x2000
    FRAGMENT_OFFSET = 0x1fff     # counted in 8 bytes

cdef enum:
    PROTOCOL_ICMP = 1
    PROTOCOL_TCP = 6
    PROTOCOL_UDP = 17

cdef enum:
    # Types of options (RFC 791, 3.1).
    OPTION_END = 0
    OPTION_NOP = 1
    OPTION_LOOSE_SOURCE_ROUTE = 131
    OPTION_STRICT_SOURCE_ROUTE = 137

cdef enum:
    # Of check(): why a header is refused; REASONS in ipv4.py names them, netapp.net counts them in this order.
    TRUNCATED = 1                # less than 20 bytes
    SPLIT_HEADER                 # not all of it in the first view
    BAD_VERSION
    BAD_HEADER_LENGTH            # below 5 words, or beyond the packet
    BAD_TOTAL_LENGTH             # below the header's, or beyond the frame
    BAD_CHECKSUM


cdef inline uint32_t header_length(const uint8_t* header) noexcept:
    """With options, bytes."""
    return (header[OFFSET_VERSION] & 15) * 4

cdef inline int check(const uint8_t* header, uint64_t contiguous, uint64_t length) noexcept:
    """0, or why the `length` bytes, the first `contiguous` of which lie at `header`, hold no packet (RFC 1122,
    3.2.1.1 and 3.2.1.2). More may follow the packet: Ethernet pads."""
    cdef uint64_t total
    if contiguous < HEADER_BYTES_MIN:
        return TRUNCATED if length < HEADER_BYTES_MIN else SPLIT_HEADER
    total = load16(header + OFFSET_TOTAL_LENGTH)
    if header[OFFSET_VERSION] == 0x45:
        if total < HEADER_BYTES_MIN or total > length:
            return BAD_TOTAL_LENGTH
        total = <uint64_t>raw32(header) + raw32(header + 4) + raw32(header + 8) + raw32(header + 12)
        return 0 if fold(total + raw32(header + 16)) == 0xffff else BAD_CHECKSUM
    if header[OFFSET_VERSION] >> 4 != 4:
        return BAD_VERSION
    if header_length(header) < HEADER_BYTES_MIN or header_length(header) > length:
        return BAD_HEADER_LENGTH
    if total < header_length(header) or total > length:
        return BAD_TOTAL_LENGTH
    if contiguous < header_length(header):
        return SPLIT_HEADER
    return 0 if fold(sum_bytes(header, header_length(header), 0)) == 0xffff else BAD_CHECKSUM

cdef inline void write(
    uint8_t* header, uint32_t source, uint32_t destination, uint8_t protocol, uint32_t length, uint32_t total_length,
    uint16_t identification, uint16_t fragment, uint8_t ttl, uint8_t traffic_class,
) noexcept:
    """All but the options, which begin at HEADER_BYTES_MIN; `length` of the header counts them. The checksum is left
    0. Addresses as in memory."""
    header[OFFSET_VERSION] = <uint8_t>(0x40 | length >> 2)
    header[OFFSET_TRAFFIC_CLASS] = traffic_class
    store16(header + OFFSET_TOTAL_LENGTH, <uint16_t>total_length)
    store16(header + OFFSET_IDENTIFICATION, identification)
    store16(header + OFFSET_FRAGMENT, fragment)
    header[OFFSET_TTL] = ttl
    header[OFFSET_PROTOCOL] = protocol
    store16(header + OFFSET_CHECKSUM, 0)
    memcpy(header + OFFSET_SOURCE, &source, 4)
    memcpy(header + OFFSET_DESTINATION, &destination, 4)
