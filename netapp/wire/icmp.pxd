"""ICMP (RFC 792)."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.wire.bytes cimport store16, store32

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_TYPE = 0
    OFFSET_CODE = 1
    OFFSET_CHECKSUM = 2
    OFFSET_REST = 4              # depends on the type
    OFFSET_IDENTIFIER = 4        # of an echo
    OFFSET_SEQUENCE = 6
    HEADER_BYTES = 8

cdef enum:
    TYPE_ECHO_REPLY = 0
    TYPE_UNREACHABLE = 3
    TYPE_SOURCE_QUENCH = 4
    TYPE_REDIRECT = 5
    TYPE_ECHO = 8
    TYPE_TIME_EXCEEDED = 11
    TYPE_PARAMETER_PROBLEM = 12
    # Codes.
    CODE_PROTOCOL_UNREACHABLE = 2
    CODE_PORT_UNREACHABLE = 3
    CODE_FRAGMENTATION_NEEDED = 4
    CODE_REASSEMBLY = 1          # of "time exceeded"

cdef enum:
    # Of check(): why a message is refused; REASONS in icmp.py names them.
    TRUNCATED = 1                # less than 8 bytes


cdef inline int check(const uint8_t* header, uint64_t length) noexcept:
    """0, or why the `length` bytes are no message. The checksum is the receiver's affair: it covers all of them."""
    return TRUNCATED if length < HEADER_BYTES else 0

cdef inline void write(uint8_t* header, uint8_t type, uint8_t code, uint32_t rest) noexcept:
    """The checksum is left 0."""
    header[OFFSET_TYPE] = type
    header[OFFSET_CODE] = code
    store16(header + OFFSET_CHECKSUM, 0)
    store32(header + OFFSET_REST, rest)
