"""Receive buffers that came back, and views that wait to be put in their places. Section numbers are VIRTIO 1.2's."""
from libc.stdint cimport UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.access cimport load16, unlikely
from netapp.drivers.vnet cimport VNET_BYTES, vnet_header_t
from netapp.iobuf.pool cimport (
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    REDZONE,
    free_iobuf,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    slot_class_t,
    slot_t,
    take_slot,
)

cdef enum:
    # Of a receive buffer in one slot: a header that lies right before the frame, and the rest of the slot.
    BUFFER_BYTES = 1932
    MOST_FOUND = 64              # used buffers that one poll looks at
    MOST_KEPT = 64

cdef struct found_t:
    # A receive buffer that came back. Where it is of one slot, another is in its place.
    iobuf_t* view                # owned, the first of many; NULL: the device has it again, for there was no other
    uint32_t length              # as the device says, and checked; 0 where view is NULL
    uint16_t id
    uint16_t buffers             # num_buffers of its header, where view is NULL

cdef struct batch_t:
    found_t found[MOST_FOUND]    # [next, end): frames to hand up
    found_t* next
    found_t* end
    uint32_t look                # number of the last, never 0

cdef struct kept_t:
    # Views with slots of their own for the receive queue, taken from frames that came and went.
    iobuf_t* first
    uint32_t count               # at most MOST_KEPT
    slot_class_t* frame_class    # of their slots; NULL: none is kept

cdef inline vnet_header_t* header_of(slot_t* slot) noexcept:
    """Of a received frame, right before it, where a transmitted one's would be."""
    return <vnet_header_t*>(slot.memory + HEADROOM - VNET_BYTES)

cdef inline iobuf_t* take_view(pool_t* pool, uint32_t slot_class) noexcept:
    """NULL: the pool is exhausted."""
    cdef slot_t* slot = take_slot(pool, slot_class, PLACE_DEVICE)
    cdef iobuf_t* view
    if slot == NULL:
        return NULL
    view = new_iobuf(slot, slot.memory, 0)
    if view == NULL:
        release_slot(slot)
    return view

cdef inline void free_views(iobuf_t* view) noexcept:
    cdef iobuf_t* after
    while view != NULL:
        after = view.next
        free_iobuf(view)
        view = after

cdef inline bint is_other(iobuf_t* view, slot_class_t* frame_class) noexcept:
    """Of a view that is not used any more: whether it is not one, alone, such as the receive queue needs."""
    cdef slot_t* slot = view.slot
    # Where slots are poisoned each goes back at once, so that a late look into one is seen.
    return (
        REDZONE != 0
        or unlikely(view.next != NULL)
        or unlikely(slot.references != 1)
        or unlikely(slot.home != frame_class)
        or unlikely(slot.place != PLACE_DEVICE)
    )

cdef inline bint keep(kept_t* kept, iobuf_t* view) noexcept:
    """False: it is not kept."""
    if kept.count >= MOST_KEPT or is_other(view, kept.frame_class):
        return False
    view.next = kept.first
    kept.first = view
    kept.count += 1
    return True

cdef inline iobuf_t* before(iobuf_t* views, iobuf_t* rest) noexcept:
    cdef iobuf_t* last = views
    while last.next != NULL:
        last = last.next
    last.next = rest
    return views

cdef inline void begin_look(batch_t* batch) noexcept:
    batch.look = batch.look + 1 if batch.look != UINT32_MAX else 1

cdef inline void end_look(batch_t* batch, found_t* found, kept_t* kept, iobuf_t* left) noexcept:
    """[batch.found, found) came back, and views were taken for their places, of which these are left."""
    batch.end = found
    kept.first = left
    if left == NULL:
        kept.count = 0
    else:
        kept.count -= <uint32_t>(found - <found_t*>batch.found)

cdef inline iobuf_t* own(found_t* found) noexcept:
    """The found view takes its own place again, as there is no other."""
    cdef iobuf_t* view = found.view
    found.view = NULL
    found.length = 0
    found.buffers = load16(<uint64_t>&header_of(view.slot).num_buffers)
    return view

cdef inline iobuf_t* replace_one(pool_t* pool, kept_t* kept, found_t* found) noexcept:
    """The view for its place, its own one if there is no other."""
    cdef iobuf_t* view = kept.first
    if view != NULL:
        kept.first = view.next
        kept.count -= 1
        return view
    view = take_view(pool, FRAME_CLASS)
    return own(found) if view == NULL else view
