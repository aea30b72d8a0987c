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

cdef extern from *:
    """
    #include <errno.h>
    #include <net/if.h>
    #include <string.h>
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #include <unistd.h>

    static int netapp_interface_mtu(const char *name) {
        struct ifreq request = {0};
        int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;
        if (file < 0)
            return -errno;
        strncpy(request.ifr_name, name, IFNAMSIZ - 1);
        failed = ioctl(file, SIOCGIFMTU, &request) < 0 ? -errno : 0;
        close(file);
        return failed ? failed : request.ifr_mtu;
    }
    """
    int interface_mtu "netapp_interface_mtu"(const char* name) nogil     # -errno
