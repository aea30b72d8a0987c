"""The connection table."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.netapp.net.key import same_key
from cython.cimports.netapp.tcp.connection import Connection

# Places that an insertion moves. The larger array takes half of its own length before it grows again, which is the
# length of the smaller one: one place each time would do.
_PLACES = cython.declare(uint32_t, 8)


@cython.cfunc
@cython.exceptval(check=False)
def _put(entries: cython.pointer(entry_t), mask: uint32_t, entry: entry_t) -> cython.void:
    at: uint32_t = entry.hash & mask
    while entries[at].connection != cython.NULL:
        at = (at + 1) & mask
    entries[at] = entry


@cython.cfunc
@cython.exceptval(check=False)
def _take_out(entries: cython.pointer(entry_t), mask: uint32_t, at: uint32_t) -> cython.void:
    """Those behind move up, unless they stand nearer to their bucket than the hole is."""
    after: uint32_t = at
    home: uint32_t
    while True:
        after = (after + 1) & mask
        if entries[after].connection == cython.NULL:
            break
        home = entries[after].hash & mask
        if ((after + mask + 1 - home) & mask) >= ((after + mask + 1 - at) & mask):
            entries[at] = entries[after]
            at = after
    entries[at].connection = cython.NULL


@cython.cfunc
@cython.exceptval(-2, check=False)
def _place_of(entries: cython.pointer(entry_t), mask: uint32_t, connection: Connection) -> cython.longlong:
    """-1: not there."""
    at: uint32_t = connection.hash & mask
    while entries[at].connection != cython.cast(cython.pointer(PyObject), connection):
        if entries[at].connection == cython.NULL:
            return -1
        at = (at + 1) & mask
    return at


class ConnectionTable:
    def __cinit__(self, secret: bytes):
        """`secret`: 24 random bytes."""
        i: cython.int
        if len(secret) != 24:
            raise ValueError("the table's secret has 24 bytes")
        for i in range(3):
            # Odd, so that a zero half of a key does not fold everything to zero.
            self.secret[i] = int.from_bytes(secret[8 * i : 8 * i + 8], "little") | 1
        self.mask = 63
        self.entries = cython.cast(cython.pointer(entry_t), calloc(self.mask + 1, cython.sizeof(entry_t)))
        if self.entries == cython.NULL:
            raise MemoryError

    def __dealloc__(self):
        i: uint32_t
        if self.entries == cython.NULL:
            return
        if self.before != cython.NULL:
            self._move(self.before_mask + 1)
        for i in range(self.mask + 1):
            if self.entries[i].connection != cython.NULL:
                Py_DECREF(cython.cast(object, self.entries[i].connection))
        free(self.entries)

    def insert(self, connection):
        entry: entry_t
        if self.before != cython.NULL:
            self._move(_PLACES)
        elif self.count * 2 > self.mask:
            self._grow()
        Py_INCREF(connection)
        entry.connection = cython.cast(cython.pointer(PyObject), connection)
        entry.hash = connection.hash
        _put(self.entries, self.mask, entry)
        self.count += 1
        return 0

    def remove(self, connection):
        at: cython.longlong = _place_of(self.entries, self.mask, connection)
        if at >= 0:
            _take_out(self.entries, self.mask, cython.cast(uint32_t, at))
        else:
            at = _place_of(self.before, self.before_mask, connection) if self.before != cython.NULL else -1
            if at < 0:
                return 0
            _take_out(self.before, self.before_mask, cython.cast(uint32_t, at))
        self.count -= 1
        Py_DECREF(connection)
        return 1

    def find_before(self, key, hashed):
        at: uint32_t = hashed & self.before_mask
        found: cython.pointer(PyObject) = cython.NULL
        while self.before[at].connection != cython.NULL:
            if self.before[at].hash == hashed and same_key(
                cython.address(cython.cast(Connection, self.before[at].connection).key), key
            ):
                found = self.before[at].connection
                break
            at = (at + 1) & self.before_mask
        # Also where no more connections come it ends: a second look-up is not for ever.
        self._move(_PLACES)
        return found

    def _grow(self):
        size: uint64_t = (cython.cast(uint64_t, self.mask) + 1) * 2
        # Zeroed by the system page by page, as it is used.
        fresh: cython.pointer(entry_t) = cython.cast(cython.pointer(entry_t), calloc(size, cython.sizeof(entry_t)))
        if fresh == cython.NULL:
            raise MemoryError
        self.before = self.entries
        self.before_mask = self.mask
        self.moved = 0
        self.entries = fresh
        self.mask = cython.cast(uint32_t, size - 1)
        return 0

    def _move(self, places):
        while places and self.moved <= self.before_mask:
            places -= 1
            # Others move up into the place: they go as well.
            while self.before[self.moved].connection != cython.NULL:
                _put(self.entries, self.mask, self.before[self.moved])
                _take_out(self.before, self.before_mask, self.moved)
            self.moved += 1
        if self.moved > self.before_mask:
            free(self.before)
            self.before = cython.NULL

    def all(self):
        """The connections, as a list of its own."""
        i: uint32_t
        found: list = []
        if self.before != cython.NULL:
            self._move(self.before_mask + 1)
        for i in range(self.mask + 1):
            if self.entries[i].connection != cython.NULL:
                found.append(cython.cast(object, self.entries[i].connection))
        return found
