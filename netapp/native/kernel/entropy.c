/* Random bytes: ChaCha20 (RFC 8439) with a key of 256 bits from the processor and from virtio-rng, whichever there are,
 * which is replaced after each request ("fast key erasure"): what was given out cannot be worked out later. */
#include "machine.h"

#define KEY_WORDS 8
#define BLOCK 64
#define RDRAND (1U << 30)
#define TRIES 100                       /* Intel's guide says 10 */

static uint32_t key[KEY_WORDS];

static inline uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void quarter_round(uint32_t *s, int a, int b, int c, int d) {       /* 2.1 */
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 7);
}

static void block(uint32_t counter, uint32_t output[16]) {      /* 2.3; the nonce is zero: a key is used once */
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(start + 4, key, sizeof key);
    start[12] = counter;
    memcpy(output, start, sizeof start);
    for (int round = 0; round < 10; round++) {
        quarter_round(output, 0, 4, 8, 12);
        quarter_round(output, 1, 5, 9, 13);
        quarter_round(output, 2, 6, 10, 14);
        quarter_round(output, 3, 7, 11, 15);
        quarter_round(output, 0, 5, 10, 15);
        quarter_round(output, 1, 6, 11, 12);
        quarter_round(output, 2, 7, 8, 13);
        quarter_round(output, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        output[i] += start[i];
}

void netapp_random(void *bytes, size_t count) {
    uint32_t output[16], next_key[KEY_WORDS];
    char *to = bytes;
    block(0, output);
    memcpy(next_key, output, sizeof next_key);
    for (uint32_t counter = 1; count > 0; counter++) {
        size_t part = least(count, BLOCK);
        block(counter, output);
        memcpy(to, output, part);
        to += part;
        count -= part;
    }
    memcpy(key, next_key, sizeof key);
    memset(output, 0, sizeof output);
}

static int processor_read(uint32_t *words, int count) {
    if (!(cpuid(1, 0).ecx & RDRAND))
        return 0;
    for (int i = 0; i < count; i++) {
        uint64_t value;
        unsigned char good = 0;
        for (int tries = 0; tries < TRIES && !good; tries++)
            __asm__ volatile("rdrand %0; setc %1" : "=r"(value), "=qm"(good));
        if (!good)
            return 0;
        words[i] ^= (uint32_t)(value ^ value >> 32);
    }
    return 1;
}

void entropy_start(void) {
    if (netapp_snapshot_wanted()) {     /* two are to be the same; none is ever reached by anybody */
        memcpy(key, snapshot_seed(), sizeof key);
        return;
    }
    uint32_t device[KEY_WORDS] = {0};
    int good = processor_read(key, KEY_WORDS);
    if (virtio_rng_read(device, sizeof device)) {
        good = 1;
        for (int i = 0; i < KEY_WORDS; i++)
            key[i] ^= device[i];
    }
    if (!good)
        refuse(NETAPP_NO_ENTROPY, "no source of random numbers: give the machine a virtio-rng device, or a processor with RDRAND");
}
