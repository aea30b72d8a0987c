"""A table from byte strings to objects."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcmp
from cython.cimports.netapp.iobuf.mix import hash_bytes


class KeyTable:
    def __cinit__(self, secret: bytes):
        """`secret`: 16 random bytes. Raises MemoryError."""
        if len(secret) != 16:
            raise ValueError("the table's secret has 16 bytes")
        # Odd, so that no key folds everything to zero.
        self.secret[0] = int.from_bytes(secret[:8], "little") | 1
        self.secret[1] = int.from_bytes(secret[8:], "little") | 1
        self.mask = 63
        self.entries = cython.cast(cython.pointer(key_entry_t), calloc(self.mask + 1, cython.sizeof(key_entry_t)))
        if self.entries == cython.NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.entries != cython.NULL:
            self.clear()
            free(self.entries)

    def _seek(self, key, length, hashed):
        at: uint64_t = hashed & self.mask
        entry: cython.pointer(key_entry_t) = cython.address(self.entries[at])
        while entry.key != cython.NULL:
            if entry.hash == cython.cast(uint32_t, hashed) and entry.length == length:
                if memcmp(bytes_of(entry.key), key, length) == 0:
                    break
            at = (at + 1) & self.mask
            entry = cython.address(self.entries[at])
        return entry

    def find(self, key, length):
        hashed: uint64_t = hash_bytes(key, length, self.secret[0], self.secret[1])
        entry: cython.pointer(key_entry_t) = self._seek(key, length, hashed)
        if entry.key == cython.NULL:
            return None
        return cython.cast(object, entry.value)

    def get(self, key):
        if key is None:
            raise TypeError("a key is bytes")
        return self.find(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key)), PyBytes_GET_SIZE(key))

    def put(self, key, value):
        entry: cython.pointer(key_entry_t)
        hashed: uint64_t
        at: cython.pointer(uint8_t)
        length: uint64_t
        if key is None:
            raise TypeError("a key is bytes")
        at = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key))
        length = PyBytes_GET_SIZE(key)
        hashed = hash_bytes(at, length, self.secret[0], self.secret[1])
        entry = self._seek(at, length, hashed)
        if entry.key != cython.NULL:
            before: object = cython.cast(object, entry.value)
            Py_INCREF(value)
            entry.value = cython.cast(cython.pointer(PyObject), value)
            Py_DECREF(before)
            return before
        if 2 * self.count > self.mask:
            self._grow()
            entry = self._seek(at, length, hashed)
        Py_INCREF(key)
        Py_INCREF(value)
        entry.key = cython.cast(cython.pointer(PyObject), key)
        entry.value = cython.cast(cython.pointer(PyObject), value)
        entry.hash = cython.cast(uint32_t, hashed)
        entry.length = cython.cast(uint32_t, length)
        self.count += 1
        return None

    @cython.overflowcheck(False)
    def pop(self, key):
        entry: cython.pointer(key_entry_t)
        start: cython.pointer(uint8_t)
        length: uint64_t
        at: uint64_t
        after: uint64_t
        home: uint64_t
        if key is None:
            raise TypeError("a key is bytes")
        start = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key))
        length = PyBytes_GET_SIZE(key)
        entry = self._seek(start, length, hash_bytes(start, length, self.secret[0], self.secret[1]))
        if entry.key == cython.NULL:
            return None
        held: object = cython.cast(object, entry.key)
        value: object = cython.cast(object, entry.value)
        # Those behind move up, unless they stand nearer to their bucket than the hole is.
        at = entry - self.entries
        after = at
        while True:
            after = (after + 1) & self.mask
            if self.entries[after].key == cython.NULL:
                break
            home = self.entries[after].hash & self.mask
            if ((after - home) & self.mask) >= ((after - at) & self.mask):
                self.entries[at] = self.entries[after]
                at = after
        self.entries[at].key = cython.NULL
        self.count -= 1
        Py_DECREF(held)
        Py_DECREF(value)
        return value

    def _grow(self):
        old: cython.pointer(key_entry_t) = self.entries
        size: uint64_t = self.mask + 1
        fresh: cython.pointer(key_entry_t) = cython.cast(
            cython.pointer(key_entry_t), calloc(2 * size, cython.sizeof(key_entry_t))
        )
        i: uint64_t
        at: uint64_t
        if fresh == cython.NULL:
            raise MemoryError
        self.mask = 2 * size - 1
        for i in range(size):
            if old[i].key != cython.NULL:
                at = old[i].hash & self.mask
                while fresh[at].key != cython.NULL:
                    at = (at + 1) & self.mask
                fresh[at] = old[i]
        self.entries = fresh
        free(old)
        return 0

    def clear(self):
        i: uint64_t
        key: cython.pointer(PyObject)
        for i in range(self.mask + 1):
            key = self.entries[i].key
            if key != cython.NULL:
                self.entries[i].key = cython.NULL
                self.count -= 1
                Py_DECREF(cython.cast(object, key))
                Py_DECREF(cython.cast(object, self.entries[i].value))

    def __len__(self):
        return self.count

    def __contains__(self, key: bytes):
        return self.get(key) is not None

    def __iter__(self):
        """The values, as a list's iterator."""
        i: uint64_t
        found: list = []
        for i in range(self.mask + 1):
            if self.entries[i].key != cython.NULL:
                found.append(cython.cast(object, self.entries[i].value))
        return iter(found)
