"""What the tap driver uses of liburing (io_uring_setup(2) and io_uring_enter(2) say what the fields mean)."""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from netapp.drivers.linux cimport iovec

cdef extern from "<sys/uio.h>" nogil:
    const int RWF_NOWAIT

cdef extern from "<liburing.h>" nogil:
    struct io_uring:
        pass
    struct io_uring_sqe:
        uint8_t flags
        int rw_flags
        uint64_t user_data
    struct io_uring_cqe:
        uint64_t user_data
        int32_t res
    const uint32_t IOSQE_FIXED_FILE
    # They return -errno.
    int io_uring_queue_init(unsigned entries, io_uring* ring, unsigned flags)
    void io_uring_queue_exit(io_uring* ring)
    int io_uring_register_files(io_uring* ring, const int* files, unsigned count)
    int io_uring_unregister_files(io_uring* ring)
    io_uring_sqe* io_uring_get_sqe(io_uring* ring)
    void io_uring_prep_readv(io_uring_sqe* entry, int file, const iovec* pieces, unsigned count, uint64_t offset)
    void io_uring_prep_writev(io_uring_sqe* entry, int file, const iovec* pieces, unsigned count, uint64_t offset)
    void io_uring_prep_write(io_uring_sqe* entry, int file, const void* data, unsigned length, uint64_t offset)
    int io_uring_submit_and_wait(io_uring* ring, unsigned completions)
    int io_uring_peek_cqe(io_uring* ring, io_uring_cqe** entry)
    void io_uring_cqe_seen(io_uring* ring, io_uring_cqe* entry)
