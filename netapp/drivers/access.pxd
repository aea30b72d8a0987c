"""Memory that a device, or a device's driver, uses at the same time: accesses that the compiler keeps as they are."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    /* Registers: one access of that width each. */
    static inline uint8_t netapp_device_load8(uint64_t at) { return *(volatile uint8_t *)at; }
    static inline uint16_t netapp_device_load16(uint64_t at) { return *(volatile uint16_t *)at; }
    static inline uint32_t netapp_device_load32(uint64_t at) { return *(volatile uint32_t *)at; }
    static inline uint64_t netapp_device_load64(uint64_t at) { return *(volatile uint64_t *)at; }
    static inline void netapp_device_store8(uint64_t at, uint8_t value) { *(volatile uint8_t *)at = value; }
    static inline void netapp_device_store16(uint64_t at, uint16_t value) { *(volatile uint16_t *)at = value; }
    static inline void netapp_device_store32(uint64_t at, uint32_t value) { *(volatile uint32_t *)at = value; }
    /* Rings: what is read after an acquire was written before the release that it saw. */
    static inline uint16_t netapp_acquire16(const uint16_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
    static inline void netapp_release16(uint16_t *at, uint16_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }
    /* Ring indices, which wrap: the debug build checks Cython's own arithmetic for overflow. */
    static inline uint16_t netapp_index_add(uint16_t a, uint16_t b) { return (uint16_t)(a + b); }
    static inline uint16_t netapp_index_sub(uint16_t a, uint16_t b) { return (uint16_t)(a - b); }
    /* No store before it is seen later than a load after it. */
    static inline void netapp_full_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    """
    uint8_t load8 "netapp_device_load8"(uint64_t at) noexcept nogil
    uint16_t load16 "netapp_device_load16"(uint64_t at) noexcept nogil
    uint32_t load32 "netapp_device_load32"(uint64_t at) noexcept nogil
    uint64_t load64 "netapp_device_load64"(uint64_t at) noexcept nogil
    void store8 "netapp_device_store8"(uint64_t at, uint8_t value) noexcept nogil
    void store16 "netapp_device_store16"(uint64_t at, uint16_t value) noexcept nogil
    void store32 "netapp_device_store32"(uint64_t at, uint32_t value) noexcept nogil
    uint16_t acquire16 "netapp_acquire16"(const uint16_t* at) noexcept nogil
    void release16 "netapp_release16"(uint16_t* at, uint16_t value) noexcept nogil
    uint16_t index_add "netapp_index_add"(uint16_t a, uint16_t b) noexcept nogil
    uint16_t index_sub "netapp_index_sub"(uint16_t a, uint16_t b) noexcept nogil     # the distance from b to a
    void full_fence "netapp_full_fence"() noexcept nogil
    # Cython's own: what is seldom so is compiled out of the way.
    bint unlikely(bint value) noexcept nogil

cdef inline uint64_t bus_address(const void* memory) noexcept:
    """Where a device reaches it: natively memory is identity-mapped, and a model in this process reads by address."""
    return <uint64_t>memory
