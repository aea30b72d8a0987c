"""Arithmetic on sequence numbers modulo 2**32 (RFC 9293, 3.4)."""
from libc.stdint cimport int32_t, uint32_t

cdef extern from *:
    # In C, where unsigned numbers wrap: the debug build checks Cython's own arithmetic for overflow.
    """
    #include <stdint.h>
    static inline uint32_t netapp_seq_add(uint32_t a, uint32_t b) { return a + b; }
    static inline uint32_t netapp_seq_sub(uint32_t a, uint32_t b) { return a - b; }
    static inline int netapp_seq_lt(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
    static inline int netapp_seq_le(uint32_t a, uint32_t b) { return (int32_t)(a - b) <= 0; }
    """
    uint32_t seq_add "netapp_seq_add"(uint32_t a, uint32_t b) noexcept nogil
    uint32_t seq_sub "netapp_seq_sub"(uint32_t a, uint32_t b) noexcept nogil     # the distance from b to a
    bint seq_lt "netapp_seq_lt"(uint32_t a, uint32_t b) noexcept nogil
    bint seq_le "netapp_seq_le"(uint32_t a, uint32_t b) noexcept nogil
