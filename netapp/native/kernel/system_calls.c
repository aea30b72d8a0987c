/* Which system calls there are. The C library and CPython were asked for these; any other ends the machine and says so,
 * rather than fail in a way that nobody sees. */
#include <asm/unistd.h>

#include "system_calls.h"

#define CALLS 512

static const char *const names[CALLS] = {
#define NAME(call) [__NR_##call] = #call,
#include "names.h"
#undef NAME
};

/* What a library tries out, and does without where it fails: there are no threads' helpers, sockets, or events here. */
static int64_t call_not_here(const uint64_t *a) {
    (void)a;
    return -ENOSYS;
}

static int64_t call_not_permitted(const uint64_t *a) {
    (void)a;
    return -EPERM;
}

static int64_t call_no_family(const uint64_t *a) {
    (void)a;
    return -EAFNOSUPPORT;
}

static system_call_function *const table[CALLS] = {
    [__NR_brk] = call_brk, [__NR_mmap] = call_mmap, [__NR_munmap] = call_munmap, [__NR_mremap] = call_mremap,
    [__NR_mprotect] = call_mprotect, [__NR_madvise] = call_madvise,

    [__NR_read] = call_read, [__NR_write] = call_write, [__NR_writev] = call_writev, [__NR_open] = call_open,
    [__NR_openat] = call_openat, [__NR_close] = call_close, [__NR_fstat] = call_fstat,
    [__NR_newfstatat] = call_newfstatat, [__NR_lseek] = call_at_place, [__NR_ioctl] = call_ioctl,
    [__NR_fcntl] = call_fcntl, [__NR_dup] = call_dup, [__NR_dup2] = call_dup, [__NR_dup3] = call_dup,
    [__NR_getcwd] = call_getcwd, [__NR_getdents64] = call_getdents,
    [__NR_readv] = call_read, [__NR_pread64] = call_at_place, [__NR_pwrite64] = call_at_place,
    [__NR_preadv] = call_at_place, [__NR_pwritev] = call_at_place, [__NR_fsync] = call_not_kept,
    [__NR_fdatasync] = call_not_kept, [__NR_ftruncate] = call_not_kept, [__NR_fchdir] = call_fchdir,
    [__NR_stat] = call_no_file, [__NR_lstat] = call_no_file, [__NR_access] = call_no_file,
    [__NR_readlink] = call_no_file, [__NR_chdir] = call_no_file, [__NR_statfs] = call_no_file,
    [__NR_faccessat] = call_no_file, [__NR_faccessat2] = call_no_file, [__NR_readlinkat] = call_no_file,
    [__NR_statx] = call_no_file,
    [__NR_mkdir] = call_read_only, [__NR_rmdir] = call_read_only, [__NR_unlink] = call_read_only,
    [__NR_rename] = call_read_only, [__NR_symlink] = call_read_only, [__NR_link] = call_read_only,
    [__NR_truncate] = call_read_only, [__NR_chmod] = call_read_only, [__NR_creat] = call_read_only,
    [__NR_chown] = call_read_only, [__NR_lchown] = call_read_only, [__NR_mknod] = call_read_only,
    [__NR_mkdirat] = call_read_only, [__NR_mknodat] = call_read_only, [__NR_fchownat] = call_read_only,
    [__NR_unlinkat] = call_read_only, [__NR_renameat] = call_read_only, [__NR_renameat2] = call_read_only,
    [__NR_linkat] = call_read_only, [__NR_symlinkat] = call_read_only, [__NR_fchmodat] = call_read_only,
    [__NR_utimensat] = call_read_only,

    [__NR_exit] = call_exit, [__NR_exit_group] = call_exit, [__NR_kill] = call_kill, [__NR_tkill] = call_kill,
    [__NR_tgkill] = call_tgkill, [__NR_getpid] = call_one, [__NR_gettid] = call_one, [__NR_set_tid_address] = call_one,
    [__NR_getppid] = call_zero, [__NR_getuid] = call_zero, [__NR_geteuid] = call_zero, [__NR_getgid] = call_zero,
    [__NR_getegid] = call_zero, [__NR_sched_yield] = call_zero,
    [__NR_getpgrp] = call_one, [__NR_getpgid] = call_one, [__NR_getsid] = call_one, [__NR_getgroups] = call_zero,
    [__NR_getresuid] = call_three_ids, [__NR_getresgid] = call_three_ids, [__NR_sched_getscheduler] = call_zero,
    [__NR_wait4] = call_no_child, [__NR_waitid] = call_no_child, [__NR_set_robust_list] = call_zero,
    [__NR_arch_prctl] = call_arch_prctl, [__NR_uname] = call_uname, [__NR_sysinfo] = call_sysinfo,
    [__NR_prlimit64] = call_prlimit64, [__NR_getrlimit] = call_getrlimit, [__NR_getrusage] = call_getrusage,
    [__NR_times] = call_times, [__NR_umask] = call_zero, [__NR_prctl] = call_no_control,
    [__NR_rt_sigaction] = call_rt_sigaction, [__NR_rt_sigprocmask] = call_rt_sigprocmask,
    [__NR_rt_sigpending] = call_rt_sigpending, [__NR_rt_sigtimedwait] = call_rt_sigtimedwait,
    [__NR_sigaltstack] = call_sigaltstack, [__NR_futex] = call_futex,
    [__NR_sched_getaffinity] = call_sched_getaffinity, [__NR_getrandom] = call_getrandom,
    [__NR_clone] = call_no_thread,

    [__NR_clock_gettime] = call_clock_gettime, [__NR_clock_getres] = call_clock_getres,
    [__NR_gettimeofday] = call_gettimeofday, [__NR_time] = call_time, [__NR_nanosleep] = call_nanosleep,
    [__NR_clock_nanosleep] = call_clock_nanosleep, [__NR_clock_settime] = call_not_permitted,
    [__NR_clock_adjtime] = call_not_permitted, [__NR_settimeofday] = call_not_permitted,
    [__NR_adjtimex] = call_not_permitted,

    [__NR_rseq] = call_not_here, [__NR_clone3] = call_not_here, [__NR_fork] = call_not_here,
    [__NR_vfork] = call_not_here, [__NR_execve] = call_not_here, [__NR_poll] = call_not_here,
    [__NR_epoll_create1] = call_not_here, [__NR_eventfd2] = call_not_here, [__NR_pipe2] = call_not_here,
    [__NR_pipe] = call_not_here, [__NR_select] = call_not_here, [__NR_epoll_create] = call_not_here,
    [__NR_epoll_wait] = call_not_here, [__NR_epoll_ctl] = call_not_here, [__NR_epoll_pwait] = call_not_here,
    [__NR_pselect6] = call_not_here, [__NR_ppoll] = call_not_here, [__NR_eventfd] = call_not_here,
    [__NR_memfd_create] = call_not_here, [__NR_pidfd_open] = call_not_here,
    [__NR_pidfd_send_signal] = call_not_open,
    [__NR_connect] = call_no_socket, [__NR_accept] = call_no_socket, [__NR_accept4] = call_no_socket,
    [__NR_bind] = call_no_socket, [__NR_listen] = call_no_socket, [__NR_shutdown] = call_no_socket,
    [__NR_sendto] = call_no_socket, [__NR_recvfrom] = call_no_socket, [__NR_sendmsg] = call_no_socket,
    [__NR_recvmsg] = call_no_socket, [__NR_getsockname] = call_no_socket, [__NR_getpeername] = call_no_socket,
    [__NR_getsockopt] = call_no_socket, [__NR_setsockopt] = call_no_socket,
    [__NR_socket] = call_no_family, [__NR_socketpair] = call_no_family,
};

static uint64_t current_number, current_from;
static const uint64_t *current_arguments;

void call_refuse(const char *what) {
    const char *name = current_number < CALLS ? names[current_number] : NULL;
    const uint64_t *a = current_arguments;
    print("\nnetapp: unknown system call: %s (number %lu)%s\n", name != NULL ? name : "?", current_number, what);
    print("  arguments 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx, called before 0x%lx\n", a[0], a[1], a[2], a[3], a[4], a[5],
          current_from);
    panic_traceback();
    netapp_power_off(NETAPP_UNKNOWN_CALL);
}

/* Called by entry.S. */
int64_t system_call(uint64_t number, const uint64_t *arguments, uint64_t from);
int64_t system_call(uint64_t number, const uint64_t *arguments, uint64_t from) {
    current_number = number;
    current_arguments = arguments;
    current_from = from;
    if (number >= CALLS || table[number] == NULL)
        call_refuse("");
    return table[number](arguments);
}

void system_calls_start(void) { calls_memory_start(); }
