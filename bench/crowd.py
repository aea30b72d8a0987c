"""Many clients of a small service."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.clients import client_t
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.netapp.ebb.core import Core, running
from cython.cimports.netapp.tcp.sequence import seq_add
from cython.cimports.netapp.wire.bytes import load32
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_FIN, FLAG_PSH

KINDS = {"request": REQUEST, "acknowledgment": ACKNOWLEDGMENT, "text": TEXT, "end": END}
AT_ONCE = IN_A_TURN

_REPLY = b"r" * TEXT_BYTES
_REPLY_PLEASE = cython.declare(uint8_t, 0x72)
_CLOSE_PLEASE = cython.declare(uint8_t, 0x63)


class Service:
    def receive(self, data):
        what: uint8_t = data.head.data[0]
        if what == _REPLY_PLEASE:
            self.connection.send(_REPLY)
        elif what == _CLOSE_PLEASE:
            self.connection.close()


class Crowd:
    def begin(self, kind, first, count):
        """A round of this kind; what is sent, offer() sends."""
        self.kind = kind
        self.first = first
        self.count = count
        self.visited = 0
        self.answered = 0
        self.target = count

    def offer(self):
        sent: cython.int = 0
        outer: Core = running
        if self.visited == self.count:
            return 0
        self.core.activate()
        try:
            while sent < IN_A_TURN and self.visited < self.count:
                sent += 1
                self._act(self.first + cython.cast(uint32_t, cython.cast(uint64_t, self.visited) * STRIDE % self.count))
                self.visited += 1
            self.queue.flush()
        finally:
            self.core.leave(outer)
        return sent

    def _act(self, number):
        c: cython.pointer(client_t) = cython.address(self.clients[number])
        text: uint8_t[TEXT_BYTES]
        if self.kind == ACKNOWLEDGMENT:
            self.answered += 1  # nothing comes back
            return self.transmit(c, FLAG_ACK, cython.address(c.header[0]), 0)
        memset(cython.address(text[0]), 0, TEXT_BYTES)
        if self.kind == REQUEST:
            text[0] = _REPLY_PLEASE
        elif self.kind == END:
            text[0] = _CLOSE_PLEASE
        return self.transmit(c, FLAG_PSH | FLAG_ACK, cython.address(text[0]), TEXT_BYTES)

    def arrived(self, number, frame, length):
        c: cython.pointer(client_t) = cython.address(self.clients[number])
        at: cython.pointer(uint8_t) = frame.head.data
        if (
            load32(at + 38) != c.ack
            or load32(at + 42) != c.seq
            or length != (TEXT_BYTES if self.kind == REQUEST else 0)
        ):
            self.wrong += 1
            return 0
        if at[47] & FLAG_FIN:
            c.ack = seq_add(c.ack, 1)
            return self.transmit(c, FLAG_ACK | FLAG_FIN, at, 0)
        c.ack = seq_add(c.ack, length)
        self.answered += 1
        return 0
