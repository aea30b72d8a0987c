/* Page tables. Everything but the program's stack is identity-mapped, and nothing is both writable and executable; page 0
 * and what is below stacks is absent, so that a call of NULL, and a stack that overflows, are seen. CR0.WP makes ring 0
 * obey. */
#include <elf.h>

#include "machine.h"

#define PRESENT 1ULL
#define WRITABLE 2ULL
#define UNCACHED 0x18ULL                /* PWT and PCD */
#define LARGE 0x80ULL
#define NO_EXECUTE (1ULL << 63)
#define FRAME 0x000ffffffffff000ULL

extern uint64_t page_tables[];          /* entry.S; the root first */
extern char __ehdr_start[], _end[], call_stack_low[];

static uint64_t bits(int access) {
    if (access == MAP_ABSENT)
        return 0;
    return PRESENT | (access & (MAP_WRITE | MAP_DEVICE) ? WRITABLE : 0) | (access & MAP_CODE ? 0 : NO_EXECUTE) |
           (access & MAP_DEVICE ? UNCACHED : 0);
}

static uint64_t *new_table(void) {
    uint64_t *table = pages_take(1);
    if (table != NULL)
        pages_zero(table, PAGE);
    return table;
}

/* The table below entry `index` of `table`, made if there is none. NULL: no memory. */
static uint64_t *below(uint64_t *table, uint64_t index) {
    if (!(table[index] & PRESENT)) {
        uint64_t *made = new_table();
        if (made == NULL)
            return NULL;
        table[index] = (uint64_t)made | PRESENT | WRITABLE;
    }
    return (uint64_t *)(table[index] & FRAME);
}

/* The table of 4 KiB pages below `entry`, which takes over from a large page, or from nothing. */
static uint64_t *split(uint64_t *entry) {
    if (*entry & PRESENT && !(*entry & LARGE))
        return (uint64_t *)(*entry & FRAME);
    uint64_t *table = new_table();
    if (table == NULL)
        return NULL;
    if (*entry & PRESENT)
        for (uint64_t i = 0; i < 512; i++)
            table[i] = (*entry & ~LARGE) + i * PAGE;
    *entry = (uint64_t)table | PRESENT | WRITABLE;
    return table;
}

/* The entry for the 2 MiB in which the address lies. NULL: no memory. */
static uint64_t *large_entry(uint64_t address) {
    uint64_t *upper = below(page_tables, address >> 39 & 511);
    uint64_t *lower = upper == NULL ? NULL : below(upper, address >> 30 & 511);
    return lower == NULL ? NULL : &lower[address >> 21 & 511];
}

int paging_map(uint64_t address, uint64_t bytes, int access) {
    uint64_t end = round_up(address + bytes, PAGE);
    for (address = round_down(address, PAGE); address < end;) {
        uint64_t *entry = large_entry(address);
        if (entry == NULL)
            return -1;
        if (address % LARGE_PAGE == 0 && end - address >= LARGE_PAGE && !(*entry & PRESENT && !(*entry & LARGE))) {
            *entry = access == MAP_ABSENT ? 0 : address | LARGE | bits(access);
            address += LARGE_PAGE;
        } else {
            uint64_t *table = split(entry);
            if (table == NULL)
                return -1;
            table[address >> 12 & 511] = access == MAP_ABSENT ? 0 : address | bits(access);
            address += PAGE;
        }
    }
    __asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
    return 0;
}

static void put_entry(uint64_t *entry, uint64_t value, uint64_t address) {
    *entry = value;
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void paging_zero(uint64_t address, uint64_t bytes) {
    for (uint64_t end = address + bytes; address < end; address += PAGE) {
        uint64_t *entry = large_entry(address), page = round_down(address, LARGE_PAGE) | LARGE;
        if (entry == NULL)
            continue;                   /* nothing was ever mapped there */
        if (*entry & PRESENT && !(*entry & LARGE)) {
            entry = (uint64_t *)(*entry & FRAME) + (address >> 12 & 511);
            page = address;
        }
        uint64_t before = *entry;
        put_entry(entry, page | bits(MAP_WRITE), address);
        pages_zero((void *)address, PAGE);
        put_entry(entry, before, address);
    }
}

int paging_put(uint64_t address) {
    uint64_t *entry = large_entry(address), *table = entry == NULL ? NULL : split(entry);
    void *frame = table == NULL ? NULL : pages_take(1);
    if (frame == NULL)
        return -1;
    pages_zero(frame, PAGE);
    table[address >> 12 & 511] = (uint64_t)frame | bits(MAP_WRITE);
    return 0;
}

static void must_map(uint64_t address, uint64_t end, int access) {
    if (address < end && paging_map(address, end - address, access) < 0)
        refuse(NETAPP_NO_MEMORY, "too little memory for page tables");
}

/* Each segment as its program header says, but for a snapshot's, which only its physical address is for. */
static void map_image(void) {
    const Elf64_Ehdr *header = (const void *)__ehdr_start;
    const Elf64_Phdr *segment = (const void *)(__ehdr_start + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++, segment++) {
        if (segment->p_type != PT_LOAD || segment->p_vaddr >= (uint64_t)_end)
            continue;
        if (segment->p_flags & PF_W && segment->p_flags & PF_X)
            refuse(NETAPP_PANIC, "the image has a segment that is writable and executable: link it with -z separate-code");
        must_map(segment->p_vaddr, segment->p_vaddr + segment->p_memsz,
                 MAP_READ | (segment->p_flags & PF_W ? MAP_WRITE : 0) | (segment->p_flags & PF_X ? MAP_CODE : 0));
    }
}

void paging_start(void) {
    uint64_t image = round_down((uint64_t)__ehdr_start, PAGE), image_end = round_up((uint64_t)_end, PAGE);
    must_map(PAGE, image, MAP_WRITE);
    map_image();
    must_map(0, PAGE, MAP_ABSENT);
    must_map((uint64_t)call_stack_low - PAGE, (uint64_t)call_stack_low, MAP_ABSENT);
    must_map(image_end, 3ULL << 30, MAP_WRITE);
    must_map(3ULL << 30, FOUR_GIB, MAP_DEVICE);
    for (int i = 0; i < boot.ram_count; i++) {
        uint64_t start = boot.ram[i].start, end = boot.ram[i].end;
        if (end > 3ULL << 30)           /* some machines have memory there, too */
            must_map(start > 3ULL << 30 ? start : 3ULL << 30, end, MAP_WRITE);
    }
}

int netapp_registers_map(uint64_t address, uint64_t size) {
    return paging_map(address, size, MAP_DEVICE);
}
