/* The program's stack, and what Linux would put on it: System V ABI, AMD64 supplement, 3.4.1. */
#include <elf.h>

#include "machine.h"

#define ARGUMENTS 256

extern char __ehdr_start[];
extern void _start(void);

int stack_grow(uint64_t address) {
    return address >= STACK_HIGH - STACK_BYTES && address < STACK_HIGH && paging_put(round_down(address, PAGE)) == 0;
}

/* Splits at blanks, except within quotes, which go. In place; the text becomes the arguments. */
static int split(char *text, char *words[], int most) {
    int count = 0;
    while (count < most) {
        while (*text == ' ' || *text == '\t' || *text == '\n')
            text++;
        if (*text == 0)
            break;
        char *to = text, quote = 0;
        words[count++] = to;
        for (; *text != 0 && (quote || (*text != ' ' && *text != '\t' && *text != '\n')); text++) {
            if (quote ? *text == quote : *text == '"' || *text == '\'')
                quote = quote ? 0 : *text;
            else
                *to++ = *text;
        }
        if (*text != 0)
            text++;
        *to = 0;
    }
    return count;
}

int netapp_arguments(char ***words) {
    static char line[sizeof boot.command_line], *found[ARGUMENTS] = {"netapp"};
    memcpy(line, boot.command_line, sizeof line);
    *words = found;
    return 1 + split(line, found + 1, ARGUMENTS - 1);
}

uint64_t stack_fill(void) {
    static uint8_t random[16];
    const Elf64_Ehdr *header = (const void *)__ehdr_start;
    char **words;
    int count = netapp_arguments(&words);
    netapp_random(random, sizeof random);
    const Elf64_auxv_t vector[] = {
        {AT_PHDR, {(uint64_t)__ehdr_start + header->e_phoff}},
        {AT_PHENT, {header->e_phentsize}},
        {AT_PHNUM, {header->e_phnum}},
        {AT_PAGESZ, {PAGE}},
        {AT_ENTRY, {(uint64_t)_start}},
        {AT_UID, {0}}, {AT_EUID, {0}}, {AT_GID, {0}}, {AT_EGID, {0}},
        {AT_SECURE, {0}},
        {AT_RANDOM, {(uint64_t)random}},
        {AT_EXECFN, {(uint64_t)words[0]}},
        {AT_HWCAP, {0}},
        {AT_CLKTCK, {TICKS_A_SECOND}},
        {AT_NULL, {0}},                 /* no AT_SYSINFO_EHDR: the C library makes system calls */
    };
    /* argc, arguments, NULL, no environment, NULL, vector */
    uint64_t *top = (uint64_t *)STACK_HIGH - 2 - sizeof vector / 8 - (uint64_t)count - 3;
    top = (uint64_t *)round_down((uint64_t)top, 16);
    top[0] = (uint64_t)count;
    memcpy(top + 1, words, (uint64_t)count * 8);
    top[count + 1] = top[count + 2] = 0;
    memcpy(top + count + 3, vector, sizeof vector);
    return (uint64_t)top;
}
