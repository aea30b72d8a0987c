"""A wire in memory: two ends, each a device of one queue. What one end transmits and flushes arrives at the other.

The ends may belong to different cores of one process: a frame's views stay in the sender's ring until the sender reaps
them, and the receiving end copies the bytes into slots of its own core's pool, as a device's DMA would.
"""
from cpython.ref cimport PyObject
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.drivers.device cimport Device, FrameReceiver, Queue
from netapp.iobuf.chain cimport Chain

cdef struct memory_counters_t:
    uint64_t tx_frames
    uint64_t tx_bytes
    uint64_t tx_full             # refused: no place in the ring
    uint64_t tx_oversized        # dropped: longer than the MTU allows
    uint64_t tx_malformed        # dropped: offload fields that do not fit the frame
    uint64_t tx_link_down        # dropped: an end is closed
    uint64_t rx_frames
    uint64_t rx_bytes
    uint64_t rx_segments         # frames that the wire cut from larger ones
    uint64_t rx_no_slots         # dropped: the pool is exhausted
    uint64_t rx_no_receiver      # dropped: nobody takes frames here
    uint64_t interrupts


cdef class Collector(FrameReceiver):
    """Of MemoryEnd.receive()."""
    cdef list frames


@final
cdef class MemoryQueue(Queue):
    cdef MemoryQueue peer
    cdef PyObject** ring                     # [capacity] Chains, owned; frames to transmit move into them
    cdef uint8_t* eager                      # [capacity] give the views back when they are consumed
    cdef uint32_t capacity                   # a power of two
    cdef uint32_t mask                       # capacity - 1
    # Frames so far. reaped <= consumed <= published <= filled <= reaped + capacity
    cdef uint64_t filled                     # put into the ring
    cdef uint64_t published                  # visible to the peer
    cdef uint64_t consumed                   # copied by the peer
    cdef uint64_t reaped                     # given back
    cdef uint64_t segment_offset             # payload bytes of the peer's foremost frame that were cut into segments
    cdef bint interrupts_enabled
    cdef bint blocked                        # transmit() said False since the last poll
    cdef bint closed
    cdef Chain frame                         # that is being handed up; its chain takes the next one. None: none yet
    cdef bint ready                          # within a poll: so does the slot of the last one's only view
    cdef memory_counters_t count
    # Called with interrupt_source() when frames arrived, or room in a ring that was full, and interrupts are enabled.
    cdef public object notify
    cdef void _reap(self) noexcept
    cdef bint _well_formed(self, Chain frame) noexcept
    cdef Chain _segment(self, Chain source)
    cdef int _raise(self) except -1
    cdef void _free_ring(self) noexcept
    cdef int _close(self) except -1


@final
cdef class MemoryEnd(Device):
    cdef readonly MemoryQueue queue
    # For tests, benches and tools, on an end that no node polls.
    cpdef bint send(self, object data, object offload=*) except -1   # one frame, bytes-like or Chain; False: ring full
    cpdef list receive(self)                 # the frames that arrived, as bytes
    cpdef list receive_offloaded(self)       # the same as (bytes, Offload)


@final
cdef class MemoryWire:
    cdef readonly MemoryEnd a
    cdef readonly MemoryEnd b
    cpdef object close(self)
