"""What a cache is asked."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.math import M_PI, cos, exp, log, pow, sqrt
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdio import snprintf
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcmp, memcpy, strlen

# Zipf's exponent: that of YCSB (Cooper, SoCC 2010), whose workloads caches are compared by.
_EXPONENT = cython.declare(cython.double, 0.99)
_MEAN = cython.declare(cython.double, 1024)
# Of the logarithm: one value in a million would be longer than 1 MiB.
_SPREAD = cython.declare(cython.double, 1.8)

_MULTIPLIER = cython.declare(uint64_t, 0x2545F4914F6CDD1D)
_GOLDEN = cython.declare(uint32_t, 2654435761)
_CRLF = cython.declare(cython.p_char, b"\r\n")
_END = cython.declare(cython.p_char, b"\r\nEND\r\n")


class Trace:
    def __init__(self, keys: int, seed: int = 1):
        i: uint32_t
        normal: cython.double
        middle: cython.double = log(_MEAN) - _SPREAD * _SPREAD / 2
        self.keys = keys
        self.random = seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF | 1
        self.lengths = cython.cast(cython.pointer(uint32_t), calloc(keys, cython.sizeof(uint32_t)))
        self.values = cython.cast(cython.pointer(uint8_t), calloc(LONGEST + STARTS, 1))
        if not self.lengths or not self.values:
            raise MemoryError
        for i in range(LONGEST + STARTS):
            self.values[i] = cython.cast(uint8_t, 33 + 90 * self._even())
        for i in range(self.keys):
            normal = sqrt(-2 * log(1 - self._even())) * cos(2 * M_PI * self._even())
            self.lengths[i] = cython.cast(uint32_t, min(exp(middle + _SPREAD * normal), LONGEST))
        self.one_less_s = 1 - _EXPONENT
        self.first = self._integral(1.5) - 1
        self.last = self._integral(self.keys + 0.5)
        self.sure = 2 - self._inverse(self._integral(2.5) - pow(2, -_EXPONENT))

    def __dealloc__(self):
        free(self.lengths)
        free(self.values)

    def _even(self):
        """xorshift64*; from 0 to below 1."""
        self.random ^= self.random >> 12
        self.random ^= self.random << 25
        self.random ^= self.random >> 27
        return (self.random * _MULTIPLIER >> 11) * 1.1102230246251565e-16  # 2 ** -53

    def _integral(self, x):
        return (pow(x, self.one_less_s) - 1) / self.one_less_s

    def _inverse(self, y):
        return pow(1 + y * self.one_less_s, 1 / self.one_less_s)

    def draw(self):
        """Rejection-inversion (Hörmann and Derflinger, ACM TOMACS 6(3), 1996): no table of the keys' chances."""
        even: cython.double
        x: cython.double
        rank: cython.double
        while True:
            even = self.last + self._even() * (self.first - self.last)
            x = self._inverse(even)
            rank = cython.cast(cython.double, cython.cast(uint64_t, x + 0.5))
            rank = min(max(rank, 1), self.keys)
            if rank - x <= self.sure or even >= self._integral(rank + 0.5) - pow(rank, -_EXPONENT):
                return cython.cast(uint32_t, rank) - 1

    def _key(self, key, to):
        i: uint32_t
        length: uint32_t = KEY_LEAST + key * _GOLDEN // 65536 % (KEY_MOST - KEY_LEAST + 1)
        rest: uint32_t = key
        for i in range(10):
            to[9 - i] = 48 + rest % 10
            rest //= 10
        for i in range(10, length):
            to[i] = 97 + (key + i) % 26
        return length

    def _line(self, text, word, key, zeros, value):
        at: cython.pointer(uint8_t) = cython.address(text.head[0])
        length: uint32_t = strlen(word)
        memcpy(at, word, length)
        length += self._key(key, at + length)
        text.key = key
        text.body = self.lengths[key] if value else 0
        if value:
            length += snprintf(
                cython.cast(cython.p_char, at + length), HEAD_MOST - length, b"%s %u\r\n", zeros, text.body
            )
        else:
            memcpy(at + length, _CRLF, 2)
            length += 2
        text.head_length = length

    def get(self, asked, key):
        asked.key = key
        asked.stores = asked.found = False
        asked.came = 0
        self._line(cython.address(asked.text), b"get ", key, b"", False)
        asked.text.tail_length = 0
        asked.text.length = asked.text.head_length

    def set(self, asked, key):
        asked.key = key
        asked.stores = True
        asked.found = False
        asked.came = 0
        self._line(cython.address(asked.text), b"set ", key, b" 0 0", True)
        asked.text.tail = _CRLF
        asked.text.tail_length = 2
        asked.text.length = asked.text.head_length + asked.text.body + 2

    def copy(self, text, offset, to, length):
        part: uint64_t
        body_end: uint64_t = text.head_length + text.body
        if offset < text.head_length:
            part = min(length, text.head_length - offset)
            memcpy(to, cython.address(text.head[0]) + offset, part)
            to += part
            offset += part
            length -= part
        if length != 0 and offset < body_end:
            part = min(length, body_end - offset)
            memcpy(to, self.values + (text.key % STARTS + offset - text.head_length), part)
            to += part
            offset += part
            length -= part
        if length != 0:
            memcpy(to, text.tail + (offset - body_end), length)

    def answer(self, asked, at, length):
        text: cython.pointer(text_t) = cython.address(asked.text)
        expected: uint8_t[4096]
        part: uint64_t
        used: uint64_t = 0
        if asked.came == 0:
            text.body = text.tail_length = 0
            if asked.stores:
                text.head_length = 8
                memcpy(cython.address(text.head[0]), b"STORED\r\n", 8)
            elif at[0] == 69:
                text.head_length = 5
                memcpy(cython.address(text.head[0]), b"END\r\n", 5)
            else:
                asked.found = True
                self._line(text, b"VALUE ", asked.key, b" 0", True)
                text.tail = _END
                text.tail_length = 7
            text.length = text.head_length + text.body + text.tail_length
        length = min(length, text.length - asked.came)
        while used != length:
            part = min(length - used, 4096)
            self.copy(text, asked.came, cython.address(expected[0]), part)
            if memcmp(cython.address(expected[0]), at + used, part) != 0:
                raise RuntimeError(
                    f"key {asked.key}: {bytes(at[used : used + part][:80])!r} instead of"
                    f" {bytes(expected[:part][:80])!r}, {asked.came} bytes into the answer"
                )
            asked.came += part
            used += part
        return length

    def next_keys(self, count):
        """For tests."""
        i: uint32_t
        return [self.draw() for i in range(count)]

    def value_length(self, key):
        return self.lengths[key]


class Pipeline:
    def __init__(self, trace: Trace, most: int):
        """`most`: gets of a batch."""
        self.trace = trace
        self.most = most
        self.asked = cython.cast(cython.pointer(asked_t), calloc(2 * most, cython.sizeof(asked_t)))
        if not self.asked:
            raise MemoryError

    def __dealloc__(self):
        free(self.asked)

    def ask(self, gets):
        i: uint32_t
        count: uint32_t = 0
        length: uint64_t = 0
        key: uint32_t
        for i in range(self.count):
            if not self.asked[i].stores and not self.asked[i].found:
                key = self.asked[i].key
                self.trace.set(cython.address(self.asked[count]), key)
                count += 1
        for i in range(min(gets, self.most)):
            self.trace.get(cython.address(self.asked[count]), self.trace.draw())
            count += 1
            self.gets += 1
        self.count = count
        self.at = 0
        for i in range(count):
            length += self.asked[i].text.length
        text: bytes = PyBytes_FromStringAndSize(cython.NULL, length)
        to: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(text))
        for i in range(count):
            length = self.asked[i].text.length
            self.trace.copy(cython.address(self.asked[i].text), 0, to, length)
            to += length
        return text

    def take(self, data):
        used: uint64_t = 0
        length: uint64_t = len(data)
        at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
        asked: cython.pointer(asked_t)
        while used != length:
            if self.at == self.count:
                raise RuntimeError("more was answered than asked")
            asked = cython.address(self.asked[self.at])
            used += self.trace.answer(asked, at + used, length - used)
            if asked.came == asked.text.length:
                self.at += 1
                self.hits += asked.found
        return self.at == self.count
