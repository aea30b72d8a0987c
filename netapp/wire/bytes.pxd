"""Big-endian loads and stores, at any alignment."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint16_t netapp_load16(const void *at) { uint16_t v; memcpy(&v, at, 2); return __builtin_bswap16(v); }
    static inline uint32_t netapp_load32(const void *at) { uint32_t v; memcpy(&v, at, 4); return __builtin_bswap32(v); }
    static inline void netapp_store16(void *at, uint16_t v) { v = __builtin_bswap16(v); memcpy(at, &v, 2); }
    static inline void netapp_store32(void *at, uint32_t v) { v = __builtin_bswap32(v); memcpy(at, &v, 4); }
    static inline uint16_t netapp_swap16(uint16_t v) { return __builtin_bswap16(v); }
    static inline uint32_t netapp_swap32(uint32_t v) { return __builtin_bswap32(v); }
    static inline uint16_t netapp_raw16(const void *at) { uint16_t v; memcpy(&v, at, 2); return v; }
    static inline uint32_t netapp_raw32(const void *at) { uint32_t v; memcpy(&v, at, 4); return v; }
    static inline uint64_t netapp_raw64(const void *at) { uint64_t v; memcpy(&v, at, 8); return v; }
    """
    uint16_t load16 "netapp_load16"(const void* at) noexcept nogil
    uint32_t load32 "netapp_load32"(const void* at) noexcept nogil
    void store16 "netapp_store16"(void* at, uint16_t value) noexcept nogil
    void store32 "netapp_store32"(void* at, uint32_t value) noexcept nogil
    uint16_t swap16 "netapp_swap16"(uint16_t value) noexcept nogil
    uint32_t swap32 "netapp_swap32"(uint32_t value) noexcept nogil
    # In memory order, for comparing and copying.
    uint16_t raw16 "netapp_raw16"(const void* at) noexcept nogil
    uint32_t raw32 "netapp_raw32"(const void* at) noexcept nogil
    uint64_t raw64 "netapp_raw64"(const void* at) noexcept nogil
