/* The one process, its one thread and its signals, which nobody else sends. */
#include <asm/prctl.h>
#include <linux/futex.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "system_calls.h"

#define FS_BASE 0xc0000100
#define GS_BASE 0xc0000101
#define SIGNALS 64
#define MICROSECOND 1000
#define SECOND 1000000000UL

int64_t call_exit(const uint64_t *a) { netapp_power_off((int)(a[0] & 0xff)); }
int64_t call_one(const uint64_t *a) { (void)a; return 1; }
int64_t call_zero(const uint64_t *a) { (void)a; return 0; }

#define BIT(signal) (1UL << ((signal) - 1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
#define IGNORED_BY_DEFAULT (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH))

OF_PROGRAM static struct action { uint64_t handler, flags, restorer, mask; } actions[SIGNALS];  /* as Linux has it */
OF_PROGRAM static uint64_t blocked, pending;       /* a bit a signal, from 1 */
OF_PROGRAM static struct alternate { uint64_t base; uint32_t flags, none; uint64_t bytes; } alternate = {0, SS_DISABLE, 0, 0};

uint64_t signals_due;                   /* whose handlers are to be called when this system call returns: entry.S */

static void act_on(uint64_t signal) {
    uint64_t handler = actions[signal - 1].handler;
    if (handler == (uint64_t)SIG_IGN || handler == (uint64_t)SIG_DFL && BIT(signal) & IGNORED_BY_DEFAULT)
        return;
    if (handler != (uint64_t)SIG_DFL) {
        signals_due |= BIT(signal);
        return;
    }
    print("\nnetapp: ended by signal %lu%s\n", signal, signal == SIGABRT ? ", abort()" : "");
    panic_traceback();
    netapp_power_off(NETAPP_ABORTED);
}

static void act_on_pending(void) {
    while (pending & ~blocked) {
        uint64_t signal = 1 + (uint64_t)__builtin_ctzll(pending & ~blocked);
        pending &= ~BIT(signal);
        act_on(signal);
    }
}

/* On the program's stack, after the system call that sent them: nobody else sends any, so they come nowhere else. */
void signals_deliver(void);
void signals_deliver(void) {
    while (signals_due != 0) {
        uint64_t signal = 1 + (uint64_t)__builtin_ctzll(signals_due), before = blocked;
        struct action *action = &actions[signal - 1], was = *action;
        siginfo_t about = {.si_signo = (int)signal, .si_code = SI_TKILL};
        signals_due &= ~BIT(signal);
        blocked |= (was.mask | (was.flags & SA_NODEFER ? 0 : BIT(signal))) & ~UNBLOCKABLE;
        if (was.flags & SA_RESETHAND)
            action->handler = (uint64_t)SIG_DFL;
        ((void (*)(int, siginfo_t *, void *))was.handler)((int)signal, &about, NULL);
        blocked = before;
        act_on_pending();
    }
}

static int64_t signal_self(uint64_t process, uint64_t signal) {
    signal = (uint32_t)signal;
    if (signal > SIGNALS)
        return -EINVAL;
    if ((uint32_t)process > 1)          /* 0: the process's group, which is itself */
        return -ESRCH;
    if (signal != 0 && blocked & BIT(signal))
        pending |= BIT(signal);
    else if (signal != 0)
        act_on(signal);
    return 0;
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
    if ((uint32_t)resource >= RLIM_NLIMITS)
        return -EINVAL;
    to[0] = to[1] = resource == RLIMIT_STACK ? STACK_BYTES : resource == RLIMIT_NOFILE ? 3 : UINT64_MAX;
    return 0;
}
int64_t call_getrlimit(const uint64_t *a) { return get_limit(a[0], (uint64_t *)a[1]); }
int64_t call_prlimit64(const uint64_t *a) {
    if ((uint32_t)a[0] > 1)
        return -ESRCH;
    if (a[2] != 0)
        return -EPERM;
    return a[3] == 0 ? 0 : get_limit(a[1], (uint64_t *)a[3]);
}

int64_t call_getrusage(const uint64_t *a) {
    struct rusage *usage = (void *)a[1];
    uint64_t busy = (netapp_clock() - clock_slept()) / MICROSECOND;
    if ((int)a[0] > RUSAGE_THREAD || (int)a[0] < RUSAGE_CHILDREN)
        return -EINVAL;
    memset(usage, 0, sizeof *usage);
    if ((int)a[0] == RUSAGE_CHILDREN)
        return 0;
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

int64_t call_no_child(const uint64_t *a) { (void)a; return -ECHILD; }

int64_t call_three_ids(const uint64_t *a) {     /* real, effective, saved */
    for (int i = 0; i < 3; i++)
        *(uint32_t *)a[i] = 0;
    return 0;
}

int64_t call_no_control(const uint64_t *a) { (void)a; return -EINVAL; }

int64_t call_rt_sigaction(const uint64_t *a) {
    uint64_t signal = (uint32_t)a[0];
    if (a[3] != sizeof blocked || signal - 1 >= SIGNALS || a[1] != 0 && BIT(signal) & UNBLOCKABLE)
        return -EINVAL;
    struct action old = actions[signal - 1];
    if (a[1] != 0)
        actions[signal - 1] = *(const struct action *)a[1];
    if (a[2] != 0)
        *(struct action *)a[2] = old;
    return 0;
}

int64_t call_rt_sigprocmask(const uint64_t *a) {
    uint64_t old = blocked, given = a[1] != 0 ? *(const uint64_t *)a[1] & ~UNBLOCKABLE : 0;
    if (a[3] != sizeof blocked)
        return -EINVAL;
    if (a[1] != 0) {
        switch ((int)a[0]) {
        case SIG_BLOCK: blocked |= given; break;
        case SIG_UNBLOCK: blocked &= ~given; break;
        case SIG_SETMASK: blocked = given; break;
        default: return -EINVAL;
        }
    }
    if (a[2] != 0)
        *(uint64_t *)a[2] = old;
    act_on_pending();
    return 0;
}

int64_t call_rt_sigpending(const uint64_t *a) {
    if (a[1] > sizeof pending)
        return -EINVAL;
    memcpy((void *)a[0], &pending, a[1]);
    return 0;
}

int64_t call_rt_sigtimedwait(const uint64_t *a) {
    uint64_t found = pending & *(const uint64_t *)a[0];
    if (a[3] != sizeof pending || a[2] != 0 && !time_is_good((const void *)a[2]))
        return -EINVAL;
    if (found == 0 && a[2] == 0)
        panic("deadlock: the only thread waits for a signal");
    if (found == 0) {
        sleep_until(deadline_of(1, 0, (const void *)a[2]));
        return -EAGAIN;
    }
    uint64_t signal = 1 + (uint64_t)__builtin_ctzll(found);
    pending &= ~BIT(signal);
    if (a[1] != 0)
        *(siginfo_t *)a[1] = (siginfo_t){.si_signo = (int)signal, .si_code = SI_TKILL};
    return (int64_t)signal;
}

int64_t call_sigaltstack(const uint64_t *a) {
    struct alternate old = alternate;
    if (a[0] != 0) {
        struct alternate given = *(const struct alternate *)a[0];
        if (given.flags & ~(SS_DISABLE | SS_ONSTACK))
            return -EINVAL;
        if (!(given.flags & SS_DISABLE) && given.bytes < MINSIGSTKSZ)
            return -ENOMEM;
        alternate = given;
    }
    if (a[1] != 0)
        *(struct alternate *)a[1] = old;
    return 0;
}

/* Nobody else is there to wake us: a wait ends by its time, or never, which would be the program's mistake. */
int64_t call_futex(const uint64_t *a) {
    uint64_t operation = a[1] & FUTEX_CMD_MASK;
    if (operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET)
        return 0;
    if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
        call_refuse(", with this operation");
    if (a[0] % sizeof(uint32_t) != 0 || a[3] != 0 && !time_is_good((const void *)a[3]))
        return -EINVAL;
    if (*(volatile uint32_t *)a[0] != (uint32_t)a[2])
        return -EAGAIN;
    if (a[3] == 0)
        panic("deadlock: the only thread waits for another one");
    sleep_until(deadline_of(a[1] & FUTEX_CLOCK_REALTIME ? 0 : 1, operation == FUTEX_WAIT_BITSET, (const void *)a[3]));
    return -ETIMEDOUT;
}
int64_t call_no_thread(const uint64_t *a) { (void)a; return -EAGAIN; }

int64_t call_sched_getaffinity(const uint64_t *a) {
    if ((uint32_t)a[0] > 1)
        return -ESRCH;
    if (a[1] < 8 || a[1] % 8 != 0)
        return -EINVAL;
    *(uint64_t *)a[2] = 1;
    return 8;
}

int64_t call_getrandom(const uint64_t *a) {
    if (a[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
        (a[2] & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    uint64_t count = least(a[1], 32 << 20);
    netapp_random((void *)a[0], count);
    return (int64_t)count;
}
