"""TCP options (RFC 9293, 3.2; RFC 7323, 2.2): parsing and those of our SYNs."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef struct options_t:
    uint16_t mss                 # 0: not there
    bint has_window_scale
    uint8_t window_scale         # at most 14

cdef enum:
    SYN_OPTIONS_BYTES = 8

cdef bint parse_options(const uint8_t* at, uint32_t length, options_t* found) noexcept   # False: malformed
cdef void write_syn_options(uint8_t* at, uint16_t mss, bint scaling, uint8_t window_scale) noexcept
