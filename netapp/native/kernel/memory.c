/* The few functions of <string.h> that the kernel and its compiler need, without vector registers. */
#include "machine.h"

void *memcpy(void *to, const void *from, size_t size) {
    void *moving = to;
    size_t words = size / 8, rest = size % 8;
    __asm__ volatile("rep movsq" : "+D"(moving), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(moving), "+S"(from), "+c"(rest) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t size) {
    void *moving = to;
    __asm__ volatile("rep stosb" : "+D"(moving), "+c"(size) : "a"(byte) : "memory");
    return to;
}

int memcmp(const void *one, const void *other, size_t size) {
    const unsigned char *left = one, *right = other;
    for (; size > 0; size--, left++, right++)
        if (*left != *right)
            return *left - *right;
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0)
        length++;
    return length;
}
