"""Threadtest (the Hoard paper's, which EbbRT's uses as well): so many objects are taken, then given back in the same
order, again and again. An object is memory of which the first bytes are written."""
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    SLOT = 0                     # of the class that fits; at most a unit
    VIEW                         # one more on a slot that is in use: what sending a stored value takes
    CHAIN                        # a chain with as many slots as the size takes, and a view on each
    MALLOC                       # of the process: glibc's, or that of a library loaded before it


cdef class Threadtest:
    cdef void** objects
    cdef readonly uint32_t count
    # An instruction counter is switched by the name of this.
    cdef int measured(self, int kind, uint32_t size, uint32_t iterations) except -1
    # ns of the thread's CPU time. With malloc other threads run meanwhile.
    cpdef uint64_t run(self, str kind, uint32_t size, uint32_t iterations) except? 0
