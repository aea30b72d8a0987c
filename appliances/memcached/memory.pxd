"""Items in a table, and in the rings of a segmented LRU as memcached's, within a limit of bytes."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from appliances.memcached.classes cimport slab_class
from appliances.memcached.item cimport Item, Ring, Tally
from netapp.ebb.core cimport Representative
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.keys cimport KeyTable

cdef int SECOND_CHANCES, CAUGHT_UP, BALANCED, EVICT_AT_ONCE


cdef class Memory(Representative):
    cdef public int64_t now                  # seconds since the server began
    cdef public uint64_t limit               # of `used`, `reserved` and the table together, bytes
    cdef readonly uint64_t beside            # bytes of memcached's item beside key, flags and value
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
    cdef public int64_t flushed_at           # items stored until then are gone, once it is past; 0: none
    cdef uint64_t flushed_unique             # as are items with a smaller `unique`
    cdef readonly Item last                  # what came last, while it is there
    cdef readonly dict counts                # of rarer events, by name; what concerns an item, by its class, too:
    cdef readonly list counts_of_class       # dicts
    @cython.final
    cdef inline int _use(self, Item item) except -1
    cdef bint _dead(self, Item item) except -1
    cdef bint fetch(self, Item item) except -1               # it is used; False: it had expired, and is removed
    cpdef object hit(self, Item item)        # counts that it was read
    cpdef object use(self, Item item)        # by that, or when it was touched
    # Counts a value that a client wants to store, where the item that store() made does not stand for it.
    @cython.locals(tally=Tally)
    cdef int attempt(self, bytes key, uint32_t flags, uint64_t length) except -1
    @cython.locals(item=Item)
    cpdef Item find(self, bytes key)         # not used by that; None: there is none
    @cython.final
    @cython.locals(newest=Item, tally=Tally)
    cdef inline int _link(self, Item item, Ring ring) except -1  # as the newest
    @cython.final
    @cython.locals(tally=Tally)
    cdef inline int _unlink(self, Item item) except -1
    cdef int enter(self, Item item) except -1                # as the newest
    cdef int leave(self, Item item) except -1                # but the table
    cpdef object remove(self, Item item)
    cdef int _reclaim(self, Item item, str how) except -1
    cpdef object reserve(self, uint64_t size)                # MemoryError: no room
    cpdef object release(self, uint64_t size)
    # Looks at the next `most` items, the oldest first, and removes what has expired. False: it is through with all.
    @cython.locals(item=Item, ring=Ring)
    cpdef bint crawl(self, int most) except -1
    cpdef object count(self, str name, Item item=*)
    cdef bint flushed(self, Item item) noexcept
    @cython.final
    cdef inline bint gone(self, Item item) noexcept
    @cython.locals(oldest=Item, tally=Tally)
    cdef bint evict(self) except -1          # False: there is nothing left
    @cython.locals(used=uint64_t, steps=int)
    cdef bint room(self, uint64_t size) except -1
    # What to keep of received data; evicts when slots run out. MemoryError: nothing is left to evict.
    cpdef Chain kept(self, Chain data)
    cdef int make_way(self) except -1        # the same eviction
    cdef int before_growth(self) except -1
    @cython.final
    @cython.locals(item=Item, steps=int)
    cdef inline int _balance(self) except -1
    @cython.locals(tally=Tally)
    cdef int _move(self, Item item, Ring to) except -1
    @cython.locals(ring=Ring, tally=Tally)
    cpdef object reset_counters(self)
    cpdef object may_be_replaced(self, object new)
    @cython.locals(before=Memory)
    cpdef object take_over(self, object old)
    cpdef object replaced(self, object new)
    @cython.locals(ring=Ring)
    cpdef object destroy(self)
