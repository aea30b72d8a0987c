"""The internet checksum (RFC 1071). Sums are in memory byte order: fold() gives what is stored as it is."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.wire.bytes cimport swap32

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* total + the 64-bit words at `at`, each carry added back in (RFC 1071, 2(C)): the carry flag goes from one add
       to the next, which no C expression says. */
    static inline uint64_t netapp_word64(const void *at, int offset) {
        uint64_t word;
        memcpy(&word, (const char *)at + offset, 8);
        return word;
    }
    static inline uint64_t netapp_add64(uint64_t total, const void *at) {
        return __builtin_add_overflow(total, netapp_word64(at, 0), &total) ? total + 1 : total;
    }
    #if defined(__x86_64__)
    static inline uint64_t netapp_add256(uint64_t total, const void *at) {
        unsigned long long sum = total;
        unsigned char carry;
        carry = __builtin_ia32_addcarryx_u64(0, sum, netapp_word64(at, 0), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 8), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 16), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 24), &sum);
        return sum + carry;
    }
    static inline uint64_t netapp_add512(uint64_t total, const void *at) {
        unsigned long long sum = total;
        unsigned char carry;
        carry = __builtin_ia32_addcarryx_u64(0, sum, netapp_word64(at, 0), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 8), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 16), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 24), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 32), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 40), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 48), &sum);
        carry = __builtin_ia32_addcarryx_u64(carry, sum, netapp_word64(at, 56), &sum);
        return sum + carry;
    }
    #else
    static inline uint64_t netapp_add256(uint64_t total, const void *at) {
        const unsigned char *word = at;
        total = netapp_add64(netapp_add64(total, word), word + 8);
        return netapp_add64(netapp_add64(total, word + 16), word + 24);
    }
    static inline uint64_t netapp_add512(uint64_t total, const void *at) {
        return netapp_add256(netapp_add256(total, at), (const char *)at + 32);
    }
    #endif
    /* Each half is added to the other by a rotation: the upper half of the sum has the carry of the lower. */
    static inline uint16_t netapp_fold(uint64_t total) {
        uint32_t half;
        total += total >> 32 | total << 32;
        half = (uint32_t)(total >> 32);
        half += half >> 16 | half << 16;
        return (uint16_t)(half >> 16);
    }
    """
    # The 16-bit one's complement sum, not complemented: 0xffff for bytes whose checksum is right.
    uint16_t fold "netapp_fold"(uint64_t total) noexcept nogil
    uint64_t add64 "netapp_add64"(uint64_t total, const void* at) noexcept nogil      # 8 bytes
    uint64_t add256 "netapp_add256"(uint64_t total, const void* at) noexcept nogil    # 32 bytes
    uint64_t add512 "netapp_add512"(uint64_t total, const void* at) noexcept nogil    # 64 bytes

# `initial` is an earlier result, or several added up; results are below 2^34, so that adding some never overflows.
cdef uint64_t sum_bytes(const uint8_t* data, uint64_t length, uint64_t initial) noexcept
cdef uint64_t sum_chain(Chain chain, uint64_t offset, uint64_t initial) noexcept     # from offset to the end

cdef inline uint64_t sum_pseudo_header(
    uint32_t source, uint32_t destination, uint8_t protocol, uint32_t length
) noexcept:
    """IPv4 (RFC 9293, 3.1), addresses as in memory. `length` may exceed 16 bits: a frame that the device cuts."""
    return <uint64_t>source + destination + swap32(protocol) + swap32(length)

cdef inline uint16_t updated(uint16_t checksum, uint16_t old, uint16_t new) noexcept:
    """The checksum after one 16-bit word changed (RFC 1624, equation 3); all three as in memory."""
    cdef uint32_t total = <uint16_t>~checksum + <uint32_t><uint16_t>~old + new
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return <uint16_t>~total
