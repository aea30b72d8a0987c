/* Counts the allocations between begin() and end(): preloaded (LD_PRELOAD) into a process that calls both. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MALLOC, CALLOC, REALLOC, MEMALIGN, MMAP, BRK, KINDS };
enum { DEPTH = 12, TOLD = 8 };

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static volatile int counting, inside;
static long counts[KINDS];
static void *callers[TOLD][DEPTH];
static size_t sizes[TOLD];
static int depths[TOLD], told;

static void count(int kind, size_t size) {
    if (!counting || inside)
        return;
    inside = 1;
    counts[kind]++;
    if (told < TOLD) {
        sizes[told] = size;
        depths[told] = backtrace(callers[told], DEPTH);
        told++;
    }
    inside = 0;
}

void *malloc(size_t size) { count(MALLOC, size); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { count(CALLOC, number * size); return __libc_calloc(number, size); }
void *realloc(void *old, size_t size) { count(REALLOC, size); return __libc_realloc(old, size); }
void *memalign(size_t align, size_t size) { count(MEMALIGN, size); return __libc_memalign(align, size); }
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void **at, size_t align, size_t size) { *at = memalign(align, size); return *at ? 0 : 12; }

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    count(MMAP, size);
    return (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}
void *mmap64(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    return mmap(at, size, protection, flags, file, offset);
}
int brk(void *end) { count(BRK, 0); return ((int (*)(void *))dlsym(RTLD_NEXT, "brk"))(end); }
void *sbrk(intptr_t more) { count(BRK, more); return ((void *(*)(intptr_t))dlsym(RTLD_NEXT, "sbrk"))(more); }

void shim_begin(void) {
    void *unused[2];
    backtrace(unused, 2); /* its first call allocates */
    memset(counts, 0, sizeof counts);
    told = 0;
    counting = 1;
}

/* All counts, in the order of the enum. */
void shim_end(long *result) {
    counting = 0;
    memcpy(result, counts, sizeof counts);
}

/* Who made the first few. */
void shim_tell(void) {
    for (int i = 0; i < told; i++) {
        fprintf(stderr, "%zu bytes, from:\n", sizes[i]);
        for (int k = 2; k < depths[i]; k++) {
            Dl_info found;
            if (dladdr(callers[i][k], &found) && found.dli_fname)
                fprintf(stderr, "    %s+0x%lx (%s)\n", found.dli_sname ? found.dli_sname : "?",
                        (long)((char *)callers[i][k] - (char *)found.dli_fbase), found.dli_fname);
        }
    }
}
