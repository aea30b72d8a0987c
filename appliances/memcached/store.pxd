"""The item store: an Ebb that sessions reach through a small interface. Times are seconds since the server began."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from appliances.memcached.item cimport Item, Maker
from appliances.memcached.memory cimport Memory
from netapp.iobuf.chain cimport Chain

cdef int SET, ADD, CAS, APPEND, STORED, NOT_STORED, EXISTS, NOT_FOUND, NO_MEMORY
cdef uint64_t JOINED, CHUNKED


cdef class Store(Memory):
    cdef readonly Maker maker
    cdef readonly uint64_t max_item          # bytes of memcached's item
    cdef readonly uint64_t largest           # the same without what is beside key, flags and value
    cdef readonly bint numbers               # each value gets a `unique`; else it is 0
    cdef readonly uint64_t number            # what delta() made
    cdef uint64_t next_unique
    cdef readonly uint64_t total_items
    cpdef bint fits(self, bytes key, uint32_t flags, uint64_t length)
    # One of the results above. `unique` of what is to be replaced, 0: any, but for CAS. `data`, the value with its
    # \r\n, may be emptied. `stale`: with CAS, an older `unique` stores a value that counts as stale.
    @cython.locals(old=Item, item=Item, won=bint)
    cpdef int store(self, int mode, bytes key, uint32_t flags, int64_t expires, uint64_t unique, bint stale,
                    Chain data) except -1
    @cython.locals(joined=Chain)
    cdef Chain _joined(self, int mode, Item old, Chain data)
    # Adds to the number that the value says: STORED, and `number`, or another result. Where there is none `initial`
    # is stored, unless it is None: CREATED, or NOT_STORED if there is no room.
    @cython.locals(old=Item, item=Item)
    cpdef int delta(self, bytes key, bint up, uint64_t by, uint64_t unique, object initial, int64_t expires) except -1
    # The item, used, with a new time to expire; None: there is none.
    @cython.locals(item=Item)
    cpdef Item touch(self, bytes key, int64_t expires)
    # STORED: it was there, and is gone. `unique` as above.
    @cython.locals(item=Item)
    cpdef int delete(self, bytes key, uint64_t unique) except -1
    # Puts an item there, in place of one with its key. MemoryError: no room.
    @cython.locals(item=Item, old=Item)
    cpdef Item put(self, bytes key, uint32_t flags, int64_t expires, Chain data)
    # Counts that a value was not taken; with SET an older one goes, which the client believes replaced.
    cpdef object refuse(self, str why, int mode, bytes key)
    cpdef object number_again(self, Item item)               # gives it a new `unique`
    cpdef object flush(self, int64_t when)   # what was stored before is gone from then on
    cpdef object reset_counters(self)
    @cython.locals(before=Store)
    cpdef object take_over(self, object old)
    cpdef object destroy(self)
