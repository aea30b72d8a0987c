"""A tap device of Linux: frames by readv and writev, with the kernel's checksum and segmentation offloads.

Each frame is preceded by a 12-byte struct virtio_net_hdr (VIRTIO 1.2, 5.1.6) in the byte order of the machine, so what
the host's kernel sends us is like what a virtio device receives. The interrupt source is the file descriptor.
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.device cimport Device, Queue
from netapp.drivers.linux cimport iovec
from netapp.iobuf.chain cimport Chain, offload_t
from netapp.iobuf.pool cimport slot_t

cdef enum:
    MOST_VIEWS = 1024            # of a gathered write: IOV_MAX
    MOST_POSTED = 17             # a slot of 2 KiB and sixteen of 4 KiB: a frame of 65,562 bytes

cdef packed struct vnet_header_t:
    uint8_t flags
    uint8_t gso_type
    uint16_t header_length
    uint16_t gso_size
    uint16_t csum_start
    uint16_t csum_offset
    uint16_t num_buffers

cdef struct tap_counters_t:
    uint64_t tx_frames
    uint64_t tx_bytes
    uint64_t tx_full             # refused: the kernel has no room now
    uint64_t tx_link_down        # dropped: the interface is not up
    uint64_t tx_errors           # dropped: the kernel refused the frame
    uint64_t tx_flattened        # copied: more views than a gathered write takes
    uint64_t rx_frames
    uint64_t rx_bytes
    uint64_t rx_no_slots         # dropped: the pool is exhausted
    uint64_t rx_no_receiver
    uint64_t rx_malformed        # dropped: offload fields that do not fit the frame
    uint64_t rx_errors


@final
cdef class TapQueue(Queue):
    cdef int file                            # -1: closed
    cdef bint gone                           # the interface was removed
    cdef uint32_t header_bytes               # 12, or 0 without IFF_VNET_HDR
    cdef vnet_header_t header                # of the frame being sent, where it has no headroom
    cdef slot_t* posted[MOST_POSTED]         # for the next frame, owned; NULL: to be taken
    cdef iovec receive[MOST_POSTED]
    cdef uint32_t posted_count
    cdef uint32_t to_post                    # the first so many of posted[] are NULL
    cdef iovec gather[MOST_VIEWS]
    cdef uint8_t* flat                       # a frame of too many views
    cdef bint blocked                        # transmit() said False since the kernel had room
    cdef tap_counters_t count
    cdef bint _post(self)
    cdef Chain _received(self, uint32_t length)
    cdef bint _offload(self, vnet_header_t* header, offload_t* offload, uint32_t length) noexcept
    cdef int _failed(self, int error) except -1
    cdef int _close(self) except -1


@final
cdef class TapDevice(Device):
    cdef readonly TapQueue queue
    cdef readonly bint persistent            # the interface stays when the device is closed
    # Called once when somebody removed the interface; None: poll() raises TapError.
    cdef public object when_removed
