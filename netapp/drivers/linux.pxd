"""System calls of the tap driver."""

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len
    ssize_t readv(int file, const iovec* pieces, int count)
    ssize_t writev(int file, const iovec* pieces, int count)

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    const short POLLIN
    const short POLLOUT
    int poll(pollfd* entries, unsigned long count, int timeout)

cdef extern from "<errno.h>" nogil:
    const int EBADFD
