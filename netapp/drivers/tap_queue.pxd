"""The queue of a tap device, whatever the calls by which frames go; and the one whose calls are readv and writev."""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t
from netapp.drivers.device cimport Device, Queue
from netapp.drivers.linux cimport iovec
from netapp.drivers.tap_frames cimport MOST_VIEWS, posted_t, tap_counters_t
from netapp.drivers.vnet cimport vnet_header_t


cdef class TapQueue(Queue):
    """The interrupt source is the file descriptor, whose readiness epoll tells by its level: what has come is told as soon
    as the loop looks, so nothing has to be read in vain before it sleeps."""
    cdef int file                            # owned; -1: closed
    cdef bint gone                           # the interface was removed
    cdef uint32_t longest                    # frame that may come, bytes
    cdef uint32_t header_bytes               # 12, or 0 without IFF_VNET_HDR
    cdef bint blocked                        # the kernel refused a frame since it had room
    cdef uint8_t* flat                       # a frame of too many views
    cdef tap_counters_t count
    # Called once when somebody removed the interface; None: poll() raises TapError.
    cdef object when_removed
    # `file` is the queue's from now on; with what the caller found out, before anything else is called.
    cdef int open(self, Device device, int file, uint32_t longest, uint32_t header_bytes) except -1
    cdef int close(self) except -1           # idempotent
    cdef int read(self, posted_t* posted, int budget) except -1    # hands frames up, a system call each; how many
    cdef int read_failed(self, int error) except -1


@final
cdef class TapRwQueue(TapQueue):
    """A system call a frame."""
    cdef posted_t posted
    cdef iovec pieces[MOST_VIEWS]            # of the frame being sent
    cdef vnet_header_t header                # its header, where it has no headroom


cdef int hand_up(TapQueue queue, posted_t* posted, uint32_t length) except -1  # the frame that was read
cdef bint refused(int error) noexcept                                          # EAGAIN and its like: later
