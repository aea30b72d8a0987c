"""Out-of-order data, by reference."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memmove
from cython.cimports.netapp.iobuf.chain import Chain, in_small_pieces
from cython.cimports.netapp.iobuf.pool import PLACE_TCP, iobuf_t
from cython.cimports.netapp.tcp.sequence import seq_add, seq_le, seq_lt, seq_sub


class Reassembly:
    def __dealloc__(self):
        i: cython.int
        for i in range(self.count):
            Py_DECREF(cython.cast(object, self.ranges[i].data))

    def _drop(self, index, number):
        """Takes `number` ranges out of the array; their chains are let go."""
        i: cython.int
        for i in range(index, index + number):
            self.length -= cython.cast(Chain, self.ranges[i].data).length
            Py_DECREF(cython.cast(object, self.ranges[i].data))
        memmove(
            cython.address(self.ranges[index]),
            cython.address(self.ranges[index + number]),
            (self.count - index - number) * cython.sizeof(range_t),
        )
        self.count -= number

    def insert(self, start, data):
        end: uint32_t = seq_add(start, cython.cast(uint32_t, data.length))
        first: cython.int = 0
        last: cython.int
        kept: Chain
        before: Chain
        if data.length == 0:
            return True
        while first < self.count and seq_lt(self.ranges[first].end, start):
            first += 1
        # Ranges first to last - 1 overlap the new data or touch it. What is kept already stays: a peer cannot change
        # bytes by sending them again, and the new ones only fill the gaps.
        last = first
        while last < self.count and seq_le(self.ranges[last].start, end):
            last += 1
        if first == last:
            if self.count == RANGES:
                return False
            memmove(
                cython.address(self.ranges[first + 1]),
                cython.address(self.ranges[first]),
                (self.count - first) * cython.sizeof(range_t),
            )
            kept = Chain.__new__(Chain)
            kept.move_from(data)
            Py_INCREF(kept)
            self.ranges[first].start = start
            self.ranges[first].end = end
            self.ranges[first].data = cython.cast(cython.pointer(PyObject), kept)
            self.count += 1
            self.length += kept.length
            return True
        if last - first == 1 and self.ranges[first].end == start:
            # It goes on with the chain, and with the slot that small pieces share.
            kept = cython.cast(Chain, self.ranges[first].data)
            self.length += data.length
            kept.move_from(data)
            self.ranges[first].end = end
            return True
        kept = Chain.__new__(Chain)
        if seq_lt(self.ranges[first].start, start):
            start = self.ranges[first].start
        at: uint32_t = start
        i: cython.int
        for i in range(first, last):
            before = cython.cast(Chain, self.ranges[i].data)
            if seq_lt(at, self.ranges[i].start):
                # `data` begins at or before `at` here: what the last range covered was cut off it.
                kept.move_from(data.take_front(seq_sub(self.ranges[i].start, at)))
            at = self.ranges[i].end
            kept.move_from(before)
            if seq_lt(at, end):
                data.advance(data.length - seq_sub(end, at))
            else:
                data.advance(data.length)
        kept.move_from(data)
        if seq_lt(at, end):
            at = end
        if in_small_pieces(kept):
            # Pieces that came before, or between, what was kept: they did not share slots with it.
            before = kept.compact(PLACE_TCP)
            kept = kept if before is None else before
        for i in range(first, last):
            Py_DECREF(cython.cast(object, self.ranges[i].data))
        Py_INCREF(kept)
        self.ranges[first].start = start
        self.ranges[first].end = at
        self.ranges[first].data = cython.cast(cython.pointer(PyObject), kept)
        memmove(
            cython.address(self.ranges[first + 1]),
            cython.address(self.ranges[last]),
            (self.count - last) * cython.sizeof(range_t),
        )
        self.count -= last - first - 1
        self.length = 0
        for i in range(self.count):
            self.length += cython.cast(Chain, self.ranges[i].data).length
        return True

    def extend(self, start, data):
        """Small pieces that follow each other share slots."""
        end: uint32_t = seq_add(start, cython.cast(uint32_t, data.length))
        i: cython.int = 0
        view: cython.pointer(iobuf_t) = data.head
        kept: Chain
        before: uint64_t
        while i < self.count and self.ranges[i].end != start:
            i += 1
        if i == self.count or (i + 1 < self.count and seq_le(self.ranges[i + 1].start, end)):
            return False
        kept = cython.cast(Chain, self.ranges[i].data)
        before = kept.length
        while view != cython.NULL:
            if not kept.append_copy(view.data, view.length, PLACE_TCP):
                kept.trim(kept.length - before)
                return False
            view = view.next
        self.ranges[i].end = end
        self.length += data.length
        return True

    def pop(self, start):
        found: Chain
        # In-order data may have come that covers the first ranges.
        while self.count and seq_le(self.ranges[0].end, start):
            self._drop(0, 1)
        if self.count == 0 or seq_lt(start, self.ranges[0].start):
            return None
        found = Chain.__new__(Chain)
        found.move_from(cython.cast(Chain, self.ranges[0].data))
        found.advance(seq_sub(start, self.ranges[0].start))
        self.length -= seq_sub(self.ranges[0].end, self.ranges[0].start)
        self._drop(0, 1)
        return found
