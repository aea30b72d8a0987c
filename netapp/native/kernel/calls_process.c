/* The one process, its one thread and its signals, which nobody sends. */
#include <asm/prctl.h>
#include <linux/futex.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "system_calls.h"

#define FS_BASE 0xc0000100
#define GS_BASE 0xc0000101
#define SIGNAL_ACTION 32                /* bytes of the kernel's struct sigaction */
#define MICROSECOND 1000
#define SECOND 1000000000UL

int64_t call_exit(const uint64_t *a) { netapp_power_off((int)(a[0] & 0xff)); }
int64_t call_one(const uint64_t *a) { (void)a; return 1; }
int64_t call_zero(const uint64_t *a) { (void)a; return 0; }

static int64_t signal_self(uint64_t process, uint64_t signal) {
    if (process > 1)
        return -ESRCH;
    if (signal == 0)
        return 0;
    print("\nnetapp: ended by signal %lu%s\n", signal, signal == 6 ? ", abort()" : "");
    panic_traceback();
    netapp_power_off(NETAPP_ABORTED);
}
int64_t call_kill(const uint64_t *a) { return signal_self(a[0], a[1]); }
int64_t call_tgkill(const uint64_t *a) { return signal_self(a[1], a[2]); }

int64_t call_arch_prctl(const uint64_t *a) {
    switch (a[0]) {
    case ARCH_SET_FS: msr_write(FS_BASE, a[1]); return 0;
    case ARCH_SET_GS: msr_write(GS_BASE, a[1]); return 0;
    case ARCH_GET_FS: *(uint64_t *)a[1] = msr_read(FS_BASE); return 0;
    case ARCH_GET_GS: *(uint64_t *)a[1] = msr_read(GS_BASE); return 0;
    default: return -EINVAL;            /* control-flow enforcement is not asked for */
    }
}

static void put_name(char *field, const char *text) { memcpy(field, text, strlen(text) + 1); }

int64_t call_uname(const uint64_t *a) {
    struct new_utsname *name = (void *)a[0];
    memset(name, 0, sizeof *name);
    put_name(name->sysname, "netapp");
    put_name(name->nodename, "netapp");
    put_name(name->release, "1");
    put_name(name->version, "1");
    put_name(name->machine, "x86_64");
    return 0;
}

int64_t call_sysinfo(const uint64_t *a) {
    struct sysinfo *info = (void *)a[0];
    memset(info, 0, sizeof *info);
    info->uptime = (long)(netapp_clock() / SECOND);
    info->totalram = netapp_memory_size();
    info->freeram = netapp_memory_free();
    info->procs = 1;
    info->mem_unit = 1;
    return 0;
}

static int64_t get_limit(uint64_t resource, uint64_t *to) {
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    to[0] = to[1] = resource == RLIMIT_STACK ? STACK_BYTES : resource == RLIMIT_NOFILE ? 3 : UINT64_MAX;
    return 0;
}
int64_t call_getrlimit(const uint64_t *a) { return get_limit(a[0], (uint64_t *)a[1]); }
int64_t call_prlimit64(const uint64_t *a) {
    if (a[2] != 0)
        return -EPERM;
    return a[3] == 0 ? 0 : get_limit(a[1], (uint64_t *)a[3]);
}

int64_t call_getrusage(const uint64_t *a) {
    struct rusage *usage = (void *)a[1];
    uint64_t busy = (netapp_clock() - clock_slept()) / MICROSECOND;
    memset(usage, 0, sizeof *usage);
    usage->ru_utime.tv_sec = (long)(busy / 1000000);
    usage->ru_utime.tv_usec = (long)(busy % 1000000);
    usage->ru_maxrss = (long)((netapp_memory_size() - netapp_memory_free()) / 1024);
    return 0;
}

int64_t call_times(const uint64_t *a) {
    uint64_t *times = (uint64_t *)a[0], now = netapp_clock();
    if (times != NULL) {
        times[0] = (now - clock_slept()) / (SECOND / TICKS_A_SECOND);
        times[1] = times[2] = times[3] = 0;
    }
    return (int64_t)(now / (SECOND / TICKS_A_SECOND));
}

int64_t call_no_control(const uint64_t *a) { (void)a; return -EINVAL; }

/* Handlers are accepted and never called. */
int64_t call_rt_sigaction(const uint64_t *a) {
    if (a[2] != 0)
        memset((void *)a[2], 0, SIGNAL_ACTION);
    return 0;
}
int64_t call_rt_sigprocmask(const uint64_t *a) {
    if (a[2] != 0)
        memset((void *)a[2], 0, a[3]);
    return 0;
}
int64_t call_sigaltstack(const uint64_t *a) {
    if (a[1] != 0) {
        memset((void *)a[1], 0, 24);
        ((uint32_t *)a[1])[2] = 2;      /* SS_DISABLE */
    }
    return 0;
}

/* Nobody else is there to wake us: a wait ends by its time, or never, which would be the program's mistake. */
int64_t call_futex(const uint64_t *a) {
    uint64_t operation = a[1] & FUTEX_CMD_MASK;
    if (operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET)
        return 0;
    if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
        call_refuse(", with this operation");
    if (*(volatile uint32_t *)a[0] != (uint32_t)a[2])
        return -EAGAIN;
    if (a[3] == 0)
        panic("deadlock: the only thread waits for another one");
    sleep_until(deadline_of(a[1] & FUTEX_CLOCK_REALTIME ? 0 : 1, operation == FUTEX_WAIT_BITSET, (const void *)a[3]));
    return -ETIMEDOUT;
}
int64_t call_no_thread(const uint64_t *a) { (void)a; return -EAGAIN; }

int64_t call_sched_getaffinity(const uint64_t *a) {
    if (a[1] < 8)
        return -EINVAL;
    *(uint64_t *)a[2] = 1;
    return 8;
}

int64_t call_getrandom(const uint64_t *a) {
    uint64_t count = least(a[1], 32 << 20);
    netapp_random((void *)a[0], count);
    return (int64_t)count;
}
