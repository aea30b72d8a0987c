"""Threadtest's loops, of slots, views, chains and malloc."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.clients import now_by
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.pool import (
    PLACE_APPLIANCE,
    UNIT_BYTES,
    class_of,
    free_iobuf,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)
from cython.cimports.posix.time import CLOCK_THREAD_CPUTIME_ID

KINDS = ("slot", "view", "chain", "malloc")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _write(memory: cython.p_void) -> cython.void:
    cython.cast(cython.pointer(uint64_t), memory)[0] = 1


@cython.cfunc
@cython.exceptval(check=False)
def _slots(objects: cython.pp_void, count: uint32_t, size: uint32_t) -> uint32_t:
    """How many objects there were at once; as those below."""
    i: uint32_t
    taken: uint32_t = 0
    slot: cython.pointer(slot_t)
    pool: cython.pointer(pool_t) = running_pool()
    slot_class: uint32_t = class_of(size)
    while taken < count:
        slot = take_slot(pool, slot_class, PLACE_APPLIANCE)
        if slot == cython.NULL:
            break
        _write(slot.memory)
        objects[taken] = slot
        taken += 1
    for i in range(taken):
        release_slot(cython.cast(cython.pointer(slot_t), objects[i]))
    return taken


@cython.cfunc
@cython.exceptval(check=False)
def _views(objects: cython.pp_void, count: uint32_t, slot: cython.pointer(slot_t)) -> uint32_t:
    i: uint32_t
    taken: uint32_t = 0
    view: cython.pointer(iobuf_t)
    while taken < count:
        view = new_iobuf(slot, slot.memory, slot.size)
        if view == cython.NULL:
            break
        slot.references += 1
        objects[taken] = view
        taken += 1
    for i in range(taken):
        free_iobuf(cython.cast(cython.pointer(iobuf_t), objects[i]))
    return taken


@cython.cfunc
@cython.exceptval(check=False)
def _fill(chain: Chain, pool: cython.pointer(pool_t), size: uint32_t) -> cython.bint:
    """False: the pool is exhausted."""
    piece: uint32_t
    slot: cython.pointer(slot_t)
    view: cython.pointer(iobuf_t)
    while size:
        piece = size if size < UNIT_BYTES else cython.cast(uint32_t, UNIT_BYTES)
        slot = take_slot(pool, class_of(piece), PLACE_APPLIANCE)
        if slot == cython.NULL:
            return False
        _write(slot.memory)
        view = new_iobuf(slot, slot.memory, piece)
        if view == cython.NULL:
            release_slot(slot)
            return False
        chain.append_view(view)
        size -= piece
    return True


@cython.cfunc
@cython.exceptval(-1, check=False)
def _chains(objects: cython.pp_void, count: uint32_t, size: uint32_t) -> cython.int:
    i: uint32_t
    taken: uint32_t = 0
    chain: Chain
    pool: cython.pointer(pool_t) = running_pool()
    while taken < count:
        chain = Chain.__new__(Chain)
        if not _fill(chain, pool, size):
            break
        Py_INCREF(chain)
        objects[taken] = cython.cast(cython.p_void, chain)
        taken += 1
    chain = None
    for i in range(taken):
        Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), objects[i])))
    return taken


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _mallocs(objects: cython.pp_void, count: uint32_t, size: uint32_t) -> cython.void:
    i: uint32_t
    for i in range(count):
        objects[i] = malloc(size)
        if objects[i] != cython.NULL:
            _write(objects[i])
    for i in range(count):
        free(objects[i])


class Threadtest:
    def __cinit__(self, count: int):
        """`count`: how many objects are taken before they are given back."""
        self.objects = cython.cast(cython.pp_void, malloc(count * cython.sizeof(cython.p_void)))
        if self.objects == cython.NULL:
            raise MemoryError
        self.count = count

    def __dealloc__(self):
        free(self.objects)

    def measured(self, kind, size, iterations):
        i: uint32_t
        taken: uint32_t = self.count
        slot: cython.pointer(slot_t)
        if kind == MALLOC:
            with cython.nogil:
                for i in range(iterations):
                    _mallocs(self.objects, self.count, size)
        elif kind == VIEW:
            slot = take_slot(running_pool(), class_of(size), PLACE_APPLIANCE)
            if slot == cython.NULL:
                raise MemoryError("the pool is exhausted")
            for i in range(iterations):
                taken = _views(self.objects, self.count, slot)
            release_slot(slot)
        elif kind == CHAIN:
            for i in range(iterations):
                taken = _chains(self.objects, self.count, size)
        else:
            for i in range(iterations):
                taken = _slots(self.objects, self.count, size)
        if taken != self.count:
            raise MemoryError("the pool is exhausted")
        return 0

    def run(self, kind, size, iterations):
        which: cython.int = KINDS.index(kind)
        start: uint64_t = now_by(CLOCK_THREAD_CPUTIME_ID)
        self.measured(which, size, iterations)
        return now_by(CLOCK_THREAD_CPUTIME_ID) - start
