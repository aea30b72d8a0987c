"""A pair of virtqueues of a network card (5.1.2): the way of frames. Section numbers are VIRTIO 1.2's.

Every buffer of the receive queue is with the device at all times: a frame is handed up only when another slot takes the
place of its own, and is dropped where the pool has none, so that the queue never runs dry. What the device says is
checked; a device that breaks the rules is used no more until `VirtioNet` has reset it, which flush() asks for: at a
turn's end nothing is under way.
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.device cimport Queue
from netapp.drivers.virtio.virtqueue cimport Virtqueue, piece_t, virtqueue_t
from netapp.drivers.vnet cimport vnet_header_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t, pool_t, slot_class_t

cdef enum:
    # Of a receive buffer in one slot: a header that lies right before the frame, and the rest of the slot.
    BUFFER_BYTES = 1932
    # A receive buffer of many slots has one of 2 KiB and of 4 KiB as many as it needs; at most, of 65,562 bytes.
    MOST_SLOTS = 17
    TABLE_ENTRIES = 20           # of the indirect table of a frame to transmit
    TABLE_BYTES = 320
    MOST_FOUND = 64              # used buffers that one poll looks at
    MOST_KEPT = 64               # views with slots of their own that wait for a place in the receive queue

cdef struct virtio_counters_t:
    uint64_t tx_frames
    uint64_t tx_bytes
    uint64_t tx_full             # refused: the ring has no room
    uint64_t tx_link_down        # dropped: no link, or no device that works
    uint64_t tx_flattened        # copied: more views than the ring has descriptors
    uint64_t tx_no_slots         # dropped: no memory for such a copy
    uint64_t rx_frames
    uint64_t rx_bytes
    uint64_t rx_no_slots         # dropped: the pool is exhausted
    uint64_t rx_no_receiver
    uint64_t rx_malformed        # dropped: offload fields that do not fit the frame, or were not agreed on
    uint64_t notifications       # of the device
    uint64_t violations          # the device broke the rules

cdef struct agreed_t:
    # What was negotiated, of what the path of frames asks.
    bint mergeable
    bint checksums               # received frames may be marked
    uint32_t kinds               # gso_type of received frames: a bit each
    uint32_t buffer_slots        # slots of a receive buffer

cdef struct found_t:
    # A receive buffer that came back. Where it is of one slot, another is in its place.
    iobuf_t* view                # owned, the first of many; NULL: the device has it again, for there was no other
    uint32_t length              # as the device says, and checked
    uint16_t id
    uint16_t buffers             # num_buffers of its header, where view is NULL


@final
cdef class VirtioQueue(Queue):
    cdef Virtqueue receiving
    cdef Virtqueue transmitting
    cdef bint works                          # the rings are the device's and ours
    cdef bint sends                          # and there is a link
    cdef bint filled                         # the device has the receive buffers
    cdef bint link_up
    cdef bint armed                          # interrupts are enabled
    cdef bint blocked                        # transmit() said False since there was room
    cdef str broken                          # what the device did; flush() has it reset
    cdef agreed_t agreed
    cdef found_t found[MOST_FOUND]           # [found_next, found_end): frames to hand up
    cdef found_t* found_next
    cdef found_t* found_end
    cdef uint32_t look                       # number of the last, never 0
    cdef iobuf_t* kept                       # views for the receive queue, taken from frames that came and went
    cdef uint32_t kept_count
    cdef slot_class_t* frame_class           # of their slots
    cdef uint8_t* headers                    # [size], 16 bytes apart, of frames without room for theirs
    cdef uint8_t* tables                     # [size] indirect tables of frames to transmit
    cdef piece_t* pieces                     # [size] of the frame to transmit
    cdef Chain frame                         # that is being handed up; its chain takes the next one. None: none yet
    cdef object source
    cdef bint acknowledges                   # its source's interrupts
    cdef virtio_counters_t count
    # With rings that no device has yet. Interrupts are as they were.
    cdef int begin(self, Virtqueue receiving, Virtqueue transmitting, agreed_t agreed) except -1
    # After the device was reset: views and slots are given back. keep: it was not, and may use them for ever.
    cdef int end(self, bint keep) except -1
    cdef bint fill(self) except -1           # False: the pool has not so many slots
    cdef int set_link(self, bint up) except -1
    cdef int _poll_idle(self) except -1
    cdef int _look(self, pool_t* pool, int most) except -1
    # The view for its place, its own one if there is no other.
    cdef iobuf_t* _replace_one(self, pool_t* pool, found_t* found) noexcept
    cdef bint _look_split(self, pool_t* pool, virtqueue_t* queue, int count) noexcept
    cdef bint _look_packed(self, pool_t* pool, virtqueue_t* queue, int most) noexcept
    cdef iobuf_t* _take_view(self, pool_t* pool, uint32_t slot_class) noexcept
    cdef iobuf_t* _take_views(self, pool_t* pool, uint32_t count) noexcept
    cdef void _offer_large(self, uint16_t id, iobuf_t* views) noexcept
    cdef void _give_back_buffers(self) noexcept
    cdef void _give_back_found(self) noexcept
    cdef found_t* _next_found(self, pool_t* pool) except? NULL
    cdef int _drop(self, pool_t* pool, uint16_t buffers) except -1
    cdef Chain _empty_frame(self)
    cdef bint _merge(self, pool_t* pool, found_t* first, uint16_t buffers) except -1
    cdef bint _take_large(self, pool_t* pool, found_t* found) except -1
    cdef bint _take_offload(self, vnet_header_t* header) noexcept
    cdef int _reap(self) except -1
    cdef bint _reap_split(self, virtqueue_t* queue, int count) noexcept
    cdef int _reap_packed(self, virtqueue_t* queue) noexcept
    cdef bint _transmit_on(self, Chain frame) except -1
    cdef void _offer_table(self, vnet_header_t* header, iobuf_t* view, uint32_t count) noexcept
    cdef void _offer_chain(self, vnet_header_t* header, iobuf_t* view, uint32_t count) noexcept
    cdef bint _flatten(self, Chain frame) except -1
    cdef int _breaks(self, str what) except -1

# Bytes of scratch memory that the two need.
cdef size_t receiving_scratch(uint16_t size, uint32_t buffer_slots) noexcept
cdef size_t transmitting_scratch(uint16_t size, bint indirect) noexcept
