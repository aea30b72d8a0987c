"""Chains: lists of views on slots that are one run of bytes, and the IOBuf that Python sees one view through.

Ownership: a Chain owns its views, a view owns one reference on its slot. A view is in at most one chain; `clone` and
`split` make new views, never copies. A chain given to `send`, `append_chain` or `transmit` is emptied: its views moved.
No view is made of no bytes: a device refuses such a descriptor.
The bytes under a view whose slot has other references do not change: only `prepend` and `reserve_tail` write, and only
where the slot has one reference or never lent those bytes.
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.iobuf.pool cimport (
    HEADER_BYTES, HEADER_CLASS, free_iobuf, iobuf_t, new_iobuf, pool_t, running_pool, slot_t,
    take_header
)

cdef enum:
    # What is not longer is sent as a copy: a reference to a short string costs more than its bytes.
    COPY_BREAK = 256
    # offload_t.flags
    CHECKSUM_PARTIAL = 1         # the checksum at csum_start + csum_offset holds the pseudo-header's sum: complete it
    CHECKSUM_VALID = 2           # received, and the device vouches for the transport checksum
    # offload_t.gso_type
    GSO_NONE = 0
    GSO_TCPV4 = 1
    GSO_UDP_L4 = 5

cdef struct offload_t:
    # struct virtio_net_hdr of VIRTIO 1.2, 5.1.6, in host byte order: the device completes checksum and segmentation.
    uint8_t flags
    uint8_t gso_type
    uint16_t header_length       # Ethernet + IP + transport
    uint16_t gso_size            # payload bytes of a segment
    uint16_t csum_start          # from the frame's first byte
    uint16_t csum_offset         # from csum_start


@final
cdef class Chain:
    cdef iobuf_t* head
    cdef iobuf_t* tail
    cdef readonly uint32_t count             # views
    cdef readonly uint64_t length            # bytes; len(chain)
    cdef offload_t offload                   # of a frame on its way from or to a device
    cdef slot_t* write_slot                  # where write() and reserve_tail() go on; one reference; NULL: none yet
    cdef uint8_t* write_next                 # its first byte never lent to a view

    # Machine interface. An argument out of range is the caller's bug; nothing is checked in a release build.
    cdef inline void append_view(self, iobuf_t* view) noexcept:
        view.next = NULL
        if self.tail != NULL:
            self.tail.next = view
        else:
            self.head = view
        self.tail = view
        self.count += 1
        self.length += view.length

    cdef inline void prepend_view(self, iobuf_t* view) noexcept:
        view.next = self.head
        self.head = view
        if self.tail == NULL:
            self.tail = view
        self.count += 1
        self.length += view.length

    cdef void advance(self, uint64_t length) noexcept          # drops bytes at the front, frees emptied views
    cdef void trim(self, uint64_t length) noexcept             # drops bytes at the end
    cdef uint8_t* prepend(self, uint32_t length, uint16_t place) noexcept   # room at the front; NULL: exhausted
    cdef uint8_t* reserve_tail(self, uint32_t length, uint16_t place) noexcept  # contiguous room at the end; NULL
    cdef bint append_copy(self, const uint8_t* data, uint64_t length, uint16_t place) noexcept
    cdef inline bint append_range(self, iobuf_t* view, uint64_t offset, uint64_t length) noexcept
    cdef void copy_out(self, uint64_t offset, uint8_t* to, uint64_t length) noexcept
    cdef inline void move_from(self, Chain other) noexcept:    # takes all of other's views, to the end
        if other.head == NULL:
            return
        if self.tail != NULL:
            self.tail.next = other.head
        else:
            self.head = other.head
        self.tail = other.tail
        self.count += other.count
        self.length += other.length
        other.head = NULL
        other.tail = NULL
        other.count = 0
        other.length = 0

    cdef inline void take_all(self, Chain other) noexcept:     # move_from(), into an empty chain
        self.head = other.head
        self.tail = other.tail
        self.count = other.count
        self.length = other.length
        other.head = NULL
        other.tail = NULL
        other.count = 0
        other.length = 0

    cdef inline void drop_views(self) noexcept:                # advance() over all bytes
        cdef iobuf_t* view = self.head
        cdef iobuf_t* after
        while view != NULL:
            after = view.next
            free_iobuf(view)
            view = after
        self.head = NULL
        self.tail = NULL
        self.count = 0
        self.length = 0

    cdef Chain take_front(self, uint64_t length)               # the first bytes, as a chain of their own
    cdef Chain compact(self, uint16_t place)                   # a copy in as few bytes of slots as classes allow
    cdef inline int write_from(self, const uint8_t* data, uint64_t length) except -1     # write()
    cdef int _write_on(self, const uint8_t* data, uint64_t length) except -1

    # For everyone. Raises ValueError for a length beyond the chain, MemoryError when the pool is exhausted. Those that
    # give True do it because None would cost a reference, on every request.
    cpdef object append(self, object data)           # a Chain is emptied into this one; bytes are wrapped and held
    cpdef bint append_clone(self, Chain other) except -1         # new views of other's bytes; other stays as it is
    cpdef bint write(self, bytes data) except -1     # copies into pool memory
    cpdef object write_copy(self, Chain other)       # copies other's bytes, likewise; other stays as it is
    cpdef Chain split(self, uint64_t length)         # the first bytes, as a chain of their own
    cpdef Chain clone(self)
    cpdef object discard(self, uint64_t length)      # drops bytes at the front
    cpdef object drop_tail(self, uint64_t length)
    cpdef bytes tobytes(self)
    cpdef bint ends_with(self, bytes data) except -1
    cpdef object clear(self)
    cpdef uint64_t pinned(self)                      # bytes of slots that this chain keeps alive, each view on its own
    cpdef Chain stored(self)                         # what to keep: itself, or a compact copy (design: 1.45)
    # The same for what is put together: the next `length` bytes written lie in one slot, of the class that fits, at
    # most a unit. False: the pool is exhausted, or only the reserve is left.
    cpdef bint reserve(self, uint64_t length) except -1

cdef inline void step_over(Chain chain, uint32_t length) noexcept:
    """advance(), fast where the first view is longer than `length`, as for a header."""
    cdef iobuf_t* head = chain.head
    if head.length > length:
        head.data += length
        head.length -= length
        chain.length -= length
    else:
        chain.advance(length)

cdef inline uint8_t* push_header(Chain chain, uint32_t length, uint16_t place):
    """prepend(), fast where the first view's slot is shared for sure, as that of queued data, or there is none."""
    cdef iobuf_t* view = take_header(running_pool(), place)
    if view == NULL:
        return NULL
    view.data = view.slot.memory + (HEADER_BYTES - length)
    view.length = length
    chain.prepend_view(view)
    return view.data

cdef inline uint8_t* extend_header(Chain chain, uint32_t length, uint16_t place) noexcept:
    """prepend(), fast where the first view was made by push_header() and has the room."""
    cdef iobuf_t* head = chain.head
    cdef slot_t* slot = head.slot
    if slot.references == 1 and slot.home == &slot.home.pool.classes[HEADER_CLASS] and head.data - slot.memory >= length:
        head.data -= length
        head.length += length
        chain.length += length
        return head.data
    return chain.prepend(length, place)

cdef Chain new_chain()
cdef Chain wrap(object data)                         # an immutable bytes-like, held until the last view goes


@final
cdef class IOBuf:
    """One view, for Python. Exports the buffer protocol: its slot is not reused while a memoryview of it lives."""
    cdef slot_t* slot
    cdef uint8_t* data
    cdef Py_ssize_t length
    cdef Py_ssize_t shape[1]

cdef inline bint in_small_pieces(Chain chain) noexcept:
    """Views of less than 1 KiB on the average, and not few: it pins more than it should."""
    return chain.count > 16 + (chain.length >> 10)
