"""The kernel's sockets and clocks. What fails returns -errno: errno itself would not survive taking the GIL."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from posix.uio cimport iovec

cdef extern from *:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <time.h>
    #include <unistd.h>

    typedef struct { struct sockaddr_storage name; socklen_t length; } netapp_address;

    static inline int64_t netapp_send(int fd, const struct iovec* parts, int count) {
        ssize_t sent;
        if (count == 1)
            sent = send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        else {
            struct msghdr message = {.msg_iov = (struct iovec*)parts, .msg_iovlen = count};
            sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        return sent < 0 ? -errno : sent;
    }
    static inline int64_t netapp_receive(int fd, void* to, uint64_t size) {
        ssize_t got = recv(fd, to, size, MSG_DONTWAIT);
        return got < 0 ? -errno : got;
    }
    /* TCP's bytes are dropped where they lie, without a copy (tcp(7), MSG_TRUNC). */
    static inline int64_t netapp_drop(int fd, uint64_t size) {
        ssize_t got = recv(fd, NULL, size, MSG_DONTWAIT | MSG_TRUNC);
        return got < 0 ? -errno : got;
    }
    /* A datagram's first 8 bytes, and the rest; the length of all. */
    static inline int64_t netapp_receive_framed(int fd, void* head, void* to, uint64_t size) {
        struct iovec parts[2] = {{head, 8}, {to, size}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
        return got < 0 ? -errno : message.msg_flags & MSG_TRUNC ? -EMSGSIZE : got;
    }
    static inline int netapp_watch(int epoll, int fd, uint64_t name, uint32_t events, int change) {
        struct epoll_event event = {.events = events, .data = {.u64 = name}};
        return epoll_ctl(epoll, change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
    }
    /* A socket on its way to the address: connected when it becomes writable and netapp_failure says 0. */
    static inline int netapp_connect(const netapp_address* to) {
        int one = 1, error, fd = socket(to->name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return -errno;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (const struct sockaddr*)&to->name, to->length) < 0 && errno != EINPROGRESS) {
            error = errno;
            close(fd);
            return -error;
        }
        return fd;
    }
    static inline int netapp_failure(int fd) {
        int error = 0;
        socklen_t length = sizeof error;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
    }
    static inline uint64_t netapp_time_of(clockid_t clock) {
        struct timespec time;
        clock_gettime(clock, &time);
        return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    }
    static inline int netapp_peer(int fd, netapp_address* peer) {
        peer->length = sizeof peer->name;
        return getpeername(fd, (struct sockaddr*)&peer->name, &peer->length) < 0 ? -errno : 0;
    }
    """
    ctypedef struct address_t "netapp_address":
        pass
    const int EAGAIN, EINTR, ECONNREFUSED, EMSGSIZE
    const int CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID
    const uint32_t EPOLLIN, EPOLLOUT
    int close(int fd) noexcept nogil
    int64_t send "netapp_send"(int fd, const iovec* parts, int count) noexcept nogil
    int64_t receive "netapp_receive"(int fd, void* to, uint64_t size) noexcept nogil
    int64_t drop "netapp_drop"(int fd, uint64_t size) noexcept nogil
    int64_t receive_framed "netapp_receive_framed"(int fd, void* head, void* to, uint64_t size) noexcept nogil
    int watch "netapp_watch"(int epoll, int fd, uint64_t name, uint32_t events, bint change) noexcept nogil
    int connect "netapp_connect"(const address_t* to) noexcept nogil
    int failure "netapp_failure"(int fd) noexcept nogil
    int peer_of "netapp_peer"(int fd, address_t* peer) noexcept nogil
    uint64_t time_of "netapp_time_of"(int clock) noexcept nogil                 # ns
