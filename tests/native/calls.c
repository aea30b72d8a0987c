/* What system calls answer to what is wrong, unusual, or of no effect: a line each, the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NOWHERE (1L << 46)              /* an address at which there is nothing */
#define ABOVE (1L << 32)                /* of what is an int */
#define SHOW(...) show(#__VA_ARGS__, syscall(__VA_ARGS__))

static void show(const char *what, long result) {
    printf("%s: %s\n", what, result == -1 ? strerrorname_np(errno) : result == 0 ? "0" : "good");
}

static void tell(const char *what, int value) { printf("%s: %d\n", what, value); }

static void files(void) {
    char byte = 0;
    struct sockaddr address;
    socklen_t size = sizeof address;
    struct iovec pieces[2] = {{&byte, 1}, {&byte, (size_t)-1 / 2}};
    for (int number = 5; number >= -1; number -= 6) {
        SHOW(SYS_read, number, &byte, 1);
        SHOW(SYS_write, number, &byte, 1);
        SHOW(SYS_lseek, number, 0, 0);
        SHOW(SYS_fstat, number, &byte);
        SHOW(SYS_ioctl, number, 0, 0);
        SHOW(SYS_fcntl, number, F_GETFL);
        SHOW(SYS_dup, number);
        SHOW(SYS_close, number);
        SHOW(SYS_writev, number, pieces, 1);
        SHOW(SYS_getdents64, number, &byte, 1);
        SHOW(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, number, 0);
        SHOW(SYS_readv, number, pieces, 1);
        SHOW(SYS_pread64, number, &byte, 1, 0);
        SHOW(SYS_pwritev, number, pieces, 1, 0, 0);
        SHOW(SYS_fsync, number);
        SHOW(SYS_ftruncate, number, 0);
        SHOW(SYS_fchdir, number);
        SHOW(SYS_listen, number, 1);
        SHOW(SYS_recvfrom, number, &byte, 1, 0, NULL, NULL);
        SHOW(SYS_getsockname, number, &address, &size);
    }
    SHOW(SYS_write, ABOVE + 1, "written\n", 8);
    SHOW(SYS_write, 1, NULL, 0);
    SHOW(SYS_writev, 1, pieces, 0);
    SHOW(SYS_writev, 1, pieces, 1025);
    SHOW(SYS_writev, 1, pieces, -1L);
    pieces[1].iov_len = (size_t)-1;
    SHOW(SYS_writev, 1, pieces, 2);
    SHOW(SYS_fcntl, 1, 9999, 0);
    SHOW(SYS_open, "nowhere", O_RDONLY);
    SHOW(SYS_open, "nowhere", O_WRONLY);
    SHOW(SYS_openat, AT_FDCWD, "nowhere", O_RDWR);
    SHOW(SYS_open, "", O_RDONLY);
    SHOW(SYS_getcwd, &byte, 1);
    SHOW(SYS_listen, 1, 1);
    SHOW(SYS_fchdir, 1);
}

static void memory(void) {
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(SYS_mmap, NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(SYS_mmap, NULL, -4096L, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(SYS_mmap, NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0);
    SHOW(SYS_munmap, page + 1, 4096);
    SHOW(SYS_munmap, page, 0);
    SHOW(SYS_munmap, page, -4096L);
    SHOW(SYS_mremap, page + 1, 4096, 4096, 0);
    SHOW(SYS_mremap, page, 4096, 0, 0);
    SHOW(SYS_mremap, page, 8192, 8192, 1024);
    SHOW(SYS_mremap, page, 8192, 8192, 0);
    SHOW(SYS_mremap, page, 8192, -4096L, MREMAP_MAYMOVE);
    SHOW(SYS_mremap, NOWHERE, 4096, 8192, MREMAP_MAYMOVE);
    SHOW(SYS_mprotect, page + 1, 4096, PROT_READ);
    SHOW(SYS_mprotect, page, 0, PROT_READ);
    SHOW(SYS_mprotect, page, -1L, PROT_READ);
    SHOW(SYS_mprotect, NOWHERE, 4096, PROT_READ);
    SHOW(SYS_madvise, page + 1, 4096, MADV_DONTNEED);
    SHOW(SYS_madvise, page, 4096, 9999);
    SHOW(SYS_madvise, page, 4096, 5);
    SHOW(SYS_madvise, page, 0, MADV_DONTNEED);
    SHOW(SYS_madvise, NOWHERE, 4096, MADV_DONTNEED);
    SHOW(SYS_madvise, page, 4096, MADV_WILLNEED);
    page[0] = page[4096] = 1;
    SHOW(SYS_madvise, page, 1, MADV_DONTNEED);
    tell("what is not needed is zero", page[0] == 0 && page[4096] == 1);
    char *heap = sbrk(3 * 4096);
    mprotect((void *)(((uintptr_t)heap + 4095) & -4096UL), 4096, PROT_READ);
    sbrk(-3 * 4096);
    heap = sbrk(3 * 4096);
    memset(heap, 1, 3 * 4096);          /* none of it is read-only any more */
    SHOW(SYS_munmap, page, 8192);
}

static void processes(void) {
    struct rusage usage = {.ru_utime = {1, 1}};
    uint64_t limits[2], set[2];
    uint32_t word[3] = {0, 0, 0};
    SHOW(SYS_getrusage, RUSAGE_CHILDREN, &usage);
    tell("children's time", (int)(usage.ru_utime.tv_sec + usage.ru_utime.tv_usec));
    SHOW(SYS_getrusage, 99, &usage);
    SHOW(SYS_getrlimit, RLIMIT_STACK, limits);
    SHOW(SYS_getrlimit, 99, limits);
    SHOW(SYS_prlimit64, 0, ABOVE + RLIMIT_STACK, NULL, limits);
    SHOW(SYS_wait4, -1L, NULL, 0, NULL);
    SHOW(SYS_getresuid, word, word + 1, word + 2);
    SHOW(SYS_getpgrp);
    SHOW(SYS_sched_getscheduler, 0);
    SHOW(SYS_arch_prctl, 9999, 0);
    SHOW(SYS_sched_getaffinity, 0, 4, set);
    SHOW(SYS_sched_getaffinity, 0, 12, set);
    SHOW(SYS_getrandom, set, 8, 0);
    SHOW(SYS_getrandom, set, 0, 0);
    SHOW(SYS_getrandom, set, 8, 1);
    SHOW(SYS_getrandom, set, 8, 6);
    SHOW(SYS_getrandom, set, 8, 256);

    struct timespec soon = {0, 1000}, bad = {0, 1000000000}, past = {-1, 0};
    SHOW(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    SHOW(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    SHOW(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0);
    SHOW(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &bad, NULL, 0);
    SHOW(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &past, NULL, 0);
    SHOW(SYS_futex, (char *)word + 1, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0);
}

static volatile int handled[6], count;

static void handler(int signal) {
    handled[count++] = signal;
    if (signal == SIGUSR1 && count == 1) {
        raise(SIGUSR1);                 /* waits until this returns */
        raise(SIGHUP);                  /* does not */
    }
    handled[count++] = -signal;
}

static jmp_buf out;

static void leaver(int signal) { siglongjmp(out, signal); }

static void handlers(void) {
    struct sigaction action = {.sa_handler = handler}, got;
    sigset_t set;
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags = SA_RESETHAND;
    sigaction(SIGHUP, &action, NULL);
    register uint64_t kept __asm__("r12") = 0x123456789abcdef;
    __asm__ volatile("" : "+r"(kept));
    tell("raise", raise(SIGUSR1) == 0 && kept == 0x123456789abcdef);
    for (int i = 0; i < 6; i++)
        tell("handled", handled[i]);
    sigaction(SIGHUP, NULL, &got);
    tell("only once", got.sa_handler == SIG_DFL);

    action = (struct sigaction){.sa_handler = leaver};
    sigaction(SIGTERM, &action, NULL);
    int which = sigsetjmp(out, 1);
    if (which == 0)
        kill(getpid(), SIGTERM);
    tell("left by", which);
    sigprocmask(SIG_SETMASK, NULL, &set);
    tell("blocked", sigismember(&set, SIGTERM));
}

static void signals(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, got;
    sigset_t none, some, before;
    sigemptyset(&none);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    SHOW(SYS_kill, getpid(), 0);
    SHOW(SYS_kill, getpid(), 65);
    SHOW(SYS_kill, getpid(), SIGCHLD);
    SHOW(SYS_kill, getpid(), SIGWINCH);
    SHOW(SYS_tgkill, getpid(), getpid(), SIGURG);
    SHOW(SYS_rt_sigaction, SIGKILL, &action, NULL, 8);
    SHOW(SYS_rt_sigaction, 0, NULL, NULL, 8);
    SHOW(SYS_rt_sigaction, 65, NULL, NULL, 8);
    SHOW(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR1, NULL, &got);
    tell("the handler that was set", got.sa_handler == handler && got.sa_flags & SA_RESTART);
    action.sa_handler = SIG_IGN;
    sigaction(SIGUSR1, &action, &got);
    tell("the handler before", got.sa_handler == handler);
    SHOW(SYS_kill, getpid(), SIGUSR1);

    SHOW(SYS_rt_sigprocmask, 99, &some, NULL, 8);
    SHOW(SYS_rt_sigprocmask, SIG_BLOCK, &some, NULL, 4);
    sigprocmask(SIG_BLOCK, &some, NULL);
    SHOW(SYS_kill, getpid(), SIGUSR2);
    sigpending(&none);
    tell("pending", sigismember(&none, SIGUSR2));
    struct timespec soon = {0, 1000};
    tell("waited for", sigtimedwait(&some, NULL, &soon));
    SHOW(SYS_rt_sigtimedwait, &some, NULL, &soon, 8);
    SHOW(SYS_kill, getpid(), SIGUSR2);
    sigaction(SIGUSR2, &action, NULL);
    sigprocmask(SIG_SETMASK, NULL, &before);
    tell("blocked", sigismember(&before, SIGUSR2));
    sigfillset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    sigprocmask(SIG_UNBLOCK, &some, &before);
    tell("blocked", sigismember(&before, SIGUSR2) + sigismember(&before, SIGKILL));
    sigprocmask(SIG_SETMASK, NULL, &before);
    tell("blocked", sigismember(&before, SIGUSR2) + sigismember(&before, SIGUSR1));

    static char memory[16384];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory}, old;
    SHOW(SYS_sigaltstack, &stack, &old);
    tell("disabled", old.ss_flags == SS_DISABLE);
    stack.ss_size = 100;
    SHOW(SYS_sigaltstack, &stack, NULL);
    stack.ss_flags = 64;
    SHOW(SYS_sigaltstack, &stack, NULL);
    SHOW(SYS_sigaltstack, NULL, &old);
    tell("as it was set", old.ss_sp == memory && old.ss_size == sizeof memory && old.ss_flags == 0);
}

static void times(void) {
    struct timespec time = {0, 0}, bad[] = {{0, 1000000000}, {0, -1}, {-1, 0}};
    struct { long seconds, microseconds; } day;
    for (long clock = 0; clock <= 16; clock++)
        if (clock != 8 && clock != 9) { /* which ring, where there is something to ring */
            printf("clock %ld: ", clock);
            SHOW(SYS_clock_gettime, clock, &time);
            SHOW(SYS_clock_getres, clock, &time);
            time = (struct timespec){0, 0};
            if (clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID)
                SHOW(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &time, NULL);
        }
    SHOW(SYS_clock_gettime, ABOVE + CLOCK_MONOTONIC, &time);
    SHOW(SYS_clock_gettime, -6L, &time); /* this process's */
    SHOW(SYS_clock_getres, CLOCK_REALTIME, NULL);
    for (int i = 0; i < 3; i++) {
        SHOW(SYS_nanosleep, &bad[i], NULL);
        SHOW(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad[i], NULL);
    }
    SHOW(SYS_gettimeofday, NULL, NULL);
    SHOW(SYS_gettimeofday, &day, NULL);
    SHOW(SYS_time, NULL);
}

void calls(void);
void calls(void) {
    files();
    memory();
    processes();
    signals();
    handlers();
    times();
}

#define PAGE 4096
#define REGIONS 12
#define PAGES 1100                       /* at most, of a region */

static struct region { unsigned char *at; int pages, access; unsigned char holds[PAGES]; } regions[REGIONS];

static int holds_what_it_should(const struct region *region) {
    for (int page = 0; region->access != PROT_NONE && page < region->pages; page++)
        for (int i = page % 7; i < PAGE; i += 1021)
            if (region->at[page * PAGE + i] != region->holds[page])
                return 0;
    return 1;
}

static void fill(struct region *region) {
    for (int page = 0; region->access & PROT_WRITE && page < region->pages; page++) {
        region->holds[page] = (unsigned char)rand();
        memset(region->at + page * PAGE, region->holds[page], PAGE);
    }
}

static void change(struct region *region) {
    int more = 1 + rand() % PAGES, some = rand() % (region->pages + 1);
    switch (region->at == NULL ? 0 : 1 + rand() % 6) {
    case 0:
        region->at = mmap(NULL, (size_t)more * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *region = (struct region){region->at, more, PROT_READ | PROT_WRITE, {0}};
        break;
    case 1:
        munmap(region->at, (size_t)region->pages * PAGE);
        *region = (struct region){0};
        return;
    case 2:                             /* its first pages */
        if (some == region->pages || some == 0)
            return;
        munmap(region->at, (size_t)some * PAGE);
        region->at += some * PAGE;
        region->pages -= some;
        memmove(region->holds, region->holds + some, (size_t)region->pages);
        return;
    case 3:
        if (!(region->access & PROT_WRITE))
            return;
        region->at = mremap(region->at, (size_t)region->pages * PAGE, (size_t)more * PAGE, MREMAP_MAYMOVE);
        if (more > region->pages)
            memset(region->holds + region->pages, 0, (size_t)(more - region->pages));
        region->pages = more;
        break;
    case 4:
        region->access = (int[]){PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE}[rand() % 3];
        mprotect(region->at, (size_t)region->pages * PAGE, region->access);
        return;
    case 5:
        madvise(region->at, (size_t)some * PAGE, MADV_DONTNEED);
        memset(region->holds, 0, (size_t)some);
        return;
    default:
        fill(region);
    }
}

/* Memory is taken, given back, moved and protected at random, and always holds what was written, or zeros. */
int churn(int rounds);
int churn(int rounds) {
    struct sysinfo before, after;
    printf("%d rounds\n", rounds);      /* what the C library takes for that is taken */
    sysinfo(&before);
    while (rounds-- > 0) {
        struct region *region = &regions[rand() % REGIONS];
        change(region);
        if (region->at == MAP_FAILED || !holds_what_it_should(region)) {
            puts("not what it should be");
            return 1;
        }
    }
    for (int i = 0; i < REGIONS; i++) {
        if (!holds_what_it_should(&regions[i]))
            puts("not what it should be");
        if (regions[i].at != NULL)
            munmap(regions[i].at, (size_t)regions[i].pages * PAGE);
    }
    sysinfo(&after);
    printf("%ld KiB are gone\n", (long)(before.freeram - after.freeram) / 1024);
    return 0;
}
