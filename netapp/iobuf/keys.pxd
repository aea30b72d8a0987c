"""A table from byte strings to objects that is asked with bytes where they lie, in a received chain: no key is made
for a look-up. Open addressing, linear probing, deletion by shifting back.

It grows, and becomes smaller, a little with each change: what was there before moves from the former array piece by
piece, so that no call is long. A place has 24 bytes; between a sixteenth and a half of them are taken: a key costs 48 to
96 bytes, up to 144 as it begins to grow, up to 384 after many were removed, and 480 as it begins to become smaller.
Where there is no memory to grow, crowd() makes it up to three quarters full."""
from cpython.object cimport PyObject
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "Python.h":
    const uint8_t* bytes_of "PyBytes_AS_STRING"(PyObject* held) noexcept     # with no reference taken meanwhile

cdef struct key_entry_t:
    PyObject* key                # bytes; one reference; NULL: free
    PyObject* value              # one reference
    uint32_t hash
    uint32_t length              # of the key


@final
cdef class KeyTable:
    """Owns keys and values. Not to be changed while it is iterated over."""
    cdef key_entry_t* entries
    cdef uint64_t mask
    cdef readonly uint64_t count
    cdef readonly uint64_t most              # keys that it takes before it doubles
    cdef readonly uint64_t memory            # bytes of its arrays, both while it moves
    cdef uint64_t secret[2]                  # a peer that chooses its keys cannot choose the bucket
    cdef key_entry_t* before                 # the former array, while some have not moved yet; else NULL
    cdef uint64_t before_mask
    cdef uint64_t moved                      # places of the former array that are empty for good
    cdef object find(self, const uint8_t* key, uint64_t length)                      # None: there is none
    cdef key_entry_t* _seek_before(self, const uint8_t* key, uint64_t length, uint64_t hashed) noexcept  # NULL: none
    cdef bint _resize(self, uint64_t places) noexcept        # False: no memory, and nothing has changed
    cdef void _move(self, uint64_t places) noexcept
    cpdef object get(self, bytes key)                # None: there is none
    cpdef object put(self, bytes key, object value)  # what was there before, or None
    cpdef object pop(self, bytes key)                # the same
    cpdef object crowd(self)                         # it takes another key before it doubles, up to three quarters
    cpdef object clear(self)
