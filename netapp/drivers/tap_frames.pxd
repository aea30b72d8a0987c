"""Frames as a tap's kernel side takes and gives them: pieces of memory, with a struct virtio_net_hdr (`vnet`) before the
first one. So what the host's kernel sends us is like what a virtio device receives.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.drivers.linux cimport iovec
from netapp.drivers.vnet cimport vnet_header_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport slot_t

cdef enum:
    MOST_VIEWS = 1024            # of a gathered write: IOV_MAX
    MOST_SLOTS = 17              # one of 2 KiB and sixteen of 4 KiB: a frame of 65,562 bytes

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
    uint64_t submits             # calls of io_uring; of a queue that uses it

cdef struct posted_t:
    # Slots for a frame to come, owned, and where in them the kernel puts it: slots that lie side by side are one piece.
    slot_t* slots[MOST_SLOTS]    # the first `missing` are NULL
    iovec pieces[MOST_SLOTS]
    uint32_t count               # slots
    uint32_t missing
    uint32_t pieces_count
    uint32_t header_bytes        # 12, or 0 without IFF_VNET_HDR

cdef void prepare(posted_t* posted, uint32_t longest, uint32_t header_bytes) noexcept  # `longest`: frame, bytes
# Takes the slots that are missing; False: the pool is exhausted.
cdef bint post(posted_t* posted)
# The frame that was read into them, whose slots are the chain's now. None: dropped and counted.
cdef Chain frame_of(posted_t* posted, uint32_t length, tap_counters_t* count)
cdef void give_back(posted_t* posted) noexcept

# The frame, of less than MOST_VIEWS views, as pieces; how many. Its header goes right before it where that room is
# the frame's alone, otherwise to `header`, which lives as long as `pieces` are used.
cdef uint32_t gather(Chain frame, iovec* pieces, vnet_header_t* header, uint32_t header_bytes) noexcept
# A frame of more views, as one piece: a copy in `flat`. False: longer than any frame.
cdef bint flatten(Chain frame, uint8_t* flat, uint32_t header_bytes)
