"""The UDP header (RFC 768)."""
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from netapp.wire.bytes cimport load16, store16

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_SOURCE_PORT = 0       # 0: none, no reply is expected
    OFFSET_DESTINATION_PORT = 2
    OFFSET_LENGTH = 4            # of header and data
    OFFSET_CHECKSUM = 6          # 0: none was made
    HEADER_BYTES = 8

cdef enum:
    # Of check(): why a header is refused; REASONS in udp.py names them.
    TRUNCATED = 1                # less than 8 bytes
    BAD_LENGTH                   # below 8, or beyond the packet


cdef inline int check(const uint8_t* header, uint64_t length) noexcept:
    """0, or why the `length` bytes of a packet hold no datagram. More may follow it. The checksum is the receiver's
    affair."""
    cdef uint64_t own
    if length < HEADER_BYTES:
        return TRUNCATED
    own = load16(header + OFFSET_LENGTH)
    return BAD_LENGTH if own < HEADER_BYTES or own > length else 0

cdef inline void write(uint8_t* header, uint16_t source_port, uint16_t destination_port, uint16_t length) noexcept:
    """`length` counts the header. The checksum is left 0."""
    store16(header + OFFSET_SOURCE_PORT, source_port)
    store16(header + OFFSET_DESTINATION_PORT, destination_port)
    store16(header + OFFSET_LENGTH, length)
    store16(header + OFFSET_CHECKSUM, 0)

cdef inline uint16_t stored(uint16_t total) noexcept:
    """What stands in the checksum field for a folded sum, as in memory: zero is sent as all ones (RFC 768)."""
    return <uint16_t>~total if total != 0xffff else 0xffff
