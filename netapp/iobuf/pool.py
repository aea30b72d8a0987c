"""The pool: one region, carved into 4 KiB units, and these into slots of the smaller classes."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.posix.mman import (
    MADV_DONTNEED,
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    madvise,
    mmap,
    munmap,
)

from netapp.ebb.core import EbbError

# Bytes of a slot, by class. n of them make a 4 KiB unit; steps are such that a stored value wastes at most a fifth
# (with two pieces between 1,360 and 1,707 bytes, see Chain.compact). Headers need 14 + 60 + 60 bytes at most, and the
# device's 12: usually 66.
CLASS_SIZES = (64, 96, 128, 160, 192, 224, 272, 336, 408, 448, 512, 584, 680, 816, 1024, 1360, 2048, 4096)
PLACES = ("device", "wire", "network", "tcp", "appliance", "store", "capture", "user")
COUNTERS = ("exhausted", "refused_reserve", "units_carved", "units_restored", "units_given_back")

_SLAB_BYTES = cython.declare(cython.size_t, 65536)
# Free units of which this part of the pool is kept: bursts take and give some MiB, and the system's zeroing costs more.
_KEPT = cython.declare(uint32_t, 32)
# mmap(2): Linux zeroes memory as it is touched, whatever this says; the native kernel, at once without it.
_MAP_UNINITIALIZED = cython.declare(cython.int, 0x4000000)


@cython.cfunc
@cython.exceptval(check=False)
def _slab(pool: cython.pointer(pool_t), size: cython.size_t) -> cython.p_char:
    """Zeroed memory that lives as long as the pool; its first 16 bytes are the list of such memory."""
    slab: cython.pointer(cython.p_void) = cython.cast(cython.pointer(cython.p_void), calloc(1, size))
    if slab != cython.NULL:
        slab[0] = pool.slabs
        pool.slabs = slab
    return cython.cast(cython.p_char, slab)


@cython.cfunc
@cython.exceptval(check=False)
def _block(home: cython.pointer(slot_class_t)) -> cython.pointer(slot_t):
    """The slot_t of one unit's slots, side by side; NULL when the system has no memory."""
    pool: cython.pointer(pool_t) = home.pool
    block: cython.pointer(slot_t) = home.spare_blocks
    at: cython.p_char
    bytes_each: cython.size_t = home.per_parent * cython.sizeof(slot_t)
    end: cython.size_t
    if block != cython.NULL:
        home.spare_blocks = block.next
        return block
    at = _slab(pool, _SLAB_BYTES)
    if at == cython.NULL:
        return cython.NULL
    end = 16
    while end + bytes_each <= _SLAB_BYTES:
        block = cython.cast(cython.pointer(slot_t), at + end)
        block.next = home.spare_blocks
        home.spare_blocks = block
        end += bytes_each
    block = home.spare_blocks
    home.spare_blocks = block.next
    return block


@cython.cfunc
@cython.exceptval(check=False)
def _push(home: cython.pointer(slot_class_t), slot: cython.pointer(slot_t)) -> cython.void:
    slot.previous = cython.NULL
    slot.next = home.free
    if slot.next != cython.NULL:
        slot.next.previous = slot
    home.free = slot
    home.free_count += 1


@cython.cfunc
@cython.exceptval(check=False)
def _unlink(home: cython.pointer(slot_class_t), slot: cython.pointer(slot_t)) -> cython.void:
    if slot.previous != cython.NULL:
        slot.previous.next = slot.next
    else:
        home.free = slot.next
    if slot.next != cython.NULL:
        slot.next.previous = slot.previous
    home.free_count -= 1


@cython.cfunc
@cython.exceptval(check=False)
def _one_more_unit(pool: cython.pointer(pool_t)) -> cython.bint:
    """Puts one onto the free list of units: one that was given back, or the next of the region."""
    home: cython.pointer(slot_class_t) = cython.address(pool.classes[UNIT_CLASS])
    slot: cython.pointer(slot_t) = pool.given_back
    if slot != cython.NULL:
        pool.given_back = slot.next
    elif pool.units_begun == pool.units:
        return False
    else:
        slot = _block(home)
        if slot == cython.NULL:
            return False
        slot.memory = pool.region + cython.cast(uint64_t, pool.units_begun) * (UNIT_BYTES + REDZONE)
        slot.size = UNIT_BYTES
        slot.references = 0
        slot.home = home
        slot.parent = cython.NULL
        slot.carved = 0
        slot.unit = pool.units_begun
        pool.units_begun += 1
    pool.units_spare -= 1
    home.slots += 1
    _push(home, slot)
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _give_back(pool: cython.pointer(pool_t), slot: cython.pointer(slot_t)) -> cython.void:
    """The memory of a free unit goes back to the system, where many are free: what was once needed is not kept for
    ever."""
    home: cython.pointer(slot_class_t) = cython.address(pool.classes[UNIT_CLASS])
    # With red zones a unit is no page.
    if home.free_count <= home.slack or REDZONE != 0:
        return
    _unlink(home, slot)
    home.slots -= 1
    slot.next = pool.given_back
    pool.given_back = slot
    pool.units_spare += 1
    pool.counters.units_given_back += 1
    madvise(slot.memory, UNIT_BYTES, MADV_DONTNEED)


@cython.cfunc
@cython.exceptval(check=False)
def _carve(pool: cython.pointer(pool_t), home: cython.pointer(slot_class_t)) -> cython.bint:
    """Carves a unit into free slots of the class `home`."""
    units: cython.pointer(slot_class_t) = cython.address(pool.classes[UNIT_CLASS])
    parent: cython.pointer(slot_t)
    block: cython.pointer(slot_t)
    i: cython.uint
    if units.free == cython.NULL and not _one_more_unit(pool):
        return False
    block = _block(home)
    if block == cython.NULL:
        return False
    parent = units.free
    _unlink(units, parent)
    units.slots -= 1
    home.slots += home.per_parent
    parent.next = block
    parent.references = 1
    parent.carved = 0
    for i in range(home.per_parent):
        block[i].memory = parent.memory + i * (home.size + REDZONE)
        block[i].size = home.size
        block[i].references = 0
        block[i].home = home
        block[i].parent = parent
        block[i].carved = 0
        block[i].unit = parent.unit
        _push(home, cython.address(block[i]))
    pool.counters.units_carved += 1
    return True


def refill_class(pool, slot_class, place):
    home: cython.pointer(slot_class_t) = cython.address(pool.classes[slot_class])
    if place == PLACE_STORE and only_reserve(pool):
        if home.free == cython.NULL or slot_class >= FRAME_CLASS:
            pool.counters.refused_reserve += 1
            return cython.NULL
    if home.free == cython.NULL:
        if not (_one_more_unit(pool) if slot_class == UNIT_CLASS else _carve(pool, home)):
            pool.counters.exhausted += 1
            return cython.NULL
    return home.free


def refill_iobufs(pool):
    view: cython.pointer(iobuf_t)
    at: cython.p_char = _slab(pool, _SLAB_BYTES)
    i: cython.size_t
    if at == cython.NULL:
        return cython.NULL
    view = cython.cast(cython.pointer(iobuf_t), at + 16)
    for i in range((_SLAB_BYTES - 16) // cython.sizeof(iobuf_t)):
        view[i].next = pool.free_iobufs
        pool.free_iobufs = cython.address(view[i])
        pool.iobufs += 1
    poison(view, _SLAB_BYTES - 16)
    return pool.free_iobufs


def restore_slot(slot):
    home: cython.pointer(slot_class_t) = slot.home
    pool: cython.pointer(pool_t) = home.pool
    parent: cython.pointer(slot_t)
    i: cython.uint
    pool.pinned[slot.place] -= slot.size
    if home == cython.address(pool.external):
        owner: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), slot.parent)
        slot.next = pool.free_slots
        pool.free_slots = slot
        home.slots -= 1
        Py_DECREF(cython.cast(object, owner))
        return
    poison(slot.memory, slot.size)
    _push(home, slot)
    parent = cython.cast(cython.pointer(slot_t), slot.parent)
    if parent == cython.NULL:
        _give_back(pool, slot)
        return
    parent.carved -= 1
    # An emptied unit goes back for other classes to use, but for some slack: a class that breathes around a unit's edge
    # would carve it over and over.
    if parent.carved == 0 and home.free_count > home.slack:
        for i in range(home.per_parent):
            _unlink(home, cython.address(parent.next[i]))
        home.slots -= home.per_parent
        pool.classes[UNIT_CLASS].slots += 1
        parent.next.next = home.spare_blocks
        home.spare_blocks = parent.next
        parent.references = 0
        _push(cython.address(pool.classes[UNIT_CLASS]), parent)
        pool.counters.units_restored += 1
        _give_back(pool, parent)


def restore_view(view):
    """Gives back a view and its slot, to which it was the last reference."""
    slot: cython.pointer(slot_t) = view.slot
    pool: cython.pointer(pool_t) = slot.home.pool
    if slot.home == cython.address(pool.classes[HEADER_CLASS]) and pool.headers_kept < HEADERS_KEPT and REDZONE == 0:
        pool.pinned[slot.place] -= HEADER_BYTES
        pool.headers_kept += 1
        view.next = pool.headers
        pool.headers = view
        return
    view.next = pool.free_iobufs
    pool.free_iobufs = view
    poison(view, cython.sizeof(iobuf_t))
    restore_slot(slot)


def make_header(pool, place):
    slot: cython.pointer(slot_t) = take_slot(pool, HEADER_CLASS, place)
    view: cython.pointer(iobuf_t)
    if slot == cython.NULL:
        return cython.NULL
    view = new_iobuf(slot, slot.memory, 0)
    if view == cython.NULL:
        release_slot(slot)
    return view


def external_slot(pool, owner, memory, length):
    """A slot whose bytes are `owner`'s; keeps `owner` until the last view goes. NULL: the system has no memory."""
    slot: cython.pointer(slot_t) = pool.free_slots
    if slot == cython.NULL:
        slot = _block(cython.address(pool.external))
        if slot == cython.NULL:
            return cython.NULL
    else:
        pool.free_slots = slot.next
    Py_INCREF(owner)
    slot.memory = cython.cast(cython.pointer(uint8_t), memory)
    slot.size = length
    slot.references = 1
    slot.next = cython.NULL
    slot.home = cython.address(pool.external)
    slot.parent = cython.cast(cython.p_void, owner)
    slot.place = PLACE_USER
    pool.external.slots += 1
    pool.pinned[PLACE_USER] += length
    return slot


# class_of() for every length up to a unit (4096), in steps of 8 bytes.
_class_table = cython.declare(cython.uchar[513])


@cython.cfunc
def _fill_class_table() -> cython.int:
    step: cython.int
    chosen: cython.int = 0
    sizes: tuple = CLASS_SIZES
    for step in range(513):
        while step * 8 > cython.cast(cython.int, sizes[chosen]):
            chosen += 1
        _class_table[step] = chosen
    return 0


_fill_class_table()


def class_of(length):
    """The smallest class whose slots hold `length` bytes, at most a unit."""
    return _class_table[(length + 7) >> 3]


class BufferPool:
    """The pool of one core."""

    def __cinit__(self, size=64 << 20, reserve=1 << 20):
        """`size` and `reserve`: bytes of the region, and the part of it that stores cannot have. Raises MemoryError."""
        i: cython.int
        pool: cython.pointer(pool_t) = cython.address(self.pool)
        stride: uint64_t = UNIT_BYTES + REDZONE
        sizes: tuple = CLASS_SIZES
        memory: cython.p_void
        if size < 64 * UNIT_BYTES or reserve >= size:
            raise ValueError(
                f"a pool of {size} bytes with a reserve of {reserve}: at least 256 KiB, reserve below size"
            )
        for i in range(CLASSES):
            pool.classes[i].pool = pool
            pool.classes[i].size = sizes[i]
            pool.classes[i].per_parent = UNIT_BYTES // (pool.classes[i].size + REDZONE)
            pool.classes[i].slack = 2 * pool.classes[i].per_parent
        pool.classes[UNIT_CLASS].per_parent = 1
        pool.external.pool = pool
        pool.external.per_parent = 1
        pool.units = size // UNIT_BYTES
        pool.units_spare = pool.units
        pool.classes[UNIT_CLASS].slack = pool.units // _KEPT
        # These come and go with every frame.
        pool.classes[FRAME_CLASS].slack = 512 if pool.units > 8192 else pool.units // 16
        pool.classes[HEADER_CLASS].slack = pool.classes[FRAME_CLASS].slack
        pool.reserve = reserve // UNIT_BYTES
        memory = mmap(
            cython.NULL,
            pool.units * stride,
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | _MAP_UNINITIALIZED,
            -1,
            0,
        )
        if memory == MAP_FAILED:
            raise MemoryError(f"no {size} bytes of address space for the pool")
        pool.region = cython.cast(cython.pointer(uint8_t), memory)
        pool.region_bytes = pool.units * stride
        poison(memory, pool.region_bytes)
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(pool.counters))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        pool: cython.pointer(pool_t) = cython.address(self.pool)
        slab: cython.pointer(cython.p_void) = cython.cast(cython.pointer(cython.p_void), pool.slabs)
        after: cython.pointer(cython.p_void)
        if pool.region == cython.NULL:
            return
        # Views that outlive their pool keep its memory: a leak, which the tests report, rather than a use after free.
        if self.live_iobufs() or self.live_slots():
            return
        unpoison(pool.region, pool.region_bytes)
        munmap(pool.region, pool.region_bytes)
        while slab != cython.NULL:
            after = cython.cast(cython.pointer(cython.p_void), slab[0])
            unpoison(slab, _SLAB_BYTES)
            free(slab)
            slab = after

    def may_be_replaced(self, new):
        raise EbbError("the buffer pool cannot be replaced: frames, stored values and send queues lie in its memory")

    def pinned(self):
        i: cython.int
        return {PLACES[i]: self.pool.pinned[i] for i in range(PLACES_COUNT)}

    def copied(self):
        i: cython.int
        return {PLACES[i]: self.pool.copied[i] for i in range(PLACES_COUNT)}

    def live_slots(self):
        """Slots in use, those over external bytes included."""
        i: cython.int
        live: uint64_t = self.pool.external.slots
        for i in range(CLASSES):
            live += self.pool.classes[i].slots - self.pool.classes[i].free_count
        return live - self.pool.headers_kept

    def live_iobufs(self):
        """Views in use. Counted by walking the free ones: a look-up is rare, and taking one is not."""
        live: uint64_t = self.pool.iobufs - self.pool.headers_kept
        view: cython.pointer(iobuf_t) = self.pool.free_iobufs
        while view != cython.NULL:
            unpoison(view, cython.sizeof(iobuf_t))
            after: cython.pointer(iobuf_t) = view.next
            poison(view, cython.sizeof(iobuf_t))
            view = after
            live -= 1
        return live

    def free_bytes(self):
        """Bytes of whole units that are not in use."""
        return cython.cast(uint64_t, self.pool.units_spare + self.pool.classes[UNIT_CLASS].free_count) * UNIT_BYTES

    def classes(self):
        """(slot size, slots in use, free slots) by class."""
        i: cython.int
        free: uint64_t
        found: list = []
        for i in range(CLASSES):
            free = self.pool.classes[i].free_count
            if i == HEADER_CLASS:
                free += self.pool.headers_kept
            found.append((self.pool.classes[i].size, self.pool.classes[i].slots - free, free))
        return found
