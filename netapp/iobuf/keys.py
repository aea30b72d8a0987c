"""A table of objects by their keys."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcmp
from cython.cimports.netapp.iobuf.mix import hash_bytes
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    munmap,
)

_LEAST = cython.declare(uint64_t, 64)  # places
# Places that a change moves. An array takes at least an eighth of the former one's places in changes before the next
# one follows: eight would do.
_PLACES = cython.declare(uint64_t, 16)
# Places of the former array whose memory goes back at once: a power of two, and a whole number of pages.
_RELEASED = cython.declare(uint64_t, 8192)


@cython.cfunc
@cython.exceptval(check=False)
def _array(places: uint64_t) -> cython.pointer(key_entry_t):
    """Zeroed by the system page by page, as it is used: however large, it takes no time here. NULL: no memory."""
    memory: cython.p_void = mmap(
        cython.NULL,
        places * cython.sizeof(key_entry_t),
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0,
    )
    return cython.NULL if memory == MAP_FAILED else cython.cast(cython.pointer(key_entry_t), memory)


@cython.cfunc
@cython.exceptval(check=False)
def _free(entries: cython.pointer(key_entry_t), places: uint64_t) -> cython.void:
    munmap(entries, places * cython.sizeof(key_entry_t))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _seek(
    entries: cython.pointer(key_entry_t),
    mask: uint64_t,
    key: cython.pointer(cython.const[uint8_t]),
    length: uint64_t,
    hashed: uint64_t,
) -> cython.pointer(key_entry_t):
    """Its entry, or a free one."""
    at: uint64_t = hashed & mask
    entry: cython.pointer(key_entry_t) = cython.address(entries[at])
    while entry.value != cython.NULL:
        if entry.hash == cython.cast(uint32_t, hashed) and entry.length == length:
            if memcmp(cython.cast(Keyed, entry.value).key_start, key, length) == 0:
                break
        at = (at + 1) & mask
        entry = cython.address(entries[at])
    return entry


@cython.cfunc
@cython.exceptval(check=False)
@cython.overflowcheck(False)
def _take_out(entries: cython.pointer(key_entry_t), mask: uint64_t, at: uint64_t) -> cython.void:
    """Those behind move up, unless they stand nearer to their bucket than the hole is."""
    after: uint64_t = at
    home: uint64_t
    while True:
        after = (after + 1) & mask
        if entries[after].value == cython.NULL:
            break
        home = entries[after].hash & mask
        if ((after - home) & mask) >= ((after - at) & mask):
            entries[at] = entries[after]
            at = after
    entries[at].value = cython.NULL


@cython.cfunc
@cython.exceptval(check=False)
def _put(entries: cython.pointer(key_entry_t), mask: uint64_t, entry: key_entry_t) -> cython.void:
    at: uint64_t = entry.hash & mask
    while entries[at].value != cython.NULL:
        at = (at + 1) & mask
    entries[at] = entry


class Keyed:
    """Its key is what a subclass says."""


class Named:
    def __init__(self, key: bytes):
        self.key = key
        self.key_start = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key))
        self.key_length = cython.cast(uint32_t, PyBytes_GET_SIZE(key))


class KeyTable:
    def __cinit__(self, secret: bytes):
        """`secret`: 16 random bytes. Raises MemoryError."""
        if len(secret) != 16:
            raise ValueError("the table's secret has 16 bytes")
        # Odd, so that no key folds everything to zero.
        self.secret[0] = int.from_bytes(secret[:8], "little") | 1
        self.secret[1] = int.from_bytes(secret[8:], "little") | 1
        self.entries = _array(_LEAST)
        if self.entries == cython.NULL:
            raise MemoryError
        self.mask = _LEAST - 1
        self.most = _LEAST // 2
        self.memory = _LEAST * cython.sizeof(key_entry_t)

    def __dealloc__(self):
        if self.entries != cython.NULL:
            self.clear()
            _free(self.entries, self.mask + 1)

    def find(self, key, length):
        hashed: uint64_t = hash_bytes(key, length, self.secret[0], self.secret[1])
        entry: cython.pointer(key_entry_t) = _seek(self.entries, self.mask, key, length, hashed)
        if entry.value == cython.NULL:
            if self.before == cython.NULL:
                return None
            entry = self._seek_before(key, length, hashed)
            if entry == cython.NULL:
                return None
        return cython.cast(object, entry.value)

    def _seek_before(self, key, length, hashed):
        entry: cython.pointer(key_entry_t)
        if self.before == cython.NULL:
            return cython.NULL
        # Where nothing changes any more it ends, too: a second look is not for ever.
        self._move(_PLACES)
        # What belongs to a place that is empty for good has moved, and the place's memory may be gone.
        if self.before != cython.NULL and hashed & self.before_mask >= self.moved:
            entry = _seek(self.before, self.before_mask, key, length, hashed)
            if entry.value != cython.NULL:
                return entry
        # It may have moved just now.
        entry = _seek(self.entries, self.mask, key, length, hashed)
        return entry if entry.value != cython.NULL else cython.NULL

    def get(self, key):
        if key is None:
            raise TypeError("a key is bytes")
        return self.find(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key)), PyBytes_GET_SIZE(key))

    def put(self, value):
        entry: cython.pointer(key_entry_t)
        hashed: uint64_t
        if value is None or value.key_start == cython.NULL:
            raise TypeError("a table holds what has a key")
        at: cython.pointer(cython.const[uint8_t]) = value.key_start
        length: uint64_t = value.key_length
        hashed = hash_bytes(at, length, self.secret[0], self.secret[1])
        entry = _seek(self.entries, self.mask, at, length, hashed)
        if entry.value == cython.NULL and self.before != cython.NULL:
            entry = self._seek_before(at, length, hashed)
            if entry == cython.NULL:
                entry = _seek(self.entries, self.mask, at, length, hashed)
        if entry.value != cython.NULL:
            former: object = cython.cast(object, entry.value)
            Py_INCREF(value)
            entry.value = cython.cast(cython.pointer(PyObject), value)
            Py_DECREF(former)
            return former
        if self.count >= self.most and self.before == cython.NULL:
            if not self._resize(2 * (self.mask + 1)):
                raise MemoryError
            entry = _seek(self.entries, self.mask, at, length, hashed)
        Py_INCREF(value)
        entry.value = cython.cast(cython.pointer(PyObject), value)
        entry.hash = cython.cast(uint32_t, hashed)
        entry.length = cython.cast(uint32_t, length)
        self.count += 1
        return None

    def take_out(self, key, length):
        hashed: uint64_t = hash_bytes(key, length, self.secret[0], self.secret[1])
        entry: cython.pointer(key_entry_t) = _seek(self.entries, self.mask, key, length, hashed)
        if entry.value == cython.NULL:
            entry = self._seek_before(key, length, hashed)
            if entry == cython.NULL:
                return None
        value: object = cython.cast(object, entry.value)
        if self.entries <= entry and entry <= self.entries + self.mask:
            _take_out(self.entries, self.mask, entry - self.entries)
        else:
            _take_out(self.before, self.before_mask, entry - self.before)
        self.count -= 1
        Py_DECREF(value)
        if self.before != cython.NULL:
            # Done after a 64th as many removals: before the new array, too, is large for what is left.
            self._move(4 * _PLACES)
        elif 16 * self.count <= self.mask and self.mask >= 4 * _LEAST:
            # Without the memory for a smaller one it keeps the large one: the key is out in any case.
            self._resize((self.mask + 1) // 4)
        return value

    def pop(self, key):
        if key is None:
            raise TypeError("a key is bytes")
        return self.take_out(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key)), PyBytes_GET_SIZE(key))

    def remove(self, value):
        if value is None or value.key_start == cython.NULL:
            raise TypeError("a table holds what has a key")
        return self.take_out(value.key_start, value.key_length)

    def crowd(self):
        if self.count < 3 * ((self.mask + 1) // 4):
            self.most = self.count + 1

    def _resize(self, places):
        fresh: cython.pointer(key_entry_t) = _array(places)
        if fresh == cython.NULL:
            return False
        self.before = self.entries
        self.before_mask = self.mask
        self.moved = 0
        self.entries = fresh
        self.mask = places - 1
        self.most = places // 2
        self.memory += places * cython.sizeof(key_entry_t)
        return True

    def _move(self, places):
        while places and self.moved <= self.before_mask:
            places -= 1
            # Others move up into the place: they go as well.
            while self.before[self.moved].value != cython.NULL:
                _put(self.entries, self.mask, self.before[self.moved])
                _take_out(self.before, self.before_mask, self.moved)
            self.moved += 1
            # To give a large array back at once would take as long as moving it, and its page tables alone 0.3 ms at
            # 800 MB. The first piece stays to the end: a look-up that passes the last place ends at place 0.
            if self.moved % _RELEASED == 0 and self.moved != _RELEASED:
                _free(self.before + (self.moved - _RELEASED), _RELEASED)
                self.memory -= _RELEASED * cython.sizeof(key_entry_t)
        if self.moved > self.before_mask:
            # Its length is a power of two as the piece's is: nothing else is left.
            _free(self.before, min(self.before_mask + 1, _RELEASED))
            self.memory -= min(self.before_mask + 1, _RELEASED) * cython.sizeof(key_entry_t)
            self.before = cython.NULL

    def clear(self):
        i: uint64_t
        value: cython.pointer(PyObject)
        if self.before != cython.NULL:
            self._move(self.before_mask + 1)
        for i in range(self.mask + 1):
            value = self.entries[i].value
            if value != cython.NULL:
                self.entries[i].value = cython.NULL
                self.count -= 1
                Py_DECREF(cython.cast(object, value))

    def __len__(self):
        return self.count

    def __contains__(self, key: bytes):
        return self.get(key) is not None

    def __iter__(self):
        """The values, as a list's iterator."""
        i: uint64_t
        found: list = []
        if self.before != cython.NULL:
            self._move(self.before_mask + 1)
        for i in range(self.mask + 1):
            if self.entries[i].value != cython.NULL:
                found.append(cython.cast(object, self.entries[i].value))
        return iter(found)
