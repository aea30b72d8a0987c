"""A table of objects by their keys, byte strings. It is asked with bytes where they lie, in a received chain, and the
objects have their keys wherever they like: no key is made for a look-up, nor kept for the table. Open addressing, linear
probing, deletion by shifting back.

It grows, and becomes smaller, a little with each change: what was there before moves from the former array piece by
piece, so that no call is long. A place has 16 bytes, so that it is
in one cache line; between a sixteenth and a half of them are taken: a key costs 32 to 64 bytes, up to 96 as it begins to
grow, up to 256 after many were removed, and 320 as it begins to become smaller.
Where there is no memory to grow, crowd() makes it up to three quarters full."""
from cpython.object cimport PyObject
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef struct key_entry_t:
    PyObject* value              # a Keyed; one reference; NULL: free
    uint32_t hash
    uint32_t length              # of its key


cdef class Keyed:
    """What a table holds. The key lies in memory of the object's, and does not change while the object is in a table."""
    cdef const uint8_t* key_start            # NULL: it has none
    cdef uint32_t key_length


cdef class Named(Keyed):
    """What has its key as an object, for Python."""
    cdef readonly bytes key


@final
cdef class KeyTable:
    """Owns its values. Not to be changed while it is iterated over."""
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
    cdef object take_out(self, const uint8_t* key, uint64_t length)                  # the same; it is in no more
    cdef key_entry_t* _seek_before(self, const uint8_t* key, uint64_t length, uint64_t hashed) noexcept  # NULL: none
    cdef bint _resize(self, uint64_t places) noexcept        # False: no memory, and nothing has changed
    cdef void _move(self, uint64_t places) noexcept
    cpdef object get(self, bytes key)                # None: there is none
    cpdef object put(self, Keyed value)              # what had its key before, or None
    cpdef object pop(self, bytes key)                # what had it, or None
    cpdef object remove(self, Keyed value)           # the same for its key
    cpdef object crowd(self)                         # it takes another key before it doubles, up to three quarters
    cpdef object clear(self)
