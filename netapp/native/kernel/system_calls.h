/* Between the files of system calls. A call gets its six arguments and returns a result or -errno, as Linux's do. */
#ifndef NETAPP_SYSTEM_CALLS_H
#define NETAPP_SYSTEM_CALLS_H
#include <errno.h>

#include "machine.h"

typedef int64_t system_call_function(const uint64_t *arguments);

/* Ends the machine: the program needs what the kernel does not have. `what`: which use of the call. */
void call_refuse(const char *what) __attribute__((noreturn));

/* calls_memory.c */
system_call_function call_brk, call_mmap, call_munmap, call_mremap, call_mprotect, call_madvise;
void calls_memory_start(void);

/* calls_files.c: three descriptors, which are the console, and an empty file system that cannot be written to */
system_call_function call_read, call_write, call_writev, call_open, call_openat, call_close, call_fstat, call_newfstatat,
    call_ioctl, call_fcntl, call_dup, call_getcwd, call_no_file, call_read_only, call_getdents,
    call_at_place, call_not_kept, call_no_socket, call_not_open, call_fchdir;

/* calls_process.c: one process, one thread, one user */
system_call_function call_exit, call_one, call_zero, call_kill, call_tgkill, call_arch_prctl, call_uname, call_sysinfo,
    call_prlimit64, call_getrlimit, call_getrusage, call_rt_sigaction, call_rt_sigprocmask, call_rt_sigpending, call_rt_sigtimedwait, call_sigaltstack,
    call_futex,
    call_sched_getaffinity, call_getrandom, call_no_thread,
    call_times, call_no_control, call_no_child, call_three_ids;

/* calls_time.c */
system_call_function call_clock_gettime, call_clock_getres, call_gettimeofday, call_time, call_nanosleep,
    call_clock_nanosleep;
int time_is_good(const void *timespec);
uint64_t deadline_of(int clock, int absolute, const void *timespec);
#endif
