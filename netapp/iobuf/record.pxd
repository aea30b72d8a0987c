"""A text that is sent as often as it is asked for by its key, which is a part of it.

What a request for it touches is few cache lines: the table's place, the object, its slot_t, and the text itself, in
which the key lies; there is no key, chain or view beside them.
"""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.keys cimport Keyed
from netapp.iobuf.pool cimport slot_t

cdef extern from *:
    """
    /* A hint: these two cache lines will be read soon. Any address is good. */
    static inline void netapp_prefetch_two(const uint8_t *at) { __builtin_prefetch(at); __builtin_prefetch(at + 64); }
    """
    void prefetch_two "netapp_prefetch_two"(const uint8_t* at) noexcept nogil


@cython.no_gc
cdef class Record(Keyed):
    """Owns one reference on a slot of its own, in which the text begins, and the views of its rest, if it has one. Does
    not change once it is laid out."""
    cdef uint32_t begun                      # bytes of the text in the slot
    cdef uint8_t* text                       # the slot's first byte
    cdef slot_t* slot                        # NULL: it is not laid out
    cdef public Chain rest                   # None: all of it lies in the slot
    # Copies the parts into the slot, one behind the other; `data` stays as it is. Together at most a unit. False: the
    # pool is exhausted, or only the reserve is left.
    cpdef bint lay_out(self, bytes before, bytes key, bytes behind, Chain data, bytes end) except -1
    cpdef uint64_t total(self)               # bytes of the text
    cpdef uint64_t pinned(self)              # bytes of slots that it keeps alive
    cpdef bytes first(self, uint64_t length)     # a copy of so many of the text's first bytes, which lie in the slot

# To the end of `reply` the text from `start` on, without the `behind` last bytes; copied where that is short.
cpdef bint append_record(Chain reply, Record record, uint64_t start, uint64_t behind) except -1
