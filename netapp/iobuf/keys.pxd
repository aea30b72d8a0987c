"""A table from byte strings to objects that is asked with bytes where they lie, in a received chain: no key is made
for a look-up. Open addressing, linear probing, deletion by shifting back."""
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
    cdef uint64_t secret[2]                  # a peer that chooses its keys cannot choose the bucket
    cdef inline key_entry_t* _seek(self, const uint8_t* key, uint64_t length, uint64_t hashed) noexcept   # its, or a free one
    cdef object find(self, const uint8_t* key, uint64_t length)                      # None: there is none
    cdef int _grow(self) except -1
    cpdef object get(self, bytes key)                # None: there is none
    cpdef object put(self, bytes key, object value)  # what was there before, or None
    cpdef object pop(self, bytes key)                # the same
    cpdef object clear(self)
