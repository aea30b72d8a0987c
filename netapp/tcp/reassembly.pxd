"""Out-of-order data of one connection, kept by reference as ranges of the receive sequence space."""
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain

cdef enum:
    RANGES = 32                  # holes at most; a peer with more of them retransmits

cdef struct range_t:
    uint32_t start               # sequence number of the first byte
    uint32_t end                 # and after the last
    PyObject* data               # the Chain; one reference


cdef class Reassembly:
    """Owns the chains. Ranges are disjoint, not adjacent, and in order."""
    cdef range_t ranges[RANGES]
    cdef readonly int count
    cdef readonly uint64_t length            # bytes kept
    cdef bint insert(self, uint32_t start, Chain data)       # takes data over; False: no range is left, data dropped
    cdef bint extend(self, uint32_t start, Chain data)       # a copy behind the range that ends there; False: not done
    cdef Chain pop(self, uint32_t start)                     # the data at `start`, without what lies before; None
    cdef void _drop(self, int index, int number) noexcept
