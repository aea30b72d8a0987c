"""Clients of a memcached appliance, on a memory wire."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcmp, memcpy
from cython.cimports.netapp.drivers.memory import MemoryEnd
from cython.cimports.netapp.ebb.core import Core, running
from cython.cimports.netapp.iobuf.chain import CHECKSUM_VALID, Chain
from cython.cimports.netapp.iobuf.pool import PLACE_WIRE
from cython.cimports.netapp.tcp.sequence import seq_add
from cython.cimports.netapp.wire.bytes import load16, load32, raw32, store16
from cython.cimports.netapp.wire.checksum import fold, sum_bytes, sum_pseudo_header
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_PSH, FLAG_SYN, OPTION_MSS, write
from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec

_FIRST_PORT = cython.declare(uint32_t, 20000)
_WINDOW = cython.declare(uint16_t, 65535)


class Traffic:
    def __cinit__(
        self,
        core: Core,
        end: MemoryEnd,
        mac: bytes,
        source: bytes,
        destination: bytes,
        port: int,
        connections: int = 64,
        keys: int = 10_000,
        device_checksums: bool = True,
        seed: int = 1,
    ):
        """`core`: the clients', with a pool; `mac` and `destination`: the appliance's; addresses are 4 bytes."""
        i: uint32_t
        k: uint32_t
        c: cython.pointer(connection_t)
        header: bytes
        self.core = core
        self.end = end
        self.queue = end.queue
        self.connection_count = connections
        self.key_count = keys
        self.device_checksums = device_checksums
        self.random = seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF | 1
        self.connections = cython.cast(cython.pointer(connection_t), calloc(connections, cython.sizeof(connection_t)))
        self.keys = cython.cast(cython.pointer(uint8_t), calloc(keys, KEY_BYTES))
        self.lengths = cython.cast(cython.pointer(uint16_t), calloc(keys, 2))
        self.values = cython.cast(cython.pointer(uint8_t), calloc(2 * VALUE_BYTES_MAX, 1))
        if not self.connections or not self.keys or not self.lengths or not self.values:
            raise MemoryError
        for i in range(2 * VALUE_BYTES_MAX):
            self.values[i] = 97 + i % 23
        for i in range(self.key_count):
            header = b"key-%08d-" % i
            for k in range(KEY_BYTES):
                self.keys[i * KEY_BYTES + k] = header[k] if k < 13 else 65 + (i + k) % 26
            # 100 to 1,024 bytes, evenly.
            self.lengths[i] = cython.cast(uint16_t, 100 + self._chance() % 925)
        for i in range(self.connection_count):
            c = cython.address(self.connections[i])
            header = mac + end.mac + b"\x08\x00" + b"\x45\0\0\0\0\0\x40\0\x40\x06\0\0" + source + destination
            memcpy(cython.address(c.header[0]), cython.cast(cython.p_char, header), 34)
            store16(cython.address(c.header[34]), cython.cast(uint16_t, _FIRST_PORT + i))
            store16(cython.address(c.header[36]), cython.cast(uint16_t, port))
            c.seq = 1000 + i
        self.receiver = Replies(self)
        self.queue.set_receiver(self.receiver)

    def __dealloc__(self):
        free(self.connections)
        free(self.keys)
        free(self.lengths)
        free(self.values)

    def _chance(self):
        # xorshift64
        self.random ^= self.random << 13
        self.random ^= self.random >> 7
        self.random ^= self.random << 17
        return self.random >> 11

    def _transmit(self, c, flags, text, length):
        """With SYN, `text` is the options."""
        frame: Chain = Chain.__new__(Chain)
        total: uint32_t = HEADER_BYTES + length
        at: cython.pointer(uint8_t) = frame.reserve_tail(total, PLACE_WIRE)
        if at == cython.NULL:
            raise MemoryError("the clients' pool is exhausted")
        memcpy(at, cython.address(c.header[0]), 38)
        store16(at + 16, cython.cast(uint16_t, total - 14))
        store16(at + 24, 0)
        (cython.cast(cython.pointer(uint16_t), at + 24))[0] = ~fold(sum_bytes(at + 14, 20, 0))
        write(
            at + 34,
            load16(at + 34),
            load16(at + 36),
            c.seq,
            c.ack,
            20 + length if flags & FLAG_SYN else 20,
            flags,
            _WINDOW,
        )
        memcpy(at + HEADER_BYTES, text, length)
        if self.device_checksums:
            frame.offload.flags = CHECKSUM_VALID
        else:
            (cython.cast(cython.pointer(uint16_t), at + 50))[0] = ~fold(
                sum_bytes(at + 34, total - 34, sum_pseudo_header(raw32(at + 26), raw32(at + 30), 6, total - 34))
            )
        if not self.queue.transmit(frame):
            raise BufferError("the wire is full: fewer connections, or a larger ring")
        c.seq = seq_add(c.seq, 1 if flags & FLAG_SYN else length)
        return 0

    def _request(self, c):
        text: uint8_t[1152]
        length: uint32_t
        size: uint32_t
        store: cython.bint
        line: bytes
        if self.sent == self.target:
            c.waiting = NOTHING
            return 0
        if self.next_key < self.key_count:
            c.key = self.next_key
            self.next_key += 1
            store = True
        else:
            c.key = cython.cast(uint32_t, self._chance() % self.key_count)
            store = self._chance() % 10 < self.sets_of_ten
        self.sent += 1
        memcpy(cython.address(text[4]), self.keys + c.key * KEY_BYTES, KEY_BYTES)
        length = 4 + KEY_BYTES
        if store:
            c.waiting = STORED
            memcpy(cython.address(text[0]), b"set ", 4)
            size = self.lengths[c.key]
            line = b" 0 0 %d\r\n" % size
            memcpy(cython.address(text[length]), cython.cast(cython.p_char, line), len(line))
            length += len(line)
            memcpy(cython.address(text[length]), self.values + c.key % VALUE_BYTES_MAX, size)
            length += size
        else:
            c.waiting = VALUE
            self.gets += 1
            memcpy(cython.address(text[0]), b"get ", 4)
        text[length] = 13
        text[length + 1] = 10
        return self._transmit(c, FLAG_PSH | FLAG_ACK, cython.address(text[0]), length + 2)

    def reply(self, frame):
        """A frame for the clients. Replies come whole in one frame: values are below a segment."""
        at: cython.pointer(uint8_t) = frame.head.data
        size: uint32_t = self.lengths[0]
        number: uint32_t
        text: uint32_t
        expected: uint32_t
        c: cython.pointer(connection_t)
        start: uint8_t[80]
        if frame.length < HEADER_BYTES or load16(at + 12) != 0x0800:
            return 0
        number = load16(at + 36) - _FIRST_PORT
        if number >= self.connection_count:
            return 0
        c = cython.address(self.connections[number])
        text = load16(at + 16) - 20 - (at[46] >> 4) * 4
        if c.waiting == HANDSHAKE:
            c.ack = seq_add(load32(at + 38), 1)
            c.waiting = NOTHING
            self.answered += 1
            return self._transmit(c, FLAG_ACK, at, 0)
        if text == 0:
            return 0
        if load32(at + 38) != c.ack:
            self.wrong += 1
            return 0
        c.ack = seq_add(c.ack, text)
        if c.waiting == STORED:
            if text != 8 or frame.length < HEADER_BYTES + 8:
                self.wrong += 1
        else:
            size = self.lengths[c.key]
            expected = 6 + KEY_BYTES + 3 + (4 if size >= 1000 else 3) + 2 + size + 2 + 5
            frame.copy_out(HEADER_BYTES, cython.address(start[0]), 6 + KEY_BYTES)
            if (
                text != expected
                or memcmp(cython.address(start[0]), b"VALUE ", 6)
                or memcmp(cython.address(start[6]), self.keys + c.key * KEY_BYTES, KEY_BYTES)
            ):
                self.wrong += 1
        self.answered += 1
        return self._request(c)

    def connect(self):
        i: uint32_t
        mss: uint8_t[4]
        mss[0] = OPTION_MSS
        mss[1] = 4
        store16(cython.address(mss[2]), 1460)
        with self.core:
            for i in range(self.connection_count):
                self.connections[i].waiting = HANDSHAKE
                self._transmit(cython.address(self.connections[i]), FLAG_SYN, cython.address(mss[0]), 4)
            self.target = self.connection_count
            self.sent = self.connection_count
            self.queue.flush()

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
            for i in range(self.connection_count):
                self._request(cython.address(self.connections[i]))
            self.queue.flush()
        return 0

    def step(self):
        done: cython.int = 0
        outer: Core = running
        # `with` would allocate.
        self.core.activate()
        try:
            done = self.queue.poll(1 << 20)
            self.queue.flush()
        finally:
            self.core.leave(outer)
        return done

    @property
    def finished(self) -> bool:
        return self.answered == self.target


class Replies:
    def __init__(self, traffic: Traffic):
        self.traffic = traffic

    def receive_frame(self, frame):
        return self.traffic.reply(frame)


@cython.cfunc
@cython.exceptval(check=False)
def _now() -> uint64_t:
    time: timespec
    clock_gettime(CLOCK_MONOTONIC, cython.address(time))
    return cython.cast(uint64_t, time.tv_sec) * 1_000_000_000 + time.tv_nsec


class Meter:
    def measured_turn(self, events):
        events.turn()
        return 0

    def run(self, events, clock, traffic, measured):
        spent: uint64_t = 0
        start: uint64_t
        silent: cython.int = 0
        while traffic.answered != traffic.target:
            clock.time += 2000
            start = _now()
            if measured:
                self.measured_turn(events)
            else:
                events.turn()
            spent += _now() - start
            if traffic.step():
                silent = 0
            else:
                silent += 1
                if silent > 1000:
                    raise RuntimeError(f"{traffic.answered} of {traffic.target} replies, then silence")
        return spent
