"""Capture: a device around another that records every frame both ways in a pcapng file (draft-ietf-opsawg-pcapng).

Frames are appended to a buffer, which is written when it is half full at the end of a turn, when the loop is about to
sleep, and on close. A frame whose checksum the device completes is recorded as it is handed over: incomplete.
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.drivers.device cimport Device, DeviceWrapper, QueueWrapper
from netapp.event.contracts cimport WallClock
from netapp.iobuf.chain cimport Chain

cdef enum:
    DIRECTION_INBOUND = 1        # epb_flags, 4.3.1
    DIRECTION_OUTBOUND = 2

cdef struct capture_counters_t:
    uint64_t capture_frames
    uint64_t capture_lost        # recorded in the buffer, but could not be written
    uint64_t capture_writes


@final
cdef class CaptureQueue(QueueWrapper):
    cdef CaptureDevice capture
    cdef uint8_t* buffer
    cdef uint32_t used
    cdef uint32_t buffered                   # frames in it
    cdef capture_counters_t count
    cdef int _record(self, Chain frame, uint32_t direction) except -1
    cdef int _write(self) except -1


@final
cdef class CaptureDevice(DeviceWrapper):
    cdef readonly str path
    cdef WallClock clock
    cdef int file
