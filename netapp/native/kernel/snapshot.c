/* The snapshot: what the program has done before it looks at the machine, as starting Python and importing modules, is done
 * once, when the image is built. The builder (netapp/native/image/snapshot.py) boots the image with SNAPSHOT_WORD as its
 * command line. The program calls netapp_freeze(), and that machine ends; all that the program had in memory goes into the
 * image. Wherever the image is booted, its kernel starts as ever, and then netapp_freeze() returns.
 *
 * Nothing of the kernel's own is kept: kernel.ld puts it aside, but for what is OF_PROGRAM. Two such machines do the same:
 * their clock counts how often it is read, and their random numbers are made of the command line. */
#include <elf.h>

#include "machine.h"

#define SNAPSHOT_WORD "netapp.snapshot="        /* and 32 bytes */
#define SNAPSHOT_MAGIC "netapp snapshot"
#define FS_BASE 0xc0000100
#define CANARY 0x28                     /* from there: what the stack protector compares (System V ABI, tcbhead_t of glibc) */
#define STACK_KEPT 16384

extern char __ehdr_start[], _end[];
extern char kernel_data_start[], kernel_data_end[], kernel_bss_start[], kernel_bss_end[];      /* kernel.ld */

/* Up to `used` it is what the builder reads of the machine's memory. In the image it is followed by the pieces. */
struct snapshot {
    char magic[16];
    uint64_t size;                      /* of this */
    uint64_t kernel[4];                 /* starts and ends of what is the kernel's */
    uint64_t low, high;                 /* the program's pages after the image: below, a bit for each from `low` */
    uint64_t used[SNAPSHOT_PAGES / 64];
    uint64_t thread, stack;
    uint8_t on_stack[STACK_KEPT];       /* from `stack` on */
};
struct pieces {
    uint64_t sum, words;                /* of what follows, in words of 64 bits, modulo 2^64 */
    uint64_t count;
    struct { uint64_t address, bytes, packed; } list[];        /* then what is packed, one after the other */
};

static struct snapshot kept;
static int wanted;

int netapp_snapshot_wanted(void) { return wanted; }
const char *snapshot_seed(void) { return boot.command_line + sizeof SNAPSHOT_WORD - 1; }

/* --- The machine that makes it. */
void snapshot_freeze(uint64_t stack) __attribute__((noreturn));         /* called by netapp_freeze() */
void snapshot_freeze(uint64_t stack) {
    uint64_t on_stack = STACK_HIGH - stack;
    if (!wanted || on_stack > STACK_KEPT || memory_is_protected())
        panic("no snapshot can be made here");
    memcpy(kept.magic, SNAPSHOT_MAGIC, sizeof kept.magic);
    kept.size = sizeof kept;
    kept.kernel[0] = (uint64_t)kernel_data_start;
    kept.kernel[1] = (uint64_t)kernel_data_end;
    kept.kernel[2] = (uint64_t)kernel_bss_start;
    kept.kernel[3] = (uint64_t)kernel_bss_end;
    kept.low = round_up((uint64_t)_end, PAGE);
    kept.thread = msr_read(FS_BASE);
    kept.stack = stack;
    for (uint64_t page = 0; page < SNAPSHOT_PAGES; page++)
        if (pages_are_taken(kept.low + page * PAGE, 1)) {
            kept.used[page / 64] |= 1UL << page % 64;
            kept.high = kept.low + (page + 1) * PAGE;
        }
    memcpy(kept.on_stack, (void *)stack, on_stack);
    print("netapp: snapshot at 0x%lx\n", (uint64_t)&kept);
    netapp_power_off(0);
}

/* --- The machine that goes on from it. */
static const struct snapshot *find(uint64_t *end) {
    const Elf64_Ehdr *header = (const void *)__ehdr_start;
    const Elf64_Phdr *segment = (const void *)(__ehdr_start + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++, segment++) {
        const struct snapshot *found = (const void *)segment->p_paddr;
        *end = segment->p_paddr + segment->p_memsz;
        if (segment->p_type == PT_LOAD && segment->p_memsz > sizeof *found + sizeof(struct pieces) &&
            boot_has_memory(segment->p_paddr, *end) && memcmp(found->magic, SNAPSHOT_MAGIC, sizeof found->magic) == 0)
            return found;
    }
    return NULL;
}

/* Some firmware makes use of memory that has been loaded already. */
static int is_whole(const struct pieces *pieces, uint64_t end) {
    uint64_t sum = 0;
    const uint64_t *word = &pieces->count;
    if (pieces->words != (end - (uint64_t)word) / sizeof *word)
        return 0;
    for (; word < (uint64_t *)end; word++)
        sum += *word;
    return sum == pieces->sum;
}

uint64_t snapshot_place(void) {
    uint64_t end;
    const struct snapshot *found = find(&end);
    const struct pieces *pieces = (const void *)(found + 1);
    wanted = found == NULL && memcmp(boot.command_line, SNAPSHOT_WORD, sizeof SNAPSHOT_WORD - 1) == 0;
    if (found == NULL || !is_whole(pieces, end))
        return 0;
    if (!boot_has_memory(found->low, found->high))
        refuse(NETAPP_NO_MEMORY, "too little memory: the program alone, when it has started, ends at %lu MiB",
               round_up(found->high, 1 << 20) >> 20);
    memcpy(&kept, found, sizeof kept);
    const char *packed = (const char *)&pieces->list[pieces->count];
    for (uint64_t i = 0; i < pieces->count; i++) {
        uint64_t bytes = pieces->list[i].bytes;
        if (unpack((void *)pieces->list[i].address, bytes, packed, pieces->list[i].packed) != bytes)
            panic("the snapshot was not packed as it should be");
        packed += pieces->list[i].packed;
    }
    return kept.high;
}

void snapshot_keep(void) {
    for (uint64_t page = 0; page < SNAPSHOT_PAGES; page++)
        if (kept.used[page / 64] >> page % 64 & 1)
            pages_take_at(kept.low + page * PAGE, 1);
}

void snapshot_return(uint64_t stack) __attribute__((noreturn));         /* entry.S: from netapp_freeze() */

void snapshot_go_on(void) {
    for (uint64_t page = round_down(kept.stack, PAGE); page < STACK_HIGH; page += PAGE)
        if (paging_put(page) < 0)
            refuse(NETAPP_NO_MEMORY, "too little memory for the stack");
    memcpy((void *)kept.stack, kept.on_stack, STACK_HIGH - kept.stack);
    msr_write(FS_BASE, kept.thread);
    /* Nobody who is on the stack looks at it any more; its lowest byte ends strings. */
    netapp_random((char *)kept.thread + CANARY + 1, 7);
    snapshot_return(kept.stack);
}
