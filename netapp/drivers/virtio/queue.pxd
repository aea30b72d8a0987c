"""A pair of virtqueues of a network card (5.1.2): the way of frames. Section numbers are VIRTIO 1.2's.

Every buffer of the receive queue is with the device at all times: a frame is handed up only when another slot takes the
place of its own, and is dropped where the pool has none, so that the queue never runs dry. What the device says is
checked; a device that breaks the rules is used no more until `VirtioNet` has reset it, which flush() asks for: at a
turn's end nothing is under way.
"""
from cython cimport final
from libc.stdint cimport uint16_t, uint32_t
from netapp.drivers.virtio.buffers cimport batch_t, found_t
from netapp.drivers.virtio.sending cimport SendingQueue
from netapp.drivers.virtio.virtqueue cimport Virtqueue
from netapp.drivers.vnet cimport vnet_header_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t, pool_t

cdef struct agreed_t:
    # What was negotiated, of what the path of frames asks.
    bint mergeable
    bint checksums               # received frames may be marked
    uint32_t kinds               # gso_type of received frames: a bit each
    uint32_t buffer_slots        # of a receive buffer: one of 2 KiB, and of 4 KiB as many as it needs; at most 17


@final
cdef class VirtioQueue(SendingQueue):
    cdef Virtqueue receiving
    cdef bint filled                         # the device has the receive buffers
    cdef bint armed                          # interrupts are enabled
    cdef agreed_t agreed
    cdef batch_t batch
    cdef Chain frame                         # that is being handed up; its chain takes the next one. None: none yet
    cdef object source
    cdef bint acknowledges                   # its source's interrupts
    # With rings that no device has yet. Interrupts are as they were.
    cdef int begin(self, Virtqueue receiving, Virtqueue transmitting, agreed_t agreed) except -1
    # After the device was reset: views and slots are given back. keep: it was not, and may use them for ever.
    cdef int end(self, bint keep) except -1
    cdef bint fill(self) except -1           # False: the pool has not so many slots; it is tried again
    cdef int _poll_idle(self) except -1
    cdef int _look(self, pool_t* pool, int most) except -1
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

# Bytes of scratch memory that the receive queue needs.
cdef size_t receiving_scratch(uint16_t size, uint32_t buffer_slots) noexcept
