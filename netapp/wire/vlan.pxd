"""VLAN tags (IEEE 802.1Q): what follows an Ethernet header whose type is theirs."""
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from netapp.wire.bytes cimport load16, store16

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_CONTROL = 0           # priority (3 bits), drop eligible, identifier (12 bits)
    OFFSET_ETHERTYPE = 2         # of what follows
    HEADER_BYTES = 4

cdef enum:
    TAG_TYPE = 0x8100            # the Ethernet type, as load16() reads it
    IDENTIFIER = 0x0fff          # within the control field; 0: the tag says the priority only
    DROP_ELIGIBLE = 0x1000
    PRIORITY_SHIFT = 13

cdef enum:
    # Of check(): why a tag is refused; REASONS in vlan.py names them.
    TRUNCATED = 1                # less than 4 bytes


cdef inline int check(const uint8_t* header, uint64_t length) noexcept:
    return TRUNCATED if length < HEADER_BYTES else 0

cdef inline uint16_t identifier(const uint8_t* header) noexcept:
    return load16(header + OFFSET_CONTROL) & IDENTIFIER

cdef inline void write(uint8_t* header, uint16_t control, uint16_t ethertype) noexcept:
    store16(header + OFFSET_CONTROL, control)
    store16(header + OFFSET_ETHERTYPE, ethertype)
