"""Chains of views on slots. Ownership and lifetimes are stated in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.buffer import Py_buffer, PyBUF_WRITABLE
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.cpython.memoryview import PyMemoryView_FromObject, PyMemoryView_GET_BUFFER
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.iobuf.pool import (
    CLASSES,
    FRAME_BYTES,
    FRAME_CLASS,
    PLACE_APPLIANCE,
    PLACE_STORE,
    PLACE_USER,
    UNIT_BYTES,
    UNIT_CLASS,
    class_of,
    external_slot,
    free_iobuf,
    iobuf_t,
    new_iobuf,
    only_reserve,
    pool_t,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)

# Storing copies where slots of more than this times the bytes would be kept alive (in hundredths).
_PINNED_LIMIT = cython.declare(uint64_t, 145)
# Bytes of a slot that append_copy() leaves unused, at most, to keep a piece in one view: a quarter of the smaller one.
_WASTE = cython.declare(uint64_t, FRAME_BYTES // 4)

_live = cython.declare(cython.longlong, 0)


def live_chains():
    """Chain objects alive in this process (the collector does not see them)."""
    return _live


@cython.no_gc
@cython.freelist(512)
@cython.cclass
class Chain:
    def __cinit__(self):
        global _live
        _live += 1

    def __init__(self, data=None):
        """A chain of no bytes, or of a bytes-like `data`: immutable is wrapped and held, mutable is copied."""
        if data is not None:
            view = memoryview(data)
            self.append(data if view.readonly else bytes(view))

    def __dealloc__(self):
        global _live
        _live -= 1
        # Iteratively: a chain may be millions of views long.
        view: cython.pointer(iobuf_t) = self.head
        after: cython.pointer(iobuf_t)
        while view != cython.NULL:
            after = view.next
            free_iobuf(view)
            view = after
        if self.write_slot != cython.NULL:
            release_slot(self.write_slot)

    # --- machine interface ---------------------------------------------------------------------------------------

    def advance(self, length):
        view: cython.pointer(iobuf_t) = self.head
        self.length -= length
        while view != cython.NULL and length >= view.length:
            length -= view.length
            self.head = view.next
            self.count -= 1
            free_iobuf(view)
            view = self.head
        if view == cython.NULL:
            self.tail = cython.NULL
        else:
            view.data += length
            view.length -= cython.cast(uint32_t, length)

    def trim(self, length):
        keep: uint64_t = self.length - length
        view: cython.pointer(iobuf_t) = self.head
        after: cython.pointer(iobuf_t)
        if length == 0:
            return
        if keep == 0:
            self.advance(length)
            return
        self.length = keep
        while keep > view.length:
            keep -= view.length
            view = view.next
        view.length = cython.cast(uint32_t, keep)
        self.tail = view
        after = view.next
        view.next = cython.NULL
        while after != cython.NULL:
            view = after
            after = view.next
            self.count -= 1
            free_iobuf(view)

    def prepend(self, length, place):
        view: cython.pointer(iobuf_t) = self.head
        slot: cython.pointer(slot_t)
        # In place only in a slot that nobody else sees, and never in bytes that are a Python object's.
        if view != cython.NULL and view.slot.references == 1:
            slot = view.slot
            if view.data - slot.memory >= length and slot.home != cython.address(slot.home.pool.external):
                view.data -= length
                view.length += length
                self.length += length
                return view.data
        return push_header(self, length, place)

    def reserve_tail(self, length, place):
        slot: cython.pointer(slot_t) = self.write_slot
        view: cython.pointer(iobuf_t)
        at: cython.pointer(uint8_t) = self.write_next
        if slot == cython.NULL or cython.cast(uint64_t, at - slot.memory) + length > slot.size:
            slot = take_slot(running_pool(), FRAME_CLASS if length <= FRAME_BYTES else UNIT_CLASS, place)
            if slot == cython.NULL:
                return cython.NULL
            if self.write_slot != cython.NULL:
                release_slot(self.write_slot)
            self.write_slot = slot
            at = slot.memory
        view = self.tail
        if view != cython.NULL and view.slot == slot and view.data + view.length == at:
            view.length += length
            self.length += length
        else:
            slot.references += 1
            view = new_iobuf(slot, at, length)
            if view == cython.NULL:
                release_slot(slot)
                return cython.NULL
            self.append_view(view)
        self.write_next = at + length
        return at

    def append_copy(self, data, length, place):
        """Copies to the end; False and nothing appended when the pool is exhausted."""
        piece: uint32_t
        before: uint64_t = self.length
        room: uint64_t
        at: cython.pointer(uint8_t)
        total: uint64_t = length
        while length:
            room = 0
            if self.write_slot != cython.NULL:
                room = self.write_slot.size - cython.cast(uint64_t, self.write_next - self.write_slot.memory)
            # A piece stays whole where that wastes little.
            if room == 0 or (room < length and length <= FRAME_BYTES and room <= _WASTE):
                room = FRAME_BYTES if length <= FRAME_BYTES else UNIT_BYTES
            piece = cython.cast(uint32_t, room if room < length else length)
            at = self.reserve_tail(piece, place)
            if at == cython.NULL:
                self.trim(self.length - before)
                return False
            memcpy(at, data, piece)
            data += piece
            length -= piece
        if total:
            running_pool().copied[place] += total
        return True

    def append_range(self, view, offset, length):
        """New views of `length` bytes from `offset` within `view` on; False: the system has no memory."""
        fresh: cython.pointer(iobuf_t)
        piece: uint64_t
        while length:
            while offset >= view.length:
                offset -= view.length
                view = view.next
            piece = view.length - offset
            if piece > length:
                piece = length
            view.slot.references += 1
            fresh = new_iobuf(view.slot, view.data + offset, cython.cast(uint32_t, piece))
            if fresh == cython.NULL:
                release_slot(view.slot)
                return False
            self.append_view(fresh)
            length -= piece
            offset += piece
        return True

    def copy_out(self, offset, to, length):
        view: cython.pointer(iobuf_t) = self.head
        piece: uint64_t
        while length:
            while offset >= view.length:
                offset -= view.length
                view = view.next
            piece = view.length - offset
            if piece > length:
                piece = length
            memcpy(to, view.data + offset, piece)
            to += piece
            length -= piece
            offset += piece

    def take_front(self, length):
        front: Chain = Chain.__new__(Chain)
        view: cython.pointer(iobuf_t) = self.head
        if length == self.length:
            front.move_from(self)
            return front
        self.length -= length
        while length >= view.length and length:
            length -= view.length
            self.head = view.next
            self.count -= 1
            front.append_view(view)
            view = self.head
        if length:
            if not front.append_range(view, 0, length):
                raise MemoryError("no memory for another view")
            view.data += length
            view.length -= cython.cast(uint32_t, length)
        return front

    def compact(self, place):
        """None when the pool is exhausted (or, for PLACE_STORE, at its reserve)."""
        copy: Chain = Chain.__new__(Chain)
        pool: cython.pointer(pool_t) = running_pool()
        slot: cython.pointer(slot_t)
        view: cython.pointer(iobuf_t)
        offset: uint64_t = 0
        left: uint64_t = self.length
        piece: uint32_t
        chosen: uint32_t
        while left:
            piece = UNIT_BYTES if left > UNIT_BYTES else cython.cast(uint32_t, left)
            chosen = class_of(piece)
            # Between two classes far apart two pieces waste less than one: 1,361 to 1,706 and 2,049 to 3,413 bytes.
            if chosen + 1 >= CLASSES - 1 and pool.classes[chosen].size * 5 > piece * 6:
                piece = 1024 if chosen == FRAME_CLASS else FRAME_BYTES
                chosen = class_of(piece)
            slot = take_slot(pool, chosen, place)
            if slot == cython.NULL:
                return None
            view = new_iobuf(slot, slot.memory, piece)
            if view == cython.NULL:
                release_slot(slot)
                return None
            self.copy_out(offset, view.data, piece)
            copy.append_view(view)
            offset += piece
            left -= piece
        pool.copied[place] += self.length
        return copy

    # --- for everyone --------------------------------------------------------------------------------------------

    def append(self, data):
        if isinstance(data, Chain):
            if data is self:
                raise ValueError("a chain cannot be appended to itself")
            self.move_from(cython.cast(Chain, data))
        else:
            self.move_from(wrap(data))

    def append_clone(self, other):
        if other is None or other is self:
            raise TypeError("append_clone() takes another chain")
        if other.head != cython.NULL and not self.append_range(other.head, 0, other.length):
            raise MemoryError("no memory for another view")
        return True

    def write_from(self, data, length):
        at: cython.pointer(uint8_t) = self.write_next
        slot: cython.pointer(slot_t) = self.write_slot
        view: cython.pointer(iobuf_t) = self.tail
        if view == cython.NULL or view.slot != slot or view.data + view.length != at:
            return self._write_on(data, length)
        if length > slot.size - cython.cast(uint64_t, at - slot.memory):
            return self._write_on(data, length)
        # Mostly the last view goes on.
        view.length += cython.cast(uint32_t, length)
        self.length += length
        self.write_next = at + length
        slot.home.pool.copied[slot.place] += length
        memcpy(at, data, length)
        return 0

    def _write_on(self, data, length):
        """In a view of its own; in another slot, where this one has no room."""
        slot: cython.pointer(slot_t) = self.write_slot
        view: cython.pointer(iobuf_t)
        if length == 0:
            return 0
        if slot == cython.NULL or length > slot.size - cython.cast(uint64_t, self.write_next - slot.memory):
            if not self.append_copy(data, length, PLACE_APPLIANCE):
                raise MemoryError("the buffer pool is exhausted")
            return 0
        view = new_iobuf(slot, self.write_next, cython.cast(uint32_t, length))
        if view == cython.NULL:
            raise MemoryError("no memory for another view")
        slot.references += 1
        self.append_view(view)
        self.write_next += length
        slot.home.pool.copied[slot.place] += length
        memcpy(view.data, data, length)
        return 0

    def write(self, data):
        if data is None:
            raise TypeError("write() takes bytes")
        self.write_from(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data)), PyBytes_GET_SIZE(data))
        return True

    def write_copy(self, other):
        view: cython.pointer(iobuf_t)
        if other is None or other is self:
            raise TypeError("write_copy() takes another chain")
        view = other.head
        while view != cython.NULL:
            self.write_from(view.data, view.length)
            view = view.next

    def reserve(self, length):
        slot: cython.pointer(slot_t)
        if length > UNIT_BYTES:
            raise ValueError(f"reserve({length}): no slot has more than {UNIT_BYTES} bytes")
        slot = take_slot(running_pool(), class_of(cython.cast(uint32_t, length)), PLACE_STORE)
        if slot == cython.NULL:
            return False
        if self.write_slot != cython.NULL:
            release_slot(self.write_slot)
        self.write_slot = slot
        self.write_next = slot.memory
        return True

    def split(self, length):
        if length > self.length:
            raise ValueError(f"split({length}) of a chain of {self.length} bytes")
        return self.take_front(length)

    def clone(self):
        copy: Chain = Chain.__new__(Chain)
        if self.head != cython.NULL and not copy.append_range(self.head, 0, self.length):
            raise MemoryError("no memory for another view")
        return copy

    def discard(self, length):
        if length > self.length:
            raise ValueError(f"discard({length}) of a chain of {self.length} bytes")
        self.advance(length)

    def drop_tail(self, length):
        if length > self.length:
            raise ValueError(f"drop_tail({length}) of a chain of {self.length} bytes")
        self.trim(length)

    def tobytes(self):
        """A copy of all bytes (counted)."""
        copy: bytes = PyBytes_FromStringAndSize(cython.NULL, self.length)
        if self.length:
            self.copy_out(0, cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(copy)), self.length)
            self.head.slot.home.pool.copied[PLACE_USER] += self.length
        return copy

    def ends_with(self, data):
        last: uint8_t[16]
        found: cython.pointer(uint8_t) = last
        wanted: cython.pointer(uint8_t)
        length: uint64_t
        if data is None or PyBytes_GET_SIZE(data) > 16:
            raise ValueError("ends_with() takes up to 16 bytes")
        length = PyBytes_GET_SIZE(data)
        if length > self.length:
            return False
        if self.tail != cython.NULL and self.tail.length >= length:
            found = self.tail.data + self.tail.length - length
        else:
            self.copy_out(self.length - length, last, length)
        wanted = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
        while length:
            length -= 1
            if found[length] != wanted[length]:
                return False
        return True

    def clear(self):
        """Gives everything back: the views, and the slot that write() goes on in."""
        self.advance(self.length)
        if self.write_slot != cython.NULL:
            release_slot(self.write_slot)
            self.write_slot = cython.NULL
            self.write_next = cython.NULL

    def pinned(self):
        view: cython.pointer(iobuf_t) = self.head
        last: cython.pointer(slot_t) = cython.NULL
        total: uint64_t = 0
        while view != cython.NULL:
            # Views side by side on one slot pin it once.
            if view.slot != last:
                last = view.slot
                total += last.size
            view = view.next
        return total

    def stored(self):
        """What to keep of received data: this chain emptied into a new one, or a compact copy. MemoryError: exhausted,
        or only the reserve is left, which stores cannot have.
        """
        kept: Chain
        view: cython.pointer(iobuf_t)
        pool: cython.pointer(pool_t)
        if self.pinned() * 100 > self.length * _PINNED_LIMIT:
            kept = self.compact(PLACE_STORE)
            if kept is None:
                raise MemoryError("the buffer pool has only its reserve left, which stores cannot have")
            self.advance(self.length)
            return kept
        if only_reserve(running_pool()):
            running_pool().counters.refused_reserve += 1
            raise MemoryError("the buffer pool has only its reserve left, which stores cannot have")
        kept = Chain.__new__(Chain)
        kept.move_from(self)
        view = kept.head
        while view != cython.NULL:
            pool = view.slot.home.pool
            pool.pinned[view.slot.place] -= view.slot.size
            pool.pinned[PLACE_STORE] += view.slot.size
            view.slot.place = PLACE_STORE
            view = view.next
        return kept

    def __len__(self):
        return self.length

    def __bool__(self):
        return self.length != 0

    def __bytes__(self):
        return self.tobytes()

    def __iter__(self):
        """The views, as IOBufs; each holds its slot on its own."""
        views: list = []
        view: cython.pointer(iobuf_t) = self.head
        while view != cython.NULL:
            views.append(_iobuf(view))
            view = view.next
        return iter(views)

    def __repr__(self):
        return f"<Chain of {self.length} bytes in {self.count} views>"


def new_chain():
    chain: Chain = Chain.__new__(Chain)
    return chain


def wrap(data):
    """TypeError: no contiguous bytes-like, or one that can change."""
    chain: Chain = Chain.__new__(Chain)
    pool: cython.pointer(pool_t) = running_pool()
    memory: cython.pointer(uint8_t)
    length: uint64_t
    piece: uint32_t
    slot: cython.pointer(slot_t)
    view: cython.pointer(iobuf_t)
    exported: cython.pointer(Py_buffer)
    if isinstance(data, bytes):
        memory = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
        length = len(data)
    else:
        data = PyMemoryView_FromObject(data)
        exported = PyMemoryView_GET_BUFFER(data)
        if not exported.readonly:
            raise TypeError("bytes that can change cannot be sent by reference: pass bytes(…)")
        if not data.c_contiguous:
            raise TypeError("the bytes-like is not contiguous: pass bytes(…)")
        memory = cython.cast(cython.pointer(uint8_t), exported.buf)
        length = exported.len
    if length <= COPY_BREAK:
        if not chain.append_copy(memory, length, PLACE_APPLIANCE):
            raise MemoryError("the buffer pool is exhausted")
        if chain.write_slot != cython.NULL:
            release_slot(chain.write_slot)
            chain.write_slot = cython.NULL
        return chain
    while length:
        piece = 1 << 30 if length > 1 << 30 else cython.cast(uint32_t, length)
        slot = external_slot(pool, data, memory, piece)
        if slot == cython.NULL:
            raise MemoryError("no memory for another view")
        view = new_iobuf(slot, memory, piece)
        if view == cython.NULL:
            release_slot(slot)
            raise MemoryError("no memory for another view")
        chain.append_view(view)
        memory += piece
        length -= piece
    return chain


@cython.cfunc
def _iobuf(view: cython.pointer(iobuf_t)):
    made: IOBuf = IOBuf.__new__(IOBuf)
    view.slot.references += 1
    made.slot = view.slot
    made.data = view.data
    made.length = view.length
    return made


class IOBuf:
    def __init__(self):
        if self.slot == cython.NULL:
            raise TypeError("IOBufs come from iterating over a Chain")

    def __dealloc__(self):
        if self.slot != cython.NULL:
            release_slot(self.slot)

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        if flags & PyBUF_WRITABLE:
            raise BufferError("an IOBuf's bytes may be shared: they are read-only")
        if self.slot == cython.NULL:
            raise BufferError("an IOBuf without a slot")
        self.shape[0] = self.length
        buffer.buf = self.data
        buffer.obj = self
        buffer.len = self.length
        buffer.itemsize = 1
        buffer.readonly = 1
        buffer.ndim = 1
        buffer.format = cython.NULL
        buffer.shape = cython.address(self.shape[0])
        buffer.strides = cython.address(buffer.itemsize)
        buffer.suboffsets = cython.NULL
        buffer.internal = cython.NULL

    def __releasebuffer__(self, buffer: cython.pointer(Py_buffer)):
        pass

    def __len__(self):
        return self.length

    def __repr__(self):
        return f"<IOBuf of {self.length} bytes>"
