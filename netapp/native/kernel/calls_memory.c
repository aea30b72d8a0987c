/* Memory for the program. What it gets is zeroed at once and never a second time: a page that a device wrote to before the
 * program touched it must stay as the device left it. */
#include <linux/mman.h>

#include "system_calls.h"

extern char _end[];

#define SNAPSHOT_HEAP (2UL << 20)

OF_PROGRAM static uint64_t heap_start, heap_end;
static int protection_used;             /* then pages that come back are made writable again */

void calls_memory_start(void) { heap_start = heap_end = round_up((uint64_t)_end, PAGE); }

int memory_is_protected(void) { return protection_used; }

static int protect(uint64_t address, uint64_t bytes, uint64_t protection) {
    if (protection & PROT_EXEC)
        return -EACCES;                 /* nothing is writable now and executable then */
    protection_used = 1;
    int access = protection & PROT_WRITE ? MAP_WRITE : protection & PROT_READ ? MAP_READ : MAP_ABSENT;
    return paging_map(address, bytes, access) < 0 ? -ENOMEM : 0;
}

static void give(uint64_t address, uint64_t count) {
    if (!pages_are_taken(address, count))
        call_refuse(", of memory that was not given");
    if (protection_used && paging_map(address, count * PAGE, MAP_WRITE) < 0)
        return;                         /* no memory for tables: these pages are lost */
    pages_give(address, count);
}

int64_t call_brk(const uint64_t *a) {
    uint64_t wanted = a[0], mapped = round_up(heap_end, PAGE), end = round_up(wanted, PAGE);
    if (wanted < heap_start || wanted > pages_limit())
        return (int64_t)heap_end;
    if (end > mapped) {
        if (!pages_take_at(mapped, (end - mapped) / PAGE))
            return (int64_t)heap_end;
        pages_zero((void *)mapped, end - mapped);
    } else if (end < mapped) {
        give(end, (mapped - end) / PAGE);
    }
    heap_end = wanted;
    return (int64_t)heap_end;
}

/* In a snapshot everything lies low, for small machines to have memory there, and the heap has room to grow below it. */
static void *take(uint64_t count) {
    return netapp_snapshot_wanted()
               ? pages_take_low(heap_start + SNAPSHOT_HEAP, heap_start + SNAPSHOT_PAGES * PAGE, count)
               : pages_take(count);
}

int64_t call_mmap(const uint64_t *a) {
    uint64_t protection = a[2], flags = a[3];
    if (a[1] == 0 || a[1] > pages_limit())
        return a[1] == 0 ? -EINVAL : -ENOMEM;
    if ((flags & MAP_TYPE) != MAP_PRIVATE && (flags & MAP_TYPE) != MAP_SHARED)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS))
        return (uint32_t)a[4] <= 2 ? -ENODEV : -EBADF;          /* the console, or nothing */
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN))
        call_refuse(", at a fixed address");
    if (protection & PROT_EXEC)
        return -EACCES;
    uint64_t count = round_up(a[1], PAGE) / PAGE, address = (uint64_t)take(count);
    if (address == 0)
        return -ENOMEM;
    if (!(flags & MAP_UNINITIALIZED))
        pages_zero((void *)address, count * PAGE);
    if (!(protection & PROT_WRITE) && protect(address, count * PAGE, protection) < 0) {
        give(address, count);
        return -ENOMEM;
    }
    return (int64_t)address;
}

int64_t call_munmap(const uint64_t *a) {
    if (a[0] % PAGE != 0 || a[1] == 0 || a[1] > pages_limit())
        return -EINVAL;
    give(a[0], round_up(a[1], PAGE) / PAGE);
    return 0;
}

int64_t call_mremap(const uint64_t *a) {
    uint64_t from = a[0], before = round_up(a[1], PAGE), after = round_up(a[2], PAGE);
    if (from % PAGE != 0 || before == 0 || after == 0 || a[2] > pages_limit() || a[3] & ~(uint64_t)MREMAP_MAYMOVE)
        return -EINVAL;
    if (a[1] > pages_limit() || !pages_are_taken(from, before / PAGE))
        return -EFAULT;
    if (after <= before) {
        if (after < before)
            give(from + after, (before - after) / PAGE);
        return (int64_t)from;
    }
    if (pages_take_at(from + before, (after - before) / PAGE)) {
        pages_zero((void *)(from + before), after - before);
        return (int64_t)from;
    }
    uint64_t to = a[3] & MREMAP_MAYMOVE ? (uint64_t)take(after / PAGE) : 0;
    if (to == 0)
        return -ENOMEM;
    memcpy((void *)to, (void *)from, before);
    pages_zero((void *)(to + before), after - before);
    give(from, before / PAGE);
    return (int64_t)to;
}

int64_t call_mprotect(const uint64_t *a) {
    if (a[0] % PAGE != 0)
        return -EINVAL;
    if (a[1] == 0)
        return 0;
    if (a[1] > pages_limit() || !pages_are_taken(a[0], round_up(a[1], PAGE) / PAGE))
        return -ENOMEM;
    return protect(a[0], a[1], a[2]);
}

int64_t call_madvise(const uint64_t *a) {
    uint64_t advice = (uint32_t)a[2];
    if (a[0] % PAGE != 0 || advice > MADV_POPULATE_WRITE || advice > MADV_DONTNEED && advice < MADV_FREE)
        return -EINVAL;
    if (a[1] == 0)
        return 0;
    if (a[1] > pages_limit() || !pages_are_taken(a[0], round_up(a[1], PAGE) / PAGE))
        return -ENOMEM;
    if (advice == MADV_DONTNEED && protection_used)     /* whoever reads it next finds zeros */
        paging_zero(a[0], round_up(a[1], PAGE));
    else if (advice == MADV_DONTNEED)
        pages_zero((void *)a[0], round_up(a[1], PAGE));
    return 0;
}
