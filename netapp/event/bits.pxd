from libc.stdint cimport uint64_t

cdef extern from *:
    """
    static inline int netapp_lowest_bit(unsigned long long x) { return __builtin_ctzll(x); }
    static inline int netapp_highest_bit(unsigned long long x) { return 63 - __builtin_clzll(x); }
    """
    # Position of a set bit; `x` is not 0.
    int lowest_bit "netapp_lowest_bit"(uint64_t x) noexcept nogil
    int highest_bit "netapp_highest_bit"(uint64_t x) noexcept nogil
