"""Mixing for hash tables that a peer may try to make slow: without the secret nobody can choose the bucket."""
from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* The product's halves folded: every input bit reaches every output bit. */
    static inline uint64_t netapp_mix(uint64_t a, uint64_t b) {
        __uint128_t product = (__uint128_t)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    static inline uint64_t netapp_word(const uint8_t *at) { uint64_t word; memcpy(&word, at, 8); return word; }
    static inline uint64_t netapp_hash_bytes(const uint8_t *at, uint64_t length, uint64_t s0, uint64_t s1) {
        uint64_t hashed = s0 ^ length, word = 0, other = 0;
        if (length > 16) {
            const uint8_t *last = at + length - 16; /* whole pieces before, and the last one even where they overlap */
            while (at < last) {
                hashed = netapp_mix(netapp_word(at) ^ s1, netapp_word(at + 8) ^ hashed);
                at += 16;
            }
            word = netapp_word(last);
            other = netapp_word(last + 8);
        } else if (length >= 8) {
            word = netapp_word(at);
            other = netapp_word(at + length - 8);
        } else if (length >= 4) {
            uint32_t low, high;
            memcpy(&low, at, 4);
            memcpy(&high, at + length - 4, 4);
            word = low;
            other = high;
        } else if (length) {
            word = at[0] | (uint64_t)at[length >> 1] << 8 | (uint64_t)at[length - 1] << 16;
        }
        return netapp_mix(s1 ^ word, hashed ^ other ^ s0);
    }
    """
    uint64_t mix "netapp_mix"(uint64_t a, uint64_t b) noexcept nogil
    uint64_t raw64 "netapp_word"(const uint8_t* at) noexcept nogil   # as it lies in memory
    uint64_t hash_bytes "netapp_hash_bytes"(const uint8_t* at, uint64_t length, uint64_t s0, uint64_t s1) noexcept nogil
