"""Clients of a node on a memory wire."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.drivers.memory import MemoryEnd
from cython.cimports.netapp.ebb.core import Core, running
from cython.cimports.netapp.iobuf.chain import CHECKSUM_VALID, Chain
from cython.cimports.netapp.iobuf.pool import PLACE_WIRE
from cython.cimports.netapp.tcp.sequence import seq_add
from cython.cimports.netapp.wire.bytes import load16, load32, raw32, store16, store32
from cython.cimports.netapp.wire.checksum import fold, sum_bytes, sum_pseudo_header
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_FIN, FLAG_SYN, OPTION_MSS, write
from cython.cimports.posix.time import CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

ADDRESS_PORTS = PORTS

_WINDOW = cython.declare(uint16_t, 65535)


class Clients:
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
    ):
        """`core`: the clients', with a pool; `mac` and `destination`: the node's; addresses are 4 bytes, `source` the
        first of as many as the ports need."""
        i: uint32_t
        c: cython.pointer(client_t)
        header: bytes = mac + end.mac + b"\x08\x00" + b"\x45\0\0\0\0\0\x40\0\x40\x06\0\0" + source + destination
        self.core = core
        self.end = end
        self.queue = end.queue
        self.client_count = connections
        self.first_address = int.from_bytes(source)
        self.device_checksums = device_checksums
        self.clients = cython.cast(cython.pointer(client_t), calloc(connections, cython.sizeof(client_t)))
        if not self.clients:
            raise MemoryError
        for i in range(self.client_count):
            c = cython.address(self.clients[i])
            memcpy(cython.address(c.header[0]), cython.cast(cython.p_char, header), 34)
            store32(cython.address(c.header[26]), self.first_address + i // PORTS)
            store16(cython.address(c.header[34]), cython.cast(uint16_t, FIRST_PORT + i % PORTS))
            store16(cython.address(c.header[36]), cython.cast(uint16_t, port))
            c.seq = 1000 + i
        self.receiver = Arrivals(self)
        self.queue.set_receiver(self.receiver)

    def __dealloc__(self):
        free(self.clients)

    def transmit(self, c, flags, text, length):
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
            raise BufferError("the wire is full: fewer connections at a time, or a larger ring")
        if not flags & FLAG_SYN:
            c.seq = seq_add(c.seq, length)
        if flags & (FLAG_SYN | FLAG_FIN):
            c.seq = seq_add(c.seq, 1)
        return 0

    @cython.overflowcheck(False)  # what is for others lies beyond the clients, on either side
    def receive(self, frame):
        """A frame for the clients. Answers come whole in one frame: they are below a segment."""
        at: cython.pointer(uint8_t) = frame.head.data
        number: uint32_t
        c: cython.pointer(client_t)
        if frame.length >= ARP_BYTES and load16(at + 12) == 0x0806:
            return self._answer_arp(at)
        if frame.length < HEADER_BYTES or load16(at + 12) != 0x0800:
            return 0
        number = (load32(at + 30) - self.first_address) * PORTS + load16(at + 36) - FIRST_PORT
        if number >= self.client_count:
            return 0
        c = cython.address(self.clients[number])
        if not c.connected:
            c.ack = seq_add(load32(at + 38), 1)
            c.connected = True
            self.answered += 1
            return self.transmit(c, FLAG_ACK, at, 0)
        return self.arrived(number, frame, load16(at + 16) - 20 - (at[46] >> 4) * 4)

    @cython.overflowcheck(False)
    def _answer_arp(self, request):
        """The node asks again after a minute whether its clients are still there."""
        frame: Chain
        at: cython.pointer(uint8_t)
        address: uint32_t = load32(request + 38)
        if load16(request + 20) != 1 or address - self.first_address > (self.client_count - 1) // PORTS:
            return 0
        frame = Chain.__new__(Chain)
        at = frame.reserve_tail(ARP_BYTES, PLACE_WIRE)
        if at == cython.NULL:
            raise MemoryError("the clients' pool is exhausted")
        memcpy(at, cython.address(self.clients[0].header[0]), 12)
        memcpy(at + 12, request + 12, 8)
        store16(at + 20, 2)
        memcpy(at + 22, at + 6, 6)
        store32(at + 28, address)
        memcpy(at + 32, request + 22, 10)
        if not self.queue.transmit(frame):
            raise BufferError("the wire is full: fewer connections at a time, or a larger ring")
        return 0

    def arrived(self, number, frame, length):
        return 0

    def offer(self):
        return 0

    def connect(self, first, count):
        i: uint32_t
        mss: uint8_t[4]
        mss[0] = OPTION_MSS
        mss[1] = 4
        store16(cython.address(mss[2]), 1460)
        self.answered = 0
        self.target = count
        with self.core:
            for i in range(first, first + count):
                self.transmit(cython.address(self.clients[i]), FLAG_SYN, cython.address(mss[0]), 4)
            self.queue.flush()

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


class Arrivals:
    def __init__(self, clients: Clients):
        self.clients = clients

    def receive_frame(self, frame):
        return self.clients.receive(frame)


def now_by(clock):
    time: timespec
    clock_gettime(clock, cython.address(time))
    return cython.cast(uint64_t, time.tv_sec) * 1_000_000_000 + time.tv_nsec


class Meter:
    def measured_turn(self, events):
        events.turn()
        return 0

    def mark(self):
        return 0

    def count(self):
        self.mark()

    def run(self, events, clock, clients, measured, pace=2000):
        spent: uint64_t = 0
        used: uint64_t
        start: uint64_t
        silent: cython.int = 0
        sent: cython.int
        idle: int64_t
        while clients.answered != clients.target:
            sent = clients.offer()
            clock.time += pace
            used = now_by(CLOCK_THREAD_CPUTIME_ID)
            start = now_by(CLOCK_MONOTONIC)
            if measured:
                self.measured_turn(events)
            else:
                events.turn()
            spent += now_by(CLOCK_MONOTONIC) - start
            used = now_by(CLOCK_THREAD_CPUTIME_ID) - used
            if used > self.longest:
                self.longest = used
            if clients.step() or sent:
                silent = 0
                continue
            silent += 1
            if silent > 1000:
                raise RuntimeError(f"{clients.answered} of {clients.target} answers, then silence")
            idle = events.idle_time()
            if idle > 0:
                clock.time += cython.cast(uint64_t, idle)
        return spent
