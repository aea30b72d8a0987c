"""The item store: an Ebb that sessions reach through a small interface. Times are seconds since the server began."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.keys cimport KeyTable

cdef uint64_t ITEM_BYTES, SMALL_BYTES, CHAIN_BYTES, VIEW_BYTES, SMALL, JOINED
cdef int EVICT_AT_ONCE
cdef bytes VALUE, END


cdef class Item:
    """A key with its value; never changed once it is in the store, but for its mark of use and its place in the ring.

    The reply to a `get` of it alone lies ready, from VALUE to END: small ones as bytes, which are cheaper to copy into a
    reply than to refer to; large ones as views, which are sent by reference.
    """
    cdef readonly bytes key
    cdef readonly bytes small                # None where `views` is used
    cdef readonly Chain views
    cdef readonly uint32_t header            # bytes of the reply before the data
    cdef readonly uint64_t flags
    cdef readonly int64_t expires            # 0: never
    cdef readonly int64_t stored             # when
    cdef readonly uint64_t unique            # of `cas`
    cdef readonly uint64_t size              # bytes that -m counts
    cdef readonly bint fetched
    cdef bint used                           # since it was last at the old end
    cdef Item older                          # the store's ring: eviction begins at the oldest
    cdef Item newer
    cpdef bytes value(self)                  # a copy


cdef class Store(Representative):
    cdef public int64_t now
    cdef readonly uint64_t limit             # of `used` and `reserved` together, bytes
    cdef readonly uint64_t used              # by items
    cdef readonly uint64_t reserved          # for values that are arriving
    cdef readonly KeyTable items             # for look-ups where a key lies; then ask alive()
    cdef list tails                          # by length, where flags are 0
    cdef Chain scratch                       # in which replies are put together; empty between calls
    cdef Chain ending                        # END, for the replies that are views
    cdef Item ring                           # its `newer` is the oldest item, its `older` the newest
    cdef uint64_t next_unique
    cdef int64_t flushed_at                  # items stored until then are gone, once it is past; 0: none
    cdef uint64_t flushed_unique             # as are items with a smaller `unique`
    cdef readonly uint64_t total_items
    cdef readonly uint64_t evictions
    cdef readonly uint64_t evicted_unfetched
    cdef readonly uint64_t expired_unfetched
    cdef readonly uint64_t reclaimed
    cdef readonly uint64_t get_expired
    cdef readonly uint64_t get_flushed
    # The item, which is marked as used. None: there is none, or it has expired.
    @cython.locals(item=Item)
    cpdef Item find(self, bytes key)
    cdef bint alive(self, Item item) except -1
    cdef inline bytes _tail(self, uint64_t flags, uint64_t length)
    # Puts an item there, in place of one with its key. `data`, the value with its \r\n, may be emptied. MemoryError: no
    # room.
    @cython.locals(item=Item, old=Item)
    cpdef Item put(self, bytes key, uint64_t flags, int64_t expires, Chain data)
    cpdef object remove(self, Item item)
    cpdef bint reserve(self, uint64_t size) except -1    # False: no room
    cpdef object release(self, uint64_t size)
    cpdef object flush(self, int64_t when)   # what was stored before is gone from then on
    cpdef object reset_counters(self)
    cpdef object may_be_replaced(self, object new)
    @cython.locals(before=Store)
    cpdef object take_over(self, object old)
    cpdef object replaced(self, object new)
    cpdef object destroy(self)
    @cython.locals(item=Item, whole=Chain, tail=bytes, length=uint64_t, pinned=uint64_t)
    cdef inline Item _made(self, bytes key, uint64_t flags, int64_t expires, Chain data)
    # What to keep of received data; evicts when slots run out. MemoryError: nothing is left to evict.
    cpdef Chain kept(self, Chain data)
    cdef int _make_way(self) except -1       # the same eviction
    cdef inline bint _gone(self, Item item) noexcept
    @cython.locals(oldest=Item, ring=Item, rounds=int)
    cdef bint _evict(self) except -1
    cdef inline bint _room(self, uint64_t size) except -1
    cdef inline int _unlink(self, Item item) except -1
