/* The LZ4 block format (lz4.org, "LZ4 Block Format Description"): tokens, each with a run of literal bytes and a copy of
 * what came before. It moves eight bytes at once, and so writes up to seven more than asked where there is room: software
 * emulation runs string instructions store by store. */
#include "machine.h"

#define LEAST_COPY 4
#define WORD 8

static uint64_t load(const uint8_t *from) { return *(const volatile uint64_t *)from; }
static void store(uint8_t *to, uint64_t value) { *(volatile uint64_t *)to = value; }

/* Four bits of the token; 15: bytes follow that count, too, up to the first that is not 255. */
static uint64_t read_length(uint64_t length, const uint8_t **from) {
    if (length == 15) {
        uint8_t more;
        do
            length += more = *(*from)++;
        while (more == 255);
    }
    return length;
}

/* Where they overlap, `to` is at least a word above `from`. `end`: of what may be written. */
static void move(uint8_t *to, const uint8_t *from, uint64_t count, const uint8_t *end) {
    uint8_t *until = to + count;
    if (until + WORD <= end)
        for (; to < until; to += WORD, from += WORD)
            store(to, load(from));
    else
        while (to < until)
            *to++ = *from++;
}

/* What repeats after less than a word; one byte, as of zeros, is the one that is long. */
static void repeat(uint8_t *to, uint64_t apart, uint64_t count) {
    uint8_t *until = to + count;
    if (apart == 1)
        for (uint64_t word = to[-1] * 0x0101010101010101UL; to + WORD <= until; to += WORD)
            store(to, word);
    for (; to < until; to++)
        *to = to[-(int64_t)apart];
}

uint64_t unpack(void *start, uint64_t room, const void *packed, uint64_t size) {
    uint8_t *to = start, *end = to + room;
    const uint8_t *from = packed, *from_end = from + size;
    while (from < from_end) {
        uint64_t token = *from++, count = read_length(token >> 4, &from);
        if (from > from_end || count > (uint64_t)(from_end - from) || count > (uint64_t)(end - to))
            return 0;
        move(to, from, count, end);
        to += count;
        from += count;
        if (from == from_end)           /* the last has literal bytes only */
            break;
        uint64_t apart = from[0] | from[1] << 8;
        from += 2;
        count = read_length(token & 15, &from) + LEAST_COPY;
        if (apart == 0 || apart > (uint64_t)(to - (uint8_t *)start) || count > (uint64_t)(end - to))
            return 0;
        if (apart >= WORD)
            move(to, to - apart, count, end);
        else
            repeat(to, apart, count);
        to += count;
    }
    return (uint64_t)(to - (uint8_t *)start);
}
