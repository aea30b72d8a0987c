"""The TCP header (RFC 9293, 3.1). Options are parsed by netapp.tcp.options."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.wire.bytes cimport store16, store32

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_SOURCE_PORT = 0
    OFFSET_DESTINATION_PORT = 2
    OFFSET_SEQUENCE = 4
    OFFSET_ACKNOWLEDGMENT = 8
    OFFSET_DATA_OFFSET = 12      # in the upper four bits, counted in 32-bit words
    OFFSET_FLAGS = 13
    OFFSET_WINDOW = 14
    OFFSET_CHECKSUM = 16
    OFFSET_URGENT = 18
    HEADER_BYTES_MIN = 20
    HEADER_BYTES_MAX = 60

cdef enum:
    FLAG_FIN = 1
    FLAG_SYN = 2
    FLAG_RST = 4
    FLAG_PSH = 8
    FLAG_ACK = 16
    FLAG_URG = 32
    FLAG_ECE = 64
    FLAG_CWR = 128

cdef enum:
    # Kinds of options (RFC 9293, 3.2; RFC 7323; RFC 2018).
    OPTION_END = 0
    OPTION_NOP = 1
    OPTION_MSS = 2
    OPTION_WINDOW_SCALE = 3
    OPTION_SACK_PERMITTED = 4
    OPTION_SACK = 5
    OPTION_TIMESTAMPS = 8

cdef enum:
    # Of check(): why a header is refused; REASONS in tcp.py names them.
    TRUNCATED = 1                # less than 20 bytes
    BAD_DATA_OFFSET              # below 5 words, or beyond the segment


cdef inline uint32_t header_length(const uint8_t* header) noexcept:
    """With options, bytes."""
    return (header[OFFSET_DATA_OFFSET] >> 4) * 4

cdef inline int check(const uint8_t* header, uint64_t length) noexcept:
    """0, or why the `length` bytes of a segment hold no TCP header. The checksum is the receiver's affair."""
    if length < HEADER_BYTES_MIN:
        return TRUNCATED
    if header_length(header) < HEADER_BYTES_MIN or header_length(header) > length:
        return BAD_DATA_OFFSET
    return 0

cdef inline void write(
    uint8_t* header, uint16_t source_port, uint16_t destination_port, uint32_t sequence, uint32_t acknowledgment,
    uint32_t length, uint8_t flags, uint16_t window,
) noexcept:
    """All but the options, which begin at HEADER_BYTES_MIN; `length` counts them. The checksum is left 0."""
    store32(header + OFFSET_SOURCE_PORT, <uint32_t>source_port << 16 | destination_port)
    store32(header + OFFSET_SEQUENCE, sequence)
    store32(header + OFFSET_ACKNOWLEDGMENT, acknowledgment)
    header[OFFSET_DATA_OFFSET] = <uint8_t>(length << 2)
    header[OFFSET_FLAGS] = flags
    store16(header + OFFSET_WINDOW, window)
    store32(header + OFFSET_CHECKSUM, 0)
