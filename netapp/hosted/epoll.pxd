"""Linux's calls behind EpollInterrupts, and others that sleep in epoll. They return -errno instead of setting it: it
would not survive taking the GIL."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <stdint.h>
    #include <sys/epoll.h>
    #include <sys/syscall.h>
    #include <sys/timerfd.h>
    #include <time.h>
    #include <unistd.h>

    #ifndef SYS_epoll_pwait2                 /* Linux 5.11; the same number on every architecture */
    #define SYS_epoll_pwait2 441
    #endif

    static inline int netapp_epoll_pwait2(int epoll, struct epoll_event* events, int size, int64_t timeout) {
        struct timespec time = {timeout / 1000000000, timeout % 1000000000};
        int count = syscall(SYS_epoll_pwait2, epoll, events, size, timeout < 0 ? NULL : &time, NULL, 0);
        return count < 0 ? -errno : count;
    }
    static inline int netapp_epoll_wait(int epoll, struct epoll_event* events, int size, int milliseconds) {
        int count = epoll_wait(epoll, events, size, milliseconds);
        return count < 0 ? -errno : count;
    }
    static inline int netapp_epoll_add(int epoll, int descriptor, uint64_t name, uint32_t events) {
        struct epoll_event event = {.events = events, .data = {.u64 = name}};
        return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
    }
    static inline int netapp_epoll_remove(int epoll, int descriptor) {
        return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL) < 0 ? -errno : 0;
    }
    static inline int netapp_timer_arm(int timer, uint64_t deadline) {
        struct itimerspec time = {.it_value = {deadline / 1000000000, deadline % 1000000000}};
        return timerfd_settime(timer, TFD_TIMER_ABSTIME, &time, NULL) < 0 ? -errno : 0;
    }
    """
    ctypedef union epoll_data_t:
        uint64_t u64
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    const int EPOLL_CLOEXEC, O_CLOEXEC, O_NONBLOCK, CLOCK_MONOTONIC, TFD_NONBLOCK, TFD_CLOEXEC, ENOSYS, EINTR
    const uint32_t EPOLLIN, EPOLLET
    int epoll_create1(int flags) noexcept nogil
    int timerfd_create(int clock, int flags) noexcept nogil
    int pipe2(int* ends, int flags) noexcept nogil
    # `timeout` in ns, -1: for ever
    int epoll_pwait2 "netapp_epoll_pwait2"(int epoll, epoll_event* events, int size, int64_t timeout) noexcept nogil
    int epoll_wait "netapp_epoll_wait"(int epoll, epoll_event* events, int size, int milliseconds) noexcept nogil
    int epoll_add "netapp_epoll_add"(int epoll, int descriptor, uint64_t name, uint32_t events) noexcept nogil
    int epoll_remove "netapp_epoll_remove"(int epoll, int descriptor) noexcept nogil
    int timer_arm "netapp_timer_arm"(int timer, uint64_t deadline) noexcept nogil    # not 0
