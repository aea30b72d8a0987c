"""The sending half of a `VirtioQueue`. Section numbers are VIRTIO 1.2's.

A frame is the device's until that has used its buffer. The header lies right before the frame where that room is the
frame's own, and both are one descriptor then.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.device cimport Queue
from netapp.drivers.virtio.buffers cimport kept_t
from netapp.drivers.virtio.virtqueue cimport Virtqueue, piece_t
from netapp.drivers.vnet cimport vnet_header_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t

cdef enum:
    TABLE_ENTRIES = 20           # of the indirect table of a frame
    TABLE_BYTES = 320

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


cdef class SendingQueue(Queue):
    cdef Virtqueue transmitting
    cdef bint works                          # the rings are the device's and ours
    cdef bint sends                          # and there is a link
    cdef bint link_up
    cdef bint blocked                        # transmit() said False since there was room
    cdef str broken                          # what the device did; flush() has it reset
    cdef kept_t kept
    cdef uint8_t* headers                    # [size], 16 bytes apart, of frames without room for theirs
    cdef uint8_t* tables                     # [size] indirect tables
    cdef piece_t* pieces                     # [size] of the frame to transmit
    cdef virtio_counters_t count
    # With a ring that no device has yet.
    cdef int begin_sending(self, Virtqueue transmitting) except -1
    # After the device was reset: views are given back. keep: it was not, and may use them for ever.
    cdef int end_sending(self, bint keep) except -1
    cdef int set_link(self, bint up) except -1
    cdef int reap(self) except -1            # gives back what the device has sent
    cdef int breaks(self, str what) except -1    # the device did `what`; only the first counts
    cdef bint _transmit_on(self, Chain frame) except -1
    cdef void _offer_table(self, vnet_header_t* header, iobuf_t* view, uint32_t count) noexcept
    cdef void _offer_chain(self, vnet_header_t* header, iobuf_t* view, uint32_t count) noexcept
    cdef bint _flatten(self, Chain frame) except -1

# Bytes of scratch memory that it needs.
cdef size_t transmitting_scratch(uint16_t size, bint indirect) noexcept
