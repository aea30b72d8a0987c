"""The queue of a tap device that goes through io_uring: one call a turn for what was sent and what has come."""
from cython cimport final
from libc.stdint cimport int32_t, uint32_t, uint64_t
from netapp.drivers.linux cimport iovec
from netapp.drivers.tap_frames cimport MOST_VIEWS, posted_t
from netapp.drivers.tap_queue cimport TapQueue
from netapp.drivers.uring cimport io_uring
from netapp.drivers.vnet cimport vnet_header_t
from netapp.iobuf.pool cimport iobuf_t

cdef enum:
    MOST_READS = 64
    MOST_WRITES = 192
    RING_ENTRIES = 256           # one for each of them
    MOST_PIECES = 2048           # of all frames that wait; at least one of MOST_VIEWS

cdef struct write_t:
    # A frame that waits for flush(), or for the kernel to have room.
    iobuf_t* views               # owned; NULL: its bytes are in `flat`
    iovec* pieces                # in the queue's
    uint32_t pieces_count
    uint64_t length
    vnet_header_t header         # where it has no headroom


@final
cdef class TapUringQueue(TapQueue):
    """transmit() keeps the frame, and flush() hands the kernel all that was kept, together with reads: as many as a turn
    brought frames lately, for a read in vain costs as much as one with a frame. Where they are few, a system call a
    frame costs less. None waits in the kernel: whatever was
    submitted has completed when the call returns, so slots and views are ours again, the order of frames is that of
    transmit(), and there is nothing to drain. What was read waits here for poll().

    Reads end at once where nothing has come (RWF_NOWAIT). They are not made while interrupts are enabled: a frame that
    was fetched before epoll looked would wake nobody.
    """
    cdef io_uring ring
    cdef bint opened                         # the ring is
    cdef bint armed                          # interrupts are enabled
    cdef uint32_t wanted                     # reads to submit next
    cdef uint32_t most                       # of them: bounds the slots that wait
    cdef uint32_t reads                      # results that poll() has not looked at yet: [next_read, reads)
    cdef uint32_t next_read
    cdef uint32_t found                      # frames among those it has
    cdef int32_t results[MOST_READS]
    cdef posted_t posted[MOST_READS]
    cdef uint32_t writes                     # frames that wait
    cdef uint32_t pieces_used
    cdef bint flat_used
    cdef write_t waiting[MOST_WRITES]
    cdef iovec pieces[MOST_PIECES]
    cdef int setup(self, int file) except -1             # before open(); 0, or why there is no io_uring: errno
    cdef int _read(self, int budget) except -1           # one by one; how many
    cdef uint32_t _post(self) except? 0xffffffff
    cdef int _submit(self, uint32_t reads) except -1
    cdef int _written(self, write_t* write, int32_t result) noexcept
    cdef int _write(self) except -1                      # one by one
    cdef int _looked(self) noexcept
