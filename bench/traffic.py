"""Clients of a memcached appliance, on a memory wire."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.clients import HEADER_BYTES, Clients, client_t
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcmp, memcpy
from cython.cimports.netapp.drivers.memory import MemoryEnd
from cython.cimports.netapp.ebb.core import Core
from cython.cimports.netapp.tcp.sequence import seq_add
from cython.cimports.netapp.wire.bytes import load32
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_PSH


class Traffic:
    def __init__(
        self,
        core: Core,
        end: MemoryEnd,
        mac: bytes,
        source: bytes,
        destination: bytes,
        port: int,
        connections: int = 64,
        device_checksums: bool = True,
        keys: int = 10_000,
        seed: int = 1,
    ):
        i: uint32_t
        k: uint32_t
        header: bytes
        Clients.__init__(self, core, end, mac, source, destination, port, connections, device_checksums)
        self.key_count = keys
        self.random = seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF | 1
        self.requests = cython.cast(cython.pointer(request_t), calloc(connections, cython.sizeof(request_t)))
        self.keys = cython.cast(cython.pointer(uint8_t), calloc(keys, KEY_BYTES))
        self.lengths = cython.cast(cython.pointer(uint16_t), calloc(keys, 2))
        self.values = cython.cast(cython.pointer(uint8_t), calloc(2 * VALUE_BYTES_MAX, 1))
        if not self.requests or not self.keys or not self.lengths or not self.values:
            raise MemoryError
        for i in range(2 * VALUE_BYTES_MAX):
            self.values[i] = 97 + i % 23
        for i in range(self.key_count):
            header = b"key-%08d-" % i
            for k in range(KEY_BYTES):
                self.keys[i * KEY_BYTES + k] = header[k] if k < 13 else 65 + (i + k) % 26
            # 100 to 1,024 bytes, evenly.
            self.lengths[i] = cython.cast(uint16_t, 100 + self._chance() % 925)

    def __dealloc__(self):
        free(self.requests)
        free(self.keys)
        free(self.lengths)
        free(self.values)

    @cython.overflowcheck(False)
    def _chance(self):
        # xorshift64
        self.random ^= self.random << 13
        self.random ^= self.random >> 7
        self.random ^= self.random << 17
        return self.random >> 11

    def _request(self, number):
        r: cython.pointer(request_t) = cython.address(self.requests[number])
        text: uint8_t[1152]
        length: uint32_t
        size: uint32_t
        store: cython.bint
        line: bytes
        if self.sent == self.target:
            r.waiting = NOTHING
            return 0
        if self.next_key < self.key_count:
            r.key = self.next_key
            self.next_key += 1
            store = True
        else:
            r.key = cython.cast(uint32_t, self._chance() % self.key_count)
            store = self._chance() % 10 < self.sets_of_ten
        self.sent += 1
        memcpy(cython.address(text[4]), self.keys + r.key * KEY_BYTES, KEY_BYTES)
        length = 4 + KEY_BYTES
        if store:
            r.waiting = STORED
            memcpy(cython.address(text[0]), b"set ", 4)
            size = self.lengths[r.key]
            line = b" 0 0 %d\r\n" % size
            memcpy(cython.address(text[length]), cython.cast(cython.p_char, line), len(line))
            length += len(line)
            memcpy(cython.address(text[length]), self.values + r.key % VALUE_BYTES_MAX, size)
            length += size
        else:
            r.waiting = VALUE
            self.gets += 1
            memcpy(cython.address(text[0]), b"get ", 4)
        text[length] = 13
        text[length + 1] = 10
        return self.transmit(
            cython.address(self.clients[number]), FLAG_PSH | FLAG_ACK, cython.address(text[0]), length + 2
        )

    def arrived(self, number, frame, length):
        c: cython.pointer(client_t) = cython.address(self.clients[number])
        r: cython.pointer(request_t) = cython.address(self.requests[number])
        size: uint32_t
        expected: uint32_t
        start: uint8_t[80]
        if length == 0:
            return 0
        if load32(frame.head.data + 38) != c.ack:
            self.wrong += 1
            return 0
        c.ack = seq_add(c.ack, length)
        if r.waiting == STORED:
            if length != 8 or frame.length < HEADER_BYTES + 8:
                self.wrong += 1
        else:
            size = self.lengths[r.key]
            expected = 6 + KEY_BYTES + 3 + (4 if size >= 1000 else 3) + 2 + size + 2 + 5
            frame.copy_out(HEADER_BYTES, cython.address(start[0]), 6 + KEY_BYTES)
            if (
                length != expected
                or memcmp(cython.address(start[0]), b"VALUE ", 6)
                or memcmp(cython.address(start[6]), self.keys + r.key * KEY_BYTES, KEY_BYTES)
            ):
                self.wrong += 1
        self.answered += 1
        return self._request(number)

    def store_all(self):
        self.next_key = 0
        self._begin(self.key_count, 0)

    def mix(self, requests, sets_of_ten):
        self.next_key = self.key_count
        self._begin(requests, sets_of_ten)

    def _begin(self, requests, sets_of_ten):
        i: uint32_t
        self.sets_of_ten = sets_of_ten
        self.gets = 0
        self.sent = 0
        self.answered = 0
        self.target = requests
        with self.core:
            for i in range(self.client_count):
                self._request(i)
            self.queue.flush()
        return 0
