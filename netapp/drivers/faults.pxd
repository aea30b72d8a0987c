"""Faults: a device around another that loses, duplicates, reorders, corrupts and delays frames, both ways.

What happens depends on the seed and the frames of that direction alone. A corrupted frame is a copy with one bit
flipped whose checksum was completed before and which nobody vouches for any more, so that the receiver must notice; a
frame that is still to be segmented on the way out is lost instead. Reordered frames are overtaken by one to three
others, or go after 10 ms. Held and delayed frames are bounded: beyond, a received frame is dropped and counted, and
transmit() refuses.
"""
from cpython.ref cimport PyObject
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t
from netapp.drivers.device cimport QueueWrapper, DeviceWrapper
from netapp.event.timer cimport timer_entry_t
from netapp.iobuf.chain cimport Chain

cdef enum:
    HELD = 8                     # frames that wait to be overtaken
    DELAYED = 1024               # frames on their way

cdef struct lane_counters_t:
    uint64_t frames
    uint64_t dropped
    uint64_t duplicated
    uint64_t reordered
    uint64_t corrupted
    uint64_t delayed
    uint64_t overflow            # no place to hold or copy the frame
    uint64_t refused             # copies and late frames that the device's ring did not take

cdef struct held_t:
    PyObject* frame              # Chain, owned
    uint32_t overtaken           # by so many more, then it goes

cdef struct late_t:
    PyObject* frame              # Chain, owned
    uint64_t deadline

cdef struct fault_counters_t:
    lane_counters_t rx
    lane_counters_t tx


@final
cdef class Lane:
    """One direction of a queue."""
    cdef FaultQueue queue
    cdef FaultDevice faults
    cdef lane_counters_t* count
    cdef bint outbound
    cdef uint64_t random_state
    cdef held_t held[HELD]
    cdef uint32_t held_count
    cdef late_t late[DELAYED]
    cdef uint64_t late_first
    cdef uint64_t late_end
    cdef timer_entry_t held_timer
    cdef timer_entry_t late_timer
    cdef uint64_t _random(self) noexcept
    cdef bint _chance(self, double probability) noexcept
    cdef bint accept(self, Chain frame) except -1        # False: the ring is full, frame unchanged
    cdef Chain _corrupted(self, Chain frame)
    cdef bint _hold(self, Chain frame) except -1
    cdef int _overtake(self) except -1
    cdef bint _forward(self, Chain frame) except -1      # after its delay; False: no place, frame unchanged
    cdef bint _deliver(self, Chain frame) except -1
    cdef int _release(self, uint32_t index) except -1
    cdef int clear(self) except -1


@final
cdef class FaultQueue(QueueWrapper):
    cdef Lane rx
    cdef Lane tx
    cdef fault_counters_t count


@final
cdef class FaultDevice(DeviceWrapper):
    cdef readonly double drop
    cdef readonly double duplicate
    cdef readonly double reorder
    cdef readonly double corrupt
    cdef readonly uint64_t delay             # ns
    cdef readonly uint64_t seed
