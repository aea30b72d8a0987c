"""Items in a table, and in the rings of a segmented LRU as memcached's, within a limit of bytes."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from appliances.memcached.item cimport Item, Ring
from netapp.ebb.core cimport Representative
from netapp.iobuf.keys cimport KeyTable

cdef int SECOND_CHANCES, BALANCED


cdef class Memory(Representative):
    cdef public int64_t now                  # seconds since the server began
    cdef public uint64_t limit               # of `used` and `reserved` together, bytes
    cdef public bint evicts                  # False: what does not fit is refused
    cdef readonly uint64_t used              # by items
    cdef readonly uint64_t reserved          # for values that are arriving
    cdef readonly KeyTable items             # for look-ups where a key lies; then ask fetch()
    cdef readonly Ring hot                   # what is new
    cdef readonly Ring warm                  # what is used more than once
    cdef readonly Ring cold                  # from which items are evicted
    cdef public uint64_t hot_percent         # of `used`, at most
    cdef public uint64_t warm_percent
    cdef Item mark                           # in a ring, where crawl() goes on; None: it begins with the first ring
    cdef int64_t flushed_at                  # items stored until then are gone, once it is past; 0: none
    cdef uint64_t flushed_unique             # as are items with a smaller `unique`
    cdef readonly Item last                  # what came last, while it is there
    cdef readonly dict counts                # of rarer events, by name
    cdef readonly uint64_t evictions
    @cython.final
    cdef inline int _mark(self, Item item) except -1
    cdef bint _dead(self, Item item) except -1
    cdef bint fetch(self, Item item) except -1               # it is used; False: it had expired, and is removed
    cpdef object use(self, Item item)
    @cython.locals(item=Item)
    cpdef Item find(self, bytes key)         # not used by that; None: there is none
    @cython.final
    @cython.locals(newest=Item)
    cdef inline int _link(self, Item item, Ring ring) except -1  # as the newest
    @cython.final
    @cython.locals(ring=Ring)
    cdef inline int _unlink(self, Item item) except -1
    cdef int enter(self, Item item) except -1                # as the newest
    cdef int leave(self, Item item) except -1                # but the table
    cpdef object remove(self, Item item)
    cpdef bint reserve(self, uint64_t size) except -1        # False: no room
    cpdef object release(self, uint64_t size)
    # Looks at the next `most` items, the oldest first, and removes what has expired. False: it is through with all.
    @cython.locals(item=Item, ring=Ring)
    cpdef bint crawl(self, int most) except -1
    cpdef object count(self, str name)
    cdef bint flushed(self, Item item) noexcept
    @cython.final
    cdef inline bint gone(self, Item item) noexcept
    @cython.locals(oldest=Item)
    cdef bint evict(self) except -1          # False: there is nothing left
    cdef bint room(self, uint64_t size) except -1
    @cython.final
    @cython.locals(item=Item, steps=int)
    cdef inline int _balance(self) except -1
    @cython.locals(ring=Ring)
    cdef int _move(self, Item item, Ring to) except -1
