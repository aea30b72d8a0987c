"""A tap device of Linux, with the kernel's checksum and segmentation offloads."""
from cython cimport final
from netapp.drivers.device cimport Device
from netapp.drivers.tap_queue cimport TapQueue


@final
cdef class TapDevice(Device):
    """`when_removed`: called once when somebody removed the interface; None: poll() raises TapError."""
    cdef readonly TapQueue queue
    cdef readonly str io                     # "rw": by readv and writev, or "uring"
    cdef readonly str no_uring               # why it is "rw", where "auto" was asked for; None
    cdef readonly bint persistent            # the interface stays when the device is closed
    cdef int _choose(self, int file, str io) except -1
