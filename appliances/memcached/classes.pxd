"""memcached's size classes, which its statistics and `me` speak of: memory here belongs to none."""
from libc.stdint cimport uint64_t

cdef uint64_t TABLED
cdef bytes _TABLE

cpdef int slab_class(uint64_t size) except -1
