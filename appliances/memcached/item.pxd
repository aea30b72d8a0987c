"""What the store keeps of a key, and how it is laid out."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from appliances.memcached.classes cimport slab_class
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.record cimport Record, append_record

cdef uint64_t ITEM_BYTES, CHAIN_BYTES, SLOT_BYTES, VIEW_BYTES, UNIT_SHIFT, JOINED
cdef bytes VALUE, CRLF, END


cdef class Item(Record):
    """A key with its value, which does not change once it is in the store: a new value is a new item.

    Its text is the reply to a `get` of it alone, from VALUE to END; a large value lies behind the first line as it
    came. Times are seconds on the store's clock. What each request looks at comes first, in as few cache lines as that
    takes.
    """
    cdef public int64_t expires              # 0: never
    cdef Tally tally                         # None, as `older` and `newer`, where the item is not in the store
    # Marks, a byte each
    cdef public uint8_t fetched
    cdef public uint8_t active               # fetched again since it came to its ring
    cdef public uint8_t binary               # its key came in base64
    cdef public uint8_t stale
    cdef public uint8_t won                  # a client was told to renew it
    cdef readonly uint8_t slab_class         # memcached's
    cdef readonly uint16_t header            # bytes of the reply before the data
    cdef readonly uint32_t flags
    cdef readonly uint32_t counted           # bytes that memcached's item would take
    cdef public int64_t time                 # when it was stored, or used after its first use
    cdef public uint64_t unique              # of `cas`
    cdef readonly uint64_t size              # bytes that -m counts, apart from its place in the table
    cdef Item older
    cdef Item newer
    cpdef uint64_t length(self)              # of the value
    cpdef bytes value(self)                  # a copy
    cpdef Chain data(self, bint ended)       # the value, with or without its \r\n; of large ones no byte is copied
    cpdef object write_to(self, Chain reply, bint ended)     # the same to the end of a reply
    cpdef object write_line(self, Chain reply, bint unique)  # what `get` or `gets` say of it, but END


cdef class Ring(Item):
    """A segment of the LRU: its `newer` is the oldest item, its `older` the newest; its `size` is that of all."""
    cdef readonly list tallies               # by size class
    cpdef Item oldest(self)                  # None: it is empty


@cython.final
cdef class Tally:
    """What is counted of a size class in a ring."""
    cdef readonly Ring ring
    cdef public uint64_t count               # of items
    cdef public uint64_t counted             # Item.counted of all
    cdef public uint64_t hits
    cdef public uint64_t sets                # in hot: of items that would have this class
    cdef public uint64_t left                # items that moved to another ring
    cdef public uint64_t stayed              # that went from its old end to its new one
    cdef public uint64_t evicted
    cdef public uint64_t evicted_unfetched
    cdef public uint64_t evicted_active
    cdef public uint64_t evicted_nonzero     # that would have expired
    cdef public uint64_t evicted_time        # seconds that the last one was not used
    cpdef object reset(self)


cdef class Maker:
    cdef uint64_t beside
    cdef list tails                          # ends of the reply's first line, by length, where flags are 0
    cdef Chain ending                        # END, for large values
    cdef readonly Chain line_end             # for values that come without
    cdef inline bytes _tail(self, uint32_t flags, uint64_t length)
    # An item; `data`, the value with its \r\n, may be emptied. None: the pool has no slot for it.
    @cython.locals(item=Item, rest=Chain, tail=bytes, length=uint64_t, pinned=uint64_t, counted=uint64_t)
    cdef Item make(self, bytes key, uint32_t flags, int64_t expires, Chain data)
    cdef object clear(self)
