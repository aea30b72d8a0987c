"""The queue of a VLAN: puts the tag into what is transmitted. What is received comes to the device's own interface,
which takes the tag out and hands it to the VLAN's."""
from cython cimport final
from libc.stdint cimport uint16_t
from netapp.drivers.device cimport Queue, QueueWrapper


@final
cdef class TaggingQueue(QueueWrapper):
    cdef uint16_t identifier

cdef TaggingQueue make_tagging_queue(Queue inner, uint16_t identifier)
