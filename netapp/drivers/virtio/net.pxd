"""The network card (5.1) behind a virtio transport; section numbers are VIRTIO 1.2's."""
from cython cimport final
from libc.stdint cimport uint16_t, uint64_t
from netapp.drivers.device cimport Device
from netapp.drivers.virtio.queue cimport agreed_t
from netapp.drivers.virtio.virtqueue cimport Virtqueue
from netapp.event.timer cimport Timer


@final
cdef class VirtioNet(Device):
    """A queue for each core. A device that breaks the rules, or asks for it, is reset and set up again, a few times a
    minute; when it comes more often, or fails, the device stays off: what is transmitted is dropped and counted, and
    nothing comes. All of that is logged."""
    cdef readonly object transport
    cdef readonly uint64_t negotiated        # feature bits
    cdef readonly bint link_up
    cdef readonly bint works                 # False: closed, or given up
    cdef readonly uint64_t resets            # since it was first set up
    cdef object interrupts
    cdef object sources
    cdef Virtqueue control                   # None: there is none
    cdef uint16_t size                       # descriptors of a queue, at most
    cdef bytes own_mac                       # for a device that has none
    cdef list recent                         # when the last resets were
    cdef Timer filling                       # None: no queue waits for slots
    cdef bint starved                        # and that was told
    cdef bint closed
    cdef agreed_t agreed
    cdef int _end(self, bint keep) except -1
