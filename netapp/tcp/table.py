"""The connection table."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free


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
        for i in range(self.mask + 1):
            if self.entries[i].connection != cython.NULL:
                Py_DECREF(cython.cast(object, self.entries[i].connection))
        free(self.entries)

    def insert(self, connection):
        at: uint32_t
        if self.count * 2 > self.mask:
            self._grow()
        at = connection.hash & self.mask
        while self.entries[at].connection != cython.NULL:
            at = (at + 1) & self.mask
        Py_INCREF(connection)
        self.entries[at].connection = cython.cast(cython.pointer(PyObject), connection)
        self.entries[at].hash = connection.hash
        self.count += 1
        return 0

    def remove(self, connection):
        wanted: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), connection)
        at: uint32_t = connection.hash & self.mask
        after: uint32_t
        home: uint32_t
        while self.entries[at].connection != wanted:
            if self.entries[at].connection == cython.NULL:
                return 0
            at = (at + 1) & self.mask
        # Those behind move up, unless they stand nearer to their bucket than the hole is.
        after = at
        while True:
            after = (after + 1) & self.mask
            if self.entries[after].connection == cython.NULL:
                break
            home = self.entries[after].hash & self.mask
            if ((after + self.mask + 1 - home) & self.mask) >= ((after + self.mask + 1 - at) & self.mask):
                self.entries[at] = self.entries[after]
                at = after
        self.entries[at].connection = cython.NULL
        self.count -= 1
        Py_DECREF(connection)
        return 1

    def _grow(self):
        old: cython.pointer(entry_t) = self.entries
        size: uint64_t = cython.cast(uint64_t, self.mask) + 1
        fresh: cython.pointer(entry_t) = cython.cast(cython.pointer(entry_t), calloc(size * 2, cython.sizeof(entry_t)))
        i: uint64_t
        at: uint32_t
        if fresh == cython.NULL:
            raise MemoryError
        self.mask = cython.cast(uint32_t, size * 2 - 1)
        for i in range(size):
            if old[i].connection != cython.NULL:
                at = old[i].hash & self.mask
                while fresh[at].connection != cython.NULL:
                    at = (at + 1) & self.mask
                fresh[at] = old[i]
        self.entries = fresh
        free(old)
        return 0

    def all(self):
        """The connections, as a list of its own."""
        i: uint32_t
        found: list = []
        for i in range(self.mask + 1):
            if self.entries[i].connection != cython.NULL:
                found.append(cython.cast(object, self.entries[i].connection))
        return found
