/* Page frames. The program's heap grows upwards from the image's end (brk), everything else is taken from the top, and
 * they share what lies between: no part of memory is set aside for either. */
#include "machine.h"

#define WORD 64
#define ALL UINT64_MAX

extern char __ehdr_start[], _end[];

static uint64_t *used;                  /* a bit a page; what is no memory is used for ever */
static uint64_t first, last;            /* pages below `first` and from `last` on are used */
static uint64_t total, free_count;

static int is_used(uint64_t page) { return used[page / WORD] >> page % WORD & 1; }

static void mark(uint64_t page, uint64_t count, int value) {
    for (; count > 0; count--, page++) {
        if (value)
            used[page / WORD] |= 1ULL << page % WORD;
        else
            used[page / WORD] &= ~(1ULL << page % WORD);
    }
}

static void add(uint64_t start, uint64_t end) {
    if (start >= end)
        return;
    mark(start / PAGE, (end - start) / PAGE, 0);
    total += (end - start) / PAGE;
    free_count += (end - start) / PAGE;
}

/* The image itself is no free memory; what is left below and above it is. */
static void add_around_image(uint64_t start, uint64_t end) {
    uint64_t image = round_down((uint64_t)__ehdr_start, PAGE), image_end = round_up((uint64_t)_end, PAGE);
    add(start, least(end, image));
    add(start > image_end ? start : image_end, end);
}

/* The bitmap lies at the end of the highest range below 4 GiB that has room for it. */
static void place_bitmap(uint64_t bytes, uint64_t kept) {
    uint64_t image_end = round_up((uint64_t)_end, PAGE), least_start = kept > image_end ? kept : image_end;
    for (int i = boot.ram_count - 1; i >= 0; i--) {
        struct ram_range *range = &boot.ram[i];
        if (range->end <= FOUR_GIB && range->end - range->start >= bytes && range->end - bytes >= least_start) {
            range->end -= bytes;
            used = (uint64_t *)range->end;
            memset(used, 0xff, bytes);
            return;
        }
    }
    refuse(NETAPP_NO_MEMORY, "too little memory: the image alone ends at %lu KiB", image_end / 1024);
}

void pages_start(uint64_t kept) {
    uint64_t end = boot.ram_count > 0 ? boot.ram[boot.ram_count - 1].end : 0;
    first = 1;
    last = round_up(end / PAGE, WORD);
    place_bitmap(round_up(last / 8, PAGE), kept);
    for (int i = 0; i < boot.ram_count; i++)
        if (boot.ram[i].start < FOUR_GIB)
            add_around_image(boot.ram[i].start, least(boot.ram[i].end, FOUR_GIB));
}

void pages_add_high(void) {
    for (int i = 0; i < boot.ram_count; i++)
        if (boot.ram[i].end > FOUR_GIB)
            add(boot.ram[i].start > FOUR_GIB ? boot.ram[i].start : FOUR_GIB, boot.ram[i].end);
}

void *pages_take(uint64_t count) {
    uint64_t run = 0;
    if (count == 0 || count > free_count)
        return NULL;
    for (uint64_t page = last; page-- > first;) {
        if (page % WORD == WORD - 1 && page >= first + WORD) {      /* a word at once */
            uint64_t word = used[page / WORD];
            if (word == ALL || (word == 0 && run + WORD < count)) {
                run = word == 0 ? run + WORD : 0;
                page -= WORD - 1;
                continue;
            }
        }
        run = is_used(page) ? 0 : run + 1;
        if (run == count) {
            mark(page, count, 1);
            free_count -= count;
            return (void *)(page * PAGE);
        }
    }
    return NULL;
}

void *pages_take_low(uint64_t start, uint64_t end, uint64_t count) {
    uint64_t run = 0;
    for (uint64_t page = start / PAGE; page < least(end / PAGE, last); page++) {
        run = is_used(page) ? 0 : run + 1;
        if (run == count) {
            uint64_t address = (page + 1 - count) * PAGE;
            pages_take_at(address, count);
            return (void *)address;
        }
    }
    return NULL;
}

int pages_take_at(uint64_t address, uint64_t count) {
    uint64_t page = address / PAGE;
    if (page + count > last)
        return 0;
    for (uint64_t i = 0; i < count; i++)
        if (is_used(page + i))
            return 0;
    mark(page, count, 1);
    free_count -= count;
    return 1;
}

void pages_give(uint64_t address, uint64_t count) {
    mark(address / PAGE, count, 0);
    free_count += count;
}

int pages_are_taken(uint64_t address, uint64_t count) {
    uint64_t page = address / PAGE;
    if (page < first || page >= last || count > last - page)
        return 0;
    for (uint64_t i = 0; i < count; i++)
        if (!is_used(page + i))
            return 0;
    return 1;
}

/* Eight stores a round: software emulation runs `rep stos` store by store. */
void pages_zero(void *memory, uint64_t bytes) {
    volatile uint64_t *word = memory, *end = (uint64_t *)((char *)memory + bytes);
    for (; word < end; word += 8) {
        word[0] = 0;
        word[1] = 0;
        word[2] = 0;
        word[3] = 0;
        word[4] = 0;
        word[5] = 0;
        word[6] = 0;
        word[7] = 0;
    }
}

uint64_t pages_limit(void) { return last * PAGE; }
uint64_t netapp_memory_largest(void) {
    uint64_t run = 0, largest = 0;
    for (uint64_t page = first; page < last; page++) {
        if (page % WORD == 0 && used[page / WORD] == 0) {
            run += WORD;
            page += WORD - 1;
        } else {
            run = is_used(page) ? 0 : run + 1;
        }
        largest = run > largest ? run : largest;
    }
    return largest * PAGE;
}

uint64_t netapp_memory_free(void) { return free_count * PAGE; }
uint64_t netapp_memory_size(void) { return total * PAGE; }
