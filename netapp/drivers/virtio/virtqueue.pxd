"""The driver's side of a virtqueue, split (2.7) or packed (2.8); section numbers are VIRTIO 1.2's.

A buffer is known by its id: of a split queue its first descriptor, of a packed one the Buffer ID. What the device writes,
rings and indices, is read once, and checked before it is used; what the driver has to know again it keeps for itself in
`buffer_t`. After take_used() said -1 the ring is not to be used until the device has been reset.
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.access cimport acquire16, bus_address, full_fence, index_add, index_sub, load16, load32, release16
from netapp.drivers.registers cimport Registers
from netapp.iobuf.pool cimport iobuf_t

cdef enum:
    # Flags of a descriptor (2.7.5, 2.8.1, 2.8.3, 2.8.6, 2.8.7).
    NEXT = 1
    WRITE = 2
    INDIRECT = 4
    AVAILABLE = 0x80
    USED = 0x8000
    USED_OR_NOT = 0x8080         # both
    NO_ID = 0xffff
    # Kinds of queues: with IN_ORDER, split or packed, there is more to do for each buffer.
    SPLIT = 0
    PACKED = 1
    ORDERED = 2
    # RING_EVENT_FLAGS of a packed queue (2.8.10).
    EVENTS_ENABLE = 0
    EVENTS_DISABLE = 1
    EVENTS_DESCRIPTOR = 2

cdef struct split_descriptor_t:
    uint64_t address
    uint32_t length
    uint16_t flags
    uint16_t next

cdef struct packed_descriptor_t:
    uint64_t address
    uint32_t length
    uint16_t id
    uint16_t flags

cdef struct available_t:         # 2.7.6
    uint16_t flags
    uint16_t index
    uint16_t ring[1]             # [size], and used_event behind it

cdef struct used_element_t:      # 2.7.8
    uint32_t id
    uint32_t length

cdef struct used_ring_t:
    uint16_t flags
    uint16_t index
    used_element_t ring[1]       # [size], and avail_event behind it

cdef struct event_t:             # 2.8.14
    uint16_t place               # offset in the ring; its top bit is the wrap counter
    uint16_t flags

cdef struct buffer_t:
    # Of a buffer, by its id.
    void* held                   # what it is made of; NULL: the device has no such buffer
    uint16_t next                # of a free one the next that is free, NO_ID after the last; within a chain the next
    uint16_t last                # its last descriptor; of a packed queue, and of a free buffer, the id
    uint16_t more                # descriptors of the ring that it takes beyond one; of a free one 0
    uint16_t sequence            # with IN_ORDER: the number of buffers made available before it

cdef struct piece_t:
    uint64_t address
    uint32_t length

cdef struct used_t:
    void* held
    uint16_t id
    uint32_t length              # bytes written, as the device says
    bint whole                   # skipped by a device with IN_ORDER: used completely (2.7.9, 2.8.8); no length

cdef struct virtqueue_t:
    uint32_t size                # descriptors: a power of two
    uint32_t mask
    uint32_t kind
    bint event_index
    bint indirect
    split_descriptor_t* descriptors      # split; else NULL
    available_t* available
    used_ring_t* used
    uint16_t* used_event                 # ours, for the device
    uint16_t* available_event            # the device's, for us
    packed_descriptor_t* packed          # packed; else NULL
    packed_descriptor_t* packed_end
    event_t* driver_event
    event_t* device_event
    buffer_t* buffers                    # [size]
    uint16_t* order                      # [size] ids in the order in which they were made available; with IN_ORDER
    # Free ids are a list, first in, first out: a device that returns buffers in order is given descriptors in order.
    uint16_t first                       # NO_ID: none is free
    uint16_t last
    uint16_t free                        # descriptors of the ring
    uint16_t added                       # split, or with IN_ORDER: buffers made available so far
    uint16_t published                   # split: of these, what the device may see, and was notified of where it wants
    uint16_t fresh                       # packed: descriptors made available since it was last notified
    uint16_t taken                       # split, or with IN_ORDER: buffers taken back so far
    uint16_t seen                        # split: used.index, as it was read last
    packed_descriptor_t* next_available  # packed: where in the ring, and the flags of a descriptor there
    uint16_t available_flags
    packed_descriptor_t* next_used
    uint16_t used_flags
    uint16_t batch                       # with IN_ORDER: buffers to take until and with the one that was named
    uint16_t event                       # split: what used_event says
    used_t named                         # the last of the batch


@final
cdef class Virtqueue:
    """Owns the rings' memory; nothing in it may be the device's any more when it goes."""
    cdef virtqueue_t ring
    cdef readonly uint16_t size
    cdef uint8_t* memory
    cdef size_t memory_bytes
    cdef uint8_t* scratch                    # zeroed memory of the driver's own that the device reaches
    cdef bint wanted                         # used buffers are to be told of
    cdef Registers registers                 # where to notify
    cdef uint64_t offset
    cdef uint32_t value
    cdef bint wide
    cdef int notifies_at(self, Registers registers, uint64_t offset, uint32_t value, uint32_t width) except -1
    cdef tuple areas(self)                   # bus addresses of descriptor, driver and device area (2.6)
    cdef void keep(self) noexcept            # its memory stays for ever: the device may still use it
    cdef int kick(self) except -1            # 1: the device was notified of what is fresh
    cdef void want_used(self) noexcept       # to be told of the next used buffer; a full fence, and a look, come after
    cdef void spare_used(self) noexcept
    cdef bint used_waits(self) noexcept

# `length` bytes of `scratch`. Raises MemoryError.
cdef Virtqueue make_virtqueue(uint16_t size, uint64_t features, size_t scratch_bytes)
# A buffer of some descriptors of the ring, of which the first `readable` are the device's to read. The ring has room.
cdef void offer_pieces(
    virtqueue_t* queue, void* held, piece_t* pieces, uint16_t count, uint16_t readable
) noexcept
cdef int take_of_batch(virtqueue_t* queue, used_t* used) noexcept
cdef void release_chain(virtqueue_t* queue, uint16_t id) noexcept

cdef inline void remember_order(virtqueue_t* queue, uint16_t id) noexcept:
    """With IN_ORDER, before the buffer is made available."""
    queue.buffers[id].sequence = queue.added
    queue.order[queue.added & queue.mask] = id
    if queue.packed != NULL:
        queue.added = index_add(queue.added, 1)

cdef inline uint16_t take_id(virtqueue_t* queue) noexcept:
    """For a buffer of one descriptor; `free` is not 0."""
    cdef uint16_t id = queue.first
    queue.first = queue.buffers[id].next
    queue.free -= 1
    return id

cdef inline void offer_split(
    virtqueue_t* queue, uint16_t id, uint64_t address, uint32_t length, uint16_t flags
) noexcept:
    """2.7.13.1, 2.7.13.2"""
    cdef split_descriptor_t* split = queue.descriptors
    split[id].address = address
    split[id].length = length
    # And `next`, which means nothing here.
    (<uint32_t*>&split[id].flags)[0] = flags
    queue.available.ring[queue.added & queue.mask] = id
    queue.added = index_add(queue.added, 1)

cdef inline void offer_packed(
    virtqueue_t* queue, uint16_t id, uint64_t address, uint32_t length, uint16_t flags
) noexcept:
    cdef packed_descriptor_t* packed = queue.next_available
    packed.address = address
    packed.length = length
    packed.id = id
    # 2.8.21.1: the flags last.
    release16(&packed.flags, flags | queue.available_flags)
    packed += 1
    if packed == queue.packed_end:
        packed = queue.packed
        queue.available_flags ^= USED_OR_NOT
    queue.next_available = packed
    queue.fresh = index_add(queue.fresh, 1)

cdef inline void step_over_used(virtqueue_t* queue, uint32_t count) noexcept:
    """Of a packed queue: as many descriptors."""
    queue.next_used += count
    if queue.next_used >= queue.packed_end:
        queue.next_used -= queue.size
        queue.used_flags ^= USED_OR_NOT

cdef inline void offer(
    virtqueue_t* queue, uint16_t id, void* held, uint64_t address, uint32_t length, uint16_t flags
) noexcept:
    """Makes a buffer of one descriptor available. Its id comes from take_id(), or it was taken back and not released."""
    cdef buffer_t* buffer = &queue.buffers[id]
    buffer.held = held
    if queue.kind == SPLIT:
        offer_split(queue, id, address, length, flags)
        return
    if queue.kind != PACKED:
        remember_order(queue, id)
        if queue.packed == NULL:
            offer_split(queue, id, address, length, flags)
            return
    offer_packed(queue, id, address, length, flags)

cdef inline int take_used(virtqueue_t* queue, used_t* used) noexcept:
    """1: a buffer that the device is done with. 0: there is none. -1: the device breaks the rules."""
    cdef used_element_t* element
    cdef packed_descriptor_t* packed
    cdef buffer_t* buffer
    cdef uint32_t id
    cdef uint32_t length
    cdef uint16_t flags
    if queue.batch:
        return take_of_batch(queue, used)
    if queue.packed == NULL:
        if queue.taken == queue.seen:
            queue.seen = acquire16(&queue.used.index)
            if queue.taken == queue.seen:
                return 0
            # No more than it was given.
            if index_sub(queue.seen, queue.taken) > index_sub(queue.published, queue.taken):
                return -1
        element = &queue.used.ring[queue.taken & queue.mask]
        id = load32(<uint64_t>&element.id)
        length = load32(<uint64_t>&element.length)
    else:
        # 2.8.22
        packed = queue.next_used
        flags = acquire16(&packed.flags)
        if flags & USED_OR_NOT != queue.used_flags:
            return 0
        id = load16(<uint64_t>&packed.id)
        # 2.8.4 would have it reserved without WRITE, which QEMU sets in no used descriptor.
        length = load32(<uint64_t>&packed.length)
    if id >= queue.size:
        return -1
    buffer = &queue.buffers[id]
    if buffer.held == NULL:
        return -1
    if queue.kind == ORDERED and buffer.sequence != queue.taken:
        queue.named.id = <uint16_t>id
        queue.named.length = length
        queue.named.whole = False
        return take_of_batch(queue, used)
    used.held = buffer.held
    buffer.held = NULL
    queue.taken = index_add(queue.taken, 1)
    if queue.packed != NULL:
        step_over_used(queue, <uint32_t>buffer.more + 1)
    used.id = <uint16_t>id
    used.length = length
    used.whole = False
    return 1

cdef inline void release(virtqueue_t* queue, uint16_t id) noexcept:
    """The buffer's id and descriptors are free again; it was taken back."""
    if queue.first == NO_ID:
        queue.first = id
    else:
        queue.buffers[queue.last].next = id
    if queue.buffers[id].more:
        release_chain(queue, id)
        return
    queue.buffers[id].next = NO_ID
    queue.last = id
    queue.free += 1

cdef inline void end_release(virtqueue_t* queue, uint16_t first, buffer_t* end, uint32_t count) noexcept:
    """Of a batch of buffers, which were linked behind each other, from `first`, with those that were free before.
    `count`: of their descriptors."""
    if count:
        end.next = NO_ID
        queue.first = first
        queue.last = <uint16_t>(end - queue.buffers)
        queue.free += <uint16_t>count

cdef inline void put_entry(
    virtqueue_t* queue, uint8_t* table, uint32_t i, const void* address, uint32_t length, uint16_t flags
) noexcept:
    """Of an indirect table: the next one is linked in a split queue only (2.7.5.3, 2.8.7)."""
    cdef split_descriptor_t* split
    cdef packed_descriptor_t* packed
    if queue.packed == NULL:
        split = <split_descriptor_t*>table + i
        split.address = bus_address(address)
        split.length = length
        split.flags = flags
        split.next = <uint16_t>(i + 1) if flags & NEXT else 0
    else:
        packed = <packed_descriptor_t*>table + i
        packed.address = bus_address(address)
        packed.length = length
        packed.id = 0
        packed.flags = flags & <uint16_t>~NEXT

cdef inline int used_by_now(virtqueue_t* queue) noexcept:
    """Of a split queue without IN_ORDER: how many elements of the used ring are to be looked at; -1: more than buffers
    that the device has."""
    queue.seen = acquire16(&queue.used.index)
    if index_sub(queue.seen, queue.taken) > index_sub(queue.published, queue.taken):
        return -1
    return index_sub(queue.seen, queue.taken)
