/* A program for the boot image that does one thing, good or bad, which its first argument names. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "../../netapp/native/kernel/kernel.h"

static int deeper(const volatile char *above) {
    volatile char frame[256];
    frame[0] = above[0];
    return deeper(frame) + frame[0];
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int allocate(void) {
    size_t total = 0;
    for (void *got; (got = malloc(100000)) != NULL; total += 100000)
        memset(got, 1, 100000);
    printf("malloc: %s after %zu MiB\n", strerror(errno), total >> 20);
    return 0;
}

static int map(void) {
    char *one = mmap(NULL, 3 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(one, 1, 3 << 20);
    char *grown = mremap(one, 3 << 20, 5 << 20, MREMAP_MAYMOVE);
    int good = grown != MAP_FAILED && grown[(3 << 20) - 1] == 1 && grown[3 << 20] == 0 && grown[(5 << 20) - 1] == 0;
    munmap(grown + 4096, (5 << 20) - 8192);     /* the middle */
    char *again = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4 << 20; i++)
        good = good && again[i] == 0;
    good = good && mprotect(again, 8192, PROT_READ) == 0 && again[0] == 0;
    good = good && mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
    munmap(again, 4 << 20);
    again = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    again[0] = 1;                               /* which was read-only before */
    puts(good ? "map: good" : "map: bad");
    return !good;
}

/* As the kernel knows CPython's: it is called when the machine ends, within a system call, and makes some itself. */
static int traced;
void *_PyThreadState_UncheckedGet(void);
void *_PyThreadState_UncheckedGet(void) { return traced ? &traced : NULL; }
void _Py_DumpTraceback(int file, void *state);
void _Py_DumpTraceback(int file, void *state) {
    for (int i = 0; i < 3; i++) {
        char *some = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        dprintf(file, "traced %d %.1f\n", *(int *)state, i / 2.0);
        munmap(some, 100000);
    }
}

void calls(void);                               /* calls.c */
int churn(int rounds);
void keep(void);                                /* kept.c */
int kept(void);

static void refused(int count, char **numbers) {
    for (int i = 0; i < count; i++)
        printf("%s %s\n", numbers[i], syscall(atoi(numbers[i]), 0, 0, 0, 0, 0, 0) < 0 ? strerrorname_np(errno) : "0");
}

int main(int count, char **arguments) {
    if (netapp_snapshot_wanted()) {
        keep();
        netapp_freeze();
        count = netapp_arguments(&arguments);
    }
    if (count > 1 && strncmp(arguments[1], "netapp.", 7) == 0)      /* no word of ours */
        count--, arguments++;
    const char *what = count > 1 ? arguments[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    traced = count > 2 && strcmp(arguments[2], "traced") == 0;
    if (strcmp(what, "exit") == 0)
        return atoi(arguments[2]);
    if (strcmp(what, "arguments") == 0)
        for (int i = 1; i < count; i++)
            printf("<%s>\n", arguments[i]);
    else if (strcmp(what, "unknown-call") == 0)
        syscall(SYS_ptrace, 17, 42);
    else if (strcmp(what, "number-beyond") == 0)
        syscall(5000);
    else if (strcmp(what, "unanswered") == 0)
        printf("%s\n", syscall(SYS_epoll_create1, 0) < 0 ? strerror(errno) : "answered");
    else if (strcmp(what, "calls") == 0)
        calls();
    else if (strcmp(what, "churn") == 0)
        return churn(atoi(arguments[2]));
    else if (strcmp(what, "kept") == 0)
        return kept();
    else if (strcmp(what, "canary") == 0) {
        uint64_t canary;
        __asm__("movq %%fs:0x28, %0" : "=r"(canary));
        printf("%016lx\n", canary);
    } else if (strcmp(what, "refused") == 0)
        refused(count - 2, arguments + 2);
    else if (strcmp(what, "null-call") == 0)
        ((void (*)(void))(uintptr_t)(count - 2))();
    else if (strcmp(what, "null-write") == 0)
        *(volatile int *)(uintptr_t)(count - 2 + 8) = 1;
    else if (strcmp(what, "stack") == 0)
        return deeper(what);
    else if (strcmp(what, "write-code") == 0)
        *(volatile char *)(uintptr_t)main = 1;
    else if (strcmp(what, "far-read") == 0)
        return *(volatile int *)0x8000000000000000;
    else if (strcmp(what, "unmapped-read") == 0)
        return *(volatile int *)0x7000000000;
    else if (strcmp(what, "write-constant") == 0)
        *(volatile char *)(uintptr_t)"constant" = 1;
    else if (strcmp(what, "run-data") == 0) {
        static char data[16] = {(char)0xc3};
        ((void (*)(void))(uintptr_t)data)();
    } else if (strcmp(what, "divide") == 0)
        return 100 / *(volatile int *)&(int){count - 2};
    else if (strcmp(what, "abort") == 0)
        abort();
    else if (strcmp(what, "deadlock") == 0)
        syscall(SYS_futex, &count, 0, count, NULL, NULL, 0);
    else if (strcmp(what, "allocate") == 0)
        return allocate();
    else if (strcmp(what, "map") == 0)
        return map();
    else if (strcmp(what, "sleep") == 0) {
        double began = now();
        usleep(300000);
        printf("slept %.3f\n", now() - began);
    } else if (strcmp(what, "times") == 0) {     /* half of it asleep */
        struct tms used;
        double began = now();
        while (now() - began < 0.3)
            ;
        usleep(300000);
        long total = times(&used);
        printf("of %ld used %ld, %ld\n", total, used.tms_utime, used.tms_stime);
    } else if (strcmp(what, "idle") == 0)
        sleep((unsigned)atoi(arguments[2]));
    else if (strcmp(what, "busy") == 0) {       /* the clock, where nothing sleeps */
        double began = now(), before = began, longest = 0;
        while (before - began < 1.0) {
            double time = now();
            if (time < before)
                puts("the clock went back");
            if (time - before > longest)
                longest = time - before;
            before = time;
        }
        printf("longest step %.6f\n", longest);
    } else if (strcmp(what, "random") == 0) {
        unsigned char bytes[32];
        if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
            return 1;
        for (int i = 0; i < 32; i++)
            printf("%02x", bytes[i]);
        puts("");
    } else if (strcmp(what, "date") == 0)
        printf("%ld\n", (long)time(NULL));
    return 0;
}
