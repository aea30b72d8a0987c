"""Devices and plain Python: a hand on the queue of any device, and a device that is written in Python.

Neither is on the packet path of an appliance: they serve tests, benches, prototypes and packet tools.
"""
from cython cimport final
from libc.stdint cimport uint64_t
from netapp.drivers.device cimport Device, FrameReceiver, Queue
from netapp.iobuf.chain cimport Chain


@final
cdef class RawPort(FrameReceiver):
    """Sends and receives raw frames on a queue that nobody else uses; received frames are copied out of their slots."""
    cdef readonly Queue queue
    cdef readonly list received              # of (bytes, Offload)
    cpdef bint send(self, object data, object offload=*) except -1   # one frame, bytes-like or Chain; False: ring full
    cpdef int poll(self, int budget=*) except -1
    cpdef list receive(self)                 # polls until nothing is left; the frames so far, and forgets them
    cpdef object flush(self)
    cpdef bint enable_interrupts(self) except -1
    cpdef object close(self)


@final
cdef class PythonQueue(Queue):
    """Calls an object's methods poll(budget), transmit(bytes, Offload), enable_interrupts(), all of which are optional.

    poll returns frames (bytes); transmit returns None or True, or False when its ring is full.
    """
    cdef object driver
    cdef uint64_t count[4]


@final
cdef class PythonDevice(Device):
    """A device of one queue whose driver is a Python object."""
