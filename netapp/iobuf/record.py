"""Texts with a key in them. Ownership is stated in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.iobuf.chain import COPY_BREAK, Chain
from cython.cimports.netapp.iobuf.pool import (
    PLACE_STORE,
    PLACE_USER,
    UNIT_BYTES,
    class_of,
    iobuf_t,
    new_iobuf,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _put(at: cython.pointer(uint8_t), data: bytes) -> cython.pointer(uint8_t):
    length: uint64_t = PyBytes_GET_SIZE(data)
    memcpy(at, PyBytes_AS_STRING(data), length)
    return at + length


@cython.no_gc
@cython.cclass
class Record:
    def __dealloc__(self):
        if self.slot != cython.NULL:
            release_slot(self.slot)

    def lay_out(self, before, key, behind, data, end):
        slot: cython.pointer(slot_t)
        at: cython.pointer(uint8_t)
        total: uint64_t
        if before is None or key is None or behind is None or data is None or end is None:
            raise TypeError("lay_out() takes bytes and a chain")
        if self.slot != cython.NULL:
            raise ValueError("it is laid out already")
        total = PyBytes_GET_SIZE(before) + PyBytes_GET_SIZE(key) + PyBytes_GET_SIZE(behind) + data.length
        total += PyBytes_GET_SIZE(end)
        if total > UNIT_BYTES:
            raise ValueError(f"{total} bytes are to lie in a slot: at most {UNIT_BYTES}")
        slot = take_slot(running_pool(), class_of(cython.cast(uint32_t, total)), PLACE_STORE)
        if slot == cython.NULL:
            return False
        self.slot = slot
        self.text = slot.memory
        self.begun = cython.cast(uint32_t, total)
        at = _put(slot.memory, before)
        self.key_start = at
        self.key_length = cython.cast(uint32_t, PyBytes_GET_SIZE(key))
        at = _put(_put(at, key), behind)
        data.copy_out(0, at, data.length)
        _put(at + data.length, end)
        slot.home.pool.copied[PLACE_STORE] += total
        return True

    @property
    def key(self) -> bytes:
        """A copy."""
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.key_start), self.key_length)

    def total(self):
        return self.begun + (self.rest.length if self.rest is not None else 0)

    def pinned(self):
        return self.slot.size + (self.rest.pinned() if self.rest is not None else 0)

    def first(self, length):
        if length > self.begun:
            raise ValueError(f"first({length}) of {self.begun} bytes")
        self.slot.home.pool.copied[PLACE_USER] += length
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.text), length)


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _refer(reply: Chain, record: Record, start: uint64_t, length: uint64_t) -> cython.bint:
    """To what lies in the slot."""
    slot: cython.pointer(slot_t) = record.slot
    view: cython.pointer(iobuf_t)
    slot.references += 1
    view = new_iobuf(slot, record.text + start, cython.cast(uint32_t, length))
    if view == cython.NULL:
        release_slot(slot)
        raise MemoryError("no memory for another view")
    reply.append_view(view)
    return True


@cython.cfunc
@cython.exceptval(-1, check=False)
def _append_both(reply: Chain, record: Record, start: uint64_t, behind: uint64_t) -> cython.bint:
    """Of one that has a rest: by reference, however short a piece is."""
    length: uint64_t = record.begun + record.rest.length
    piece: uint64_t
    if start + behind > length:
        raise ValueError("the text is shorter than that")
    length -= start + behind
    if length != 0 and start < record.begun:
        piece = min(record.begun - start, length)
        _refer(reply, record, start, piece)
        start += piece
        length -= piece
    if length != 0 and not reply.append_range(record.rest.head, start - record.begun, length):
        raise MemoryError("no memory for another view")
    return True


def append_record(reply: Chain, record: Record, start: uint64_t, behind: uint64_t):
    length: uint64_t
    at: cython.pointer(uint8_t)
    end: cython.pointer(uint8_t)
    if reply is None or record is None or record.slot == cython.NULL:
        raise TypeError("append_record() takes a chain and a record that is laid out")
    if record.rest is not None:
        return _append_both(reply, record, start, behind)
    if start + behind > record.begun:
        raise ValueError("the text is shorter than that")
    length = record.begun - (start + behind)
    if length <= COPY_BREAK:
        return reply.write_from(record.text + start, length) == 0
    # What the device will read at the turn's end is fetched while other requests are worked on; the first two lines
    # the look-up has read, for the key.
    at = record.text + 128
    end = record.text + record.begun
    while at < end:
        prefetch_two(at)
        at += 128
    return _refer(reply, record, start, length)
