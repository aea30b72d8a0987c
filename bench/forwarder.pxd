"""The least that can be done with frames: each is sent back as it came. What is left is what a driver costs."""
from cython cimport final
from netapp.drivers.device cimport FrameReceiver, Queue
from netapp.iobuf.chain cimport Chain


@final
cdef class Forwarder(FrameReceiver):
    cdef Queue queue
    cdef readonly int refused                # frames that the queue had no room for
    cdef int measured_turn(self, int budget) except -1
    cpdef int turn(self, int budget, bint measured=*) except -1      # frames; polls, and flushes
