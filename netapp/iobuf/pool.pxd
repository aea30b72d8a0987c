"""Pool memory. A slot is a fixed piece of it, reference-counted; an iobuf_t is a view on a slot.

Ownership: who holds an iobuf_t holds one reference on its slot; a slot goes back to its class's free list at once when
the last reference goes. Nothing here locks: a pool belongs to one core.
"""
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative, borrowed
from netapp.ebb.ids cimport BUFFER_POOL_ID

cdef extern from "netapp/iobuf/poison.h":
    const uint32_t REDZONE "NETAPP_REDZONE"
    void poison "netapp_poison"(const void* start, size_t length) noexcept nogil
    void unpoison "netapp_unpoison"(const void* start, size_t length) noexcept nogil

cdef enum:
    UNIT_BYTES = 4096            # the largest slot; smaller classes are carved from it
    FRAME_BYTES = 2048           # a received frame's slot
    HEADROOM = 128               # free bytes before the view of a frame's slot
    HEADER_BYTES = 128           # a slot for headers that could not be prepended in place
    CLASSES = 18
    # Slot classes by index; the others are CLASS_SIZES in pool.py.
    HEADER_CLASS = 2
    FRAME_CLASS = 16
    UNIT_CLASS = 17
    HEADERS_KEPT = 128           # slots for headers that wait with their views for the next

cdef enum:
    # Places: who took a slot, who copied. Names in pool.PLACES.
    PLACE_DEVICE = 0
    PLACE_WIRE
    PLACE_NETWORK
    PLACE_TCP
    PLACE_APPLIANCE
    PLACE_STORE
    PLACE_CAPTURE
    PLACE_USER
    PLACES_COUNT

cdef struct slot_t:
    uint8_t* memory              # first byte
    uint32_t size                # bytes, headroom included
    uint32_t references          # 0: on the free list
    slot_t* next                 # free list; of a carved parent: the slots carved from it
    slot_t* previous             # free list
    slot_class_t* home           # where it goes back to
    void* parent                 # slot_t* that it was carved from, or the PyObject* that owns external bytes
    uint32_t carved              # of a parent: slots carved from it that are in use
    uint32_t unit                # number of the unit in the region
    uint16_t place               # PLACE_…: who took it

cdef struct slot_class_t:
    slot_t* free
    slot_t* spare_blocks         # slot_t of units that were restored, linked by the first one's `next`
    pool_t* pool
    uint32_t size                # of a slot, bytes; 0: external bytes
    uint32_t per_parent          # slots in a unit; 0: the units themselves, and external bytes
    uint32_t slack               # free slots beyond which an emptied unit goes back
    uint32_t slots               # free or in use
    uint32_t free_count

cdef struct iobuf_t:
    iobuf_t* next                # of the chain
    slot_t* slot
    uint8_t* data                # within the slot
    uint32_t length

cdef struct pool_counters_t:
    uint64_t exhausted           # takes refused: no unit left
    uint64_t refused_reserve     # takes for PLACE_STORE refused: only the reserve is left
    uint64_t units_carved
    uint64_t units_restored
    uint64_t units_given_back    # to the system

cdef struct pool_t:
    slot_class_t classes[CLASSES]
    slot_class_t external        # slots whose bytes are a Python object's
    iobuf_t* free_iobufs
    iobuf_t* headers             # views that came back with a header's slot of their own, which wait for the next
    uint32_t headers_kept        # of these; at most HEADERS_KEPT
    slot_t* free_slots           # unused slot_t, for carving and for external bytes
    uint64_t iobufs              # free or in use
    uint64_t pinned[PLACES_COUNT]     # bytes of slots in use, by place
    uint64_t copied[PLACES_COUNT]     # bytes copied so far, by place
    uint8_t* region
    uint64_t region_bytes
    void* slabs                  # memory behind slot_t and iobuf_t, linked by its first word
    uint32_t units_begun         # units of the region that were ever used: the first ones
    uint32_t units_spare         # units without memory: never used, or given back
    slot_t* given_back           # units whose memory the system has, linked by `next`
    uint32_t units               # in the region
    uint32_t reserve             # units that PLACE_STORE cannot have
    pool_counters_t counters
    PyObject* owner              # the BufferPool; borrowed

# The slow paths of the inline functions below.
cdef slot_t* refill_class(pool_t* pool, uint32_t slot_class, uint16_t place) noexcept
cdef iobuf_t* refill_iobufs(pool_t* pool) noexcept
cdef void restore_slot(slot_t* slot) noexcept
cdef void restore_view(iobuf_t* view) noexcept
cdef iobuf_t* make_header(pool_t* pool, uint16_t place) noexcept
cdef slot_t* external_slot(pool_t* pool, object owner, const uint8_t* memory, uint32_t length) noexcept
cdef uint32_t class_of(uint32_t length) noexcept

cdef inline bint only_reserve(pool_t* pool) noexcept:
    """Whether stores get nothing more."""
    return pool.units_spare + pool.classes[UNIT_CLASS].free_count <= pool.reserve

cdef inline slot_t* take_slot(pool_t* pool, uint32_t slot_class, uint16_t place) noexcept:
    """A slot with one reference, which the caller owns; NULL when memory is exhausted (counted)."""
    cdef slot_t* slot = pool.classes[slot_class].free
    if slot == NULL or place == PLACE_STORE:
        slot = refill_class(pool, slot_class, place)
        if slot == NULL:
            return NULL
    pool.classes[slot_class].free = slot.next
    if slot.next != NULL:
        slot.next.previous = NULL
    if slot.parent != NULL:
        (<slot_t*>slot.parent).carved += 1
    pool.classes[slot_class].free_count -= 1
    slot.references = 1
    slot.place = place
    pool.pinned[place] += slot.size
    unpoison(slot.memory, slot.size)
    return slot

cdef inline void release_slot(slot_t* slot) noexcept:
    slot.references -= 1
    if slot.references == 0:
        restore_slot(slot)

cdef inline iobuf_t* new_iobuf(slot_t* slot, uint8_t* data, uint32_t length) noexcept:
    """A view on `slot`; takes over one reference of the caller's. NULL only when the system has no memory."""
    cdef pool_t* pool = slot.home.pool
    cdef iobuf_t* view = pool.free_iobufs
    if view == NULL:
        view = refill_iobufs(pool)
        if view == NULL:
            return NULL
    unpoison(view, sizeof(iobuf_t))
    pool.free_iobufs = view.next
    view.next = NULL
    view.slot = slot
    view.data = data
    view.length = length
    return view

cdef inline iobuf_t* take_header(pool_t* pool, uint16_t place) noexcept:
    """A view with a header's slot of its own; where in the slot it lies is the caller's to say. NULL: exhausted."""
    cdef iobuf_t* view = pool.headers
    if view == NULL:
        return make_header(pool, place)
    pool.headers = view.next
    pool.headers_kept -= 1
    view.slot.references = 1
    view.slot.place = place
    pool.pinned[place] += HEADER_BYTES
    return view

cdef inline void free_iobuf(iobuf_t* view) noexcept:
    cdef slot_t* slot = view.slot
    cdef pool_t* pool
    slot.references -= 1
    if slot.references == 0:
        restore_view(view)
        return
    pool = slot.home.pool
    view.next = pool.free_iobufs
    pool.free_iobufs = view
    poison(view, sizeof(iobuf_t))


cdef class BufferPool(Representative):
    """The pool of one core; its memory is one region (hosted: anonymous memory, touched on first use)."""
    cdef pool_t pool
    cpdef dict pinned(self)                  # bytes of slots in use, by place
    cpdef dict copied(self)                  # bytes copied so far, by place
    cpdef uint64_t live_slots(self)
    cpdef uint64_t live_iobufs(self)
    cpdef uint64_t free_bytes(self)

cdef inline pool_t* running_pool():
    """The running core's pool."""
    cdef PyObject* found = borrowed(BUFFER_POOL_ID)
    return &(<BufferPool>found).pool
