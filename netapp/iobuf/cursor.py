"""Reading fields, lines and tokens out of a chain, across its views."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memchr, memcpy
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.mix import raw64
from cython.cimports.netapp.iobuf.pool import iobuf_t, new_iobuf, release_slot

_SPACE = cython.declare(cython.int, 32)
_RETURN = cython.declare(cython.int, 13)
_NEWLINE = cython.declare(cython.int, 10)
_LARGEST = cython.declare(uint64_t, 0x7FFFFFFFFFFFFFFF)


class Cursor:
    def __init__(self, chain=None):
        if chain is not None:
            self.reset(chain)

    def _step(self):
        """Goes over to the next view that has bytes; False at the chain's end."""
        while self.view != cython.NULL and self.next == self.limit:
            self.view = self.view.next
            if self.view != cython.NULL:
                self.next = self.view.data
                self.limit = self.view.data + self.view.length
        return self.view != cython.NULL

    def reset(self, chain):
        if chain is None:
            raise TypeError("a cursor needs a chain")
        self.chain = chain
        self.position = 0
        self.line_end = 0
        self.line_view = cython.NULL
        self.view = chain.head
        if self.view != cython.NULL:
            self.next = self.view.data
            self.limit = self.view.data + self.view.length
        return True

    def release(self):
        self.chain = None
        self.view = cython.NULL
        # Nothing lies ahead.
        self.position = self.line_end

    def remaining(self):
        return self.chain.length - self.position

    def skip(self, length):
        if length > self.chain.length - self.position:
            raise EOFError(f"skip({length}) with {self.chain.length - self.position} bytes left")
        self._skip(length)

    def _skip(self, length):
        room: uint64_t
        self.position += length
        while self._step():
            room = self.limit - self.next
            if length <= room:
                self.next += length
                return
            length -= room
            self.next = self.limit

    def _copy(self, to, length):
        """Copies `length` bytes that are there and goes over them."""
        piece: uint64_t
        self.position += length
        while length and self._step():
            piece = self.limit - self.next
            if piece > length:
                piece = length
            memcpy(to, self.next, piece)
            to += piece
            self.next += piece
            length -= piece

    def read(self, length):
        found: bytes
        if length > self.chain.length - self.position:
            raise EOFError(f"read({length}) with {self.chain.length - self.position} bytes left")
        found = PyBytes_FromStringAndSize(cython.NULL, length)
        self._copy(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(found)), length)
        return found

    def take(self, length):
        found: Chain = Chain.__new__(Chain)
        self.take_into(found, length)
        return found

    def take_into(self, chain, length):
        view: cython.pointer(iobuf_t)
        if chain is None or chain is self.chain:
            raise TypeError("take_into() takes another chain")
        if length > self.chain.length - self.position:
            raise EOFError(f"take({length}) with {self.chain.length - self.position} bytes left")
        if length and self._step():
            if length <= cython.cast(uint64_t, self.limit - self.next):
                # All in one view.
                self.view.slot.references += 1
                view = new_iobuf(self.view.slot, self.next, cython.cast(uint32_t, length))
                if view == cython.NULL:
                    release_slot(self.view.slot)
                    raise MemoryError("no memory for another view")
                chain.append_view(view)
                self.next += length
                self.position += length
                return
            if not chain.append_range(self.view, self.next - self.view.data, length):
                raise MemoryError("no memory for another view")
            self._skip(length)

    def find(self, byte, limit=0xFFFFFFFFFFFFFFFF):
        view: cython.pointer(iobuf_t) = self.view
        at: cython.pointer(uint8_t) = self.next
        room: uint64_t
        distance: uint64_t = 0
        hit: cython.p_void
        if view == cython.NULL:
            return -1
        room = self.limit - at
        while True:
            if room > limit - distance:
                room = limit - distance
            if room:
                hit = memchr(at, byte, room)
                if hit != cython.NULL:
                    return distance + cython.cast(uint64_t, cython.cast(cython.pointer(uint8_t), hit) - at)
            distance += room
            view = view.next
            if view == cython.NULL or distance >= limit:
                return -1
            at = view.data
            room = view.length

    def read_uint(self, length):
        value: uint64_t = 0
        i: cython.int
        if length < 1 or length > 8:
            raise ValueError("read_uint() reads 1 to 8 bytes")
        if cython.cast(uint64_t, length) > self.chain.length - self.position:
            raise EOFError(f"read_uint({length}) with {self.chain.length - self.position} bytes left")
        for i in range(length):
            self._step()
            value = (value << 8) | self.next[0]
            self.next += 1
        self.position += length
        return value

    def line(self, limit=0xFFFFFFFFFFFFFFFF):
        distance: int64_t
        room: uint64_t
        hit: cython.pointer(uint8_t)
        before: uint8_t
        if self.view == cython.NULL or (self.next == self.limit and not self._step()):
            return False
        room = self.limit - self.next
        hit = cython.cast(cython.pointer(uint8_t), memchr(self.next, _NEWLINE, room if room < limit else limit))
        if hit != cython.NULL:
            self.line_view = self.view
            self.line_limit = hit + 1
            distance = hit - self.next
            self.line_end = self.position + distance
            if distance > 0 and hit[-1] == _RETURN:
                self.line_end -= 1
            return True
        self.line_view = cython.NULL
        distance = self.find(_NEWLINE, limit)
        if distance < 0:
            return False
        self.line_end = self.position + distance
        self.chain.copy_out(self.line_end - 1, cython.address(before), 1)
        if before == _RETURN:
            self.line_end -= 1
        return True

    def _spaces(self):
        """Goes over spaces; False at the end of the line."""
        while self.position < self.line_end and self._step():
            if self.next[0] != _SPACE:
                return True
            self.next += 1
            self.position += 1
        return False

    def _measure(self):
        """Goes over spaces; the length of the token that begins there, 0 at the end of the line."""
        left: uint64_t
        hit: cython.p_void
        if self.position < self.line_end and self.view == self.line_view:
            left = self.line_end - self.position
            if self.next[0] == _SPACE:
                # Tokens are one space apart, mostly.
                self.next += 1
                self.position += 1
                left -= 1
            if left and self.next[0] != _SPACE:
                hit = memchr(self.next, _SPACE, left)
                if hit != cython.NULL:
                    left = cython.cast(uint64_t, cython.cast(cython.pointer(uint8_t), hit) - self.next)
                self.token_length = left
                return left
        return self._measure_on()

    def _measure_on(self):
        """The same wherever the token lies, in several views or after many spaces."""
        left: uint64_t
        distance: int64_t
        self.token_length = 0
        if not self._spaces():
            return 0
        left = self.line_end - self.position
        distance = self.find(_SPACE, left)
        if distance >= 0:
            left = cython.cast(uint64_t, distance)
        self.token_length = left
        return left

    def token(self):
        length: uint64_t = self._measure()
        found: bytes
        if length == 0:
            return None
        if cython.cast(uint64_t, self.limit - self.next) >= length:
            found = PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.next), length)
            self.next += length
            self.position += length
            return found
        found = PyBytes_FromStringAndSize(cython.NULL, length)
        self._copy(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(found)), length)
        return found

    def look_up(self, table):
        length: uint64_t = self._measure()
        at: cython.pointer(uint8_t) = self.next
        if table is None:
            raise TypeError("look_up() needs a KeyTable")
        if length == 0:
            return None
        if cython.cast(uint64_t, self.limit - at) < length:
            return table.get(self._across(length))
        self.next = at + length
        self.position += length
        return table.find(at, length)

    def _across(self, length):
        """A token that lies in more than one view."""
        found: bytes = PyBytes_FromStringAndSize(cython.NULL, length)
        self._copy(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(found)), length)
        return found

    def more(self):
        return self.position < self.line_end and self._spaces()

    def word(self):
        value: uint64_t
        length: uint64_t
        left: uint64_t
        shift: cython.int = 0
        if self.position < self.line_end and self.limit - self.next > 8 and self.next[0] != _SPACE:
            # All in one view: eight bytes at once.
            value = raw64(self.next)
            length = before_space(value)
            left = self.line_end - self.position
            if length > left:
                length = left
            if length < 8:
                self.token_length = length
                self.next += length
                self.position += length
                return value & ((cython.cast(uint64_t, 1) << (8 * length)) - 1)
        length = self._measure_on()
        if length > 8:
            return 0
        value = 0
        self.position += length
        while length:
            self._step()
            value |= cython.cast(uint64_t, self.next[0]) << shift
            shift += 8
            self.next += 1
            length -= 1
        return value

    def number(self):
        value: uint64_t = 0
        length: uint64_t
        digit: uint64_t
        at: cython.pointer(uint8_t)
        start: cython.pointer(uint8_t)
        if self.position < self.line_end and self.view == self.line_view:
            # The line ends in this view, so its \n ends the walk; up to 18 digits are below 2^63.
            start = self.next
            if start[0] == _SPACE:
                start += 1
            at = start
            while True:
                digit = cython.cast(uint64_t, at[0]) ^ 48
                if digit > 9 or at - start == 18:
                    break
                value = value * 10 + digit
                at += 1
            length = at - self.next
            if at != start and (at[0] == _SPACE or self.position + length == self.line_end):
                self.token_length = at - start
                self.next = at
                self.position += length
                return value
        return self._number_on()

    def _number_on(self):
        """number() of what is longer than 18 digits, in more than one view, or no number."""
        value: uint64_t = 0
        digit: uint64_t
        length: uint64_t = self._measure_on()
        good: cython.bint = length != 0
        self.position += length
        while length:
            self._step()
            digit = cython.cast(uint64_t, self.next[0]) ^ 48
            if digit > 9 or value > _LARGEST // 10 or (value == _LARGEST // 10 and digit > _LARGEST % 10):
                good = False
            else:
                value = value * 10 + digit
            self.next += 1
            length -= 1
        return cython.cast(int64_t, value) if good else -1

    def end_line(self):
        if self.line_view == self.view and self.view != cython.NULL:
            self.position += self.line_limit - self.next
            self.next = self.line_limit
            return
        if self.line_end > self.position:
            self._skip(self.line_end - self.position)
        if self._step() and self.next[0] == _RETURN:
            self.next += 1
            self.position += 1
            self._step()
        if self.view != cython.NULL and self.next[0] == _NEWLINE:
            self.next += 1
            self.position += 1
