from libc.stdint cimport uint64_t
from netapp.event.manager cimport EventManager


cdef class SlicedEvents(EventManager):
    cdef public uint64_t slice
    cpdef bint goes_on(self, uint64_t spent) except -1
