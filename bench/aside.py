"""Clients with a cache beside something slower."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.clients import Clients, client_t
from cython.cimports.libc.stdint import int32_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.netapp.drivers.memory import MemoryEnd
from cython.cimports.netapp.ebb.core import Core
from cython.cimports.netapp.iobuf.pool import iobuf_t
from cython.cimports.netapp.tcp.sequence import seq_add
from cython.cimports.netapp.wire.bytes import load16, load32
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_PSH


class Aside:
    def __init__(
        self,
        core: Core,
        end: MemoryEnd,
        mac: bytes,
        source: bytes,
        destination: bytes,
        port: int,
        connections: int,
        trace: Trace,
        watch: Stopwatch,
    ):
        Clients.__init__(self, core, end, mac, source, destination, port, connections)
        self.trace = trace
        self.watch = watch
        self.talks = cython.cast(cython.pointer(talk_t), calloc(connections, cython.sizeof(talk_t)))
        if not self.talks:
            raise MemoryError

    def __dealloc__(self):
        free(self.talks)

    def go_on(self, gets):
        i: uint32_t
        self.answered = self.begun = 0
        self.target = gets
        with self.core:
            for i in range(self.client_count):
                self._next(i)
            self.queue.flush()

    def _next(self, number):
        talk: cython.pointer(talk_t) = cython.address(self.talks[number])
        talk.busy = False
        if self.begun == self.target:
            return 0
        self.begun += 1
        self.trace.get(cython.address(talk.asked), self.trace.draw())
        return self._push(number)

    def _push(self, number):
        """What is left of the request, as far as the window goes."""
        c: cython.pointer(client_t) = cython.address(self.clients[number])
        talk: cython.pointer(talk_t) = cython.address(self.talks[number])
        text: uint8_t[SEGMENT]
        length: uint64_t
        flags: uint8_t
        if not talk.busy:
            talk.busy = True
            talk.whole = talk.asked.text.length  # the text becomes the answer's
            talk.sent = 0
            talk.una = c.seq
            talk.began = self.watch.now
        while talk.sent != talk.whole:
            length = min(talk.whole - talk.sent, SEGMENT)
            if c.seq - talk.una + length > max(talk.window, SEGMENT):
                return 0
            self.trace.copy(cython.address(talk.asked.text), talk.sent, cython.address(text[0]), length)
            talk.sent += length
            flags = FLAG_ACK | FLAG_PSH if talk.sent == talk.whole else FLAG_ACK
            self.transmit(c, flags, cython.address(text[0]), length)
        return 0

    def arrived(self, number, frame, length):
        c: cython.pointer(client_t) = cython.address(self.clients[number])
        talk: cython.pointer(talk_t) = cython.address(self.talks[number])
        view: cython.pointer(iobuf_t) = frame.head
        at: cython.pointer(uint8_t) = view.data
        skipped: uint64_t = 14 + 20 + (at[46] >> 4) * 4
        here: uint64_t
        key: uint32_t
        if cython.cast(int32_t, load32(at + 42) - talk.una) > 0:
            talk.una = load32(at + 42)
        talk.window = load16(at + 48)
        if length == 0:
            return self._push(number) if talk.busy and talk.sent != talk.whole else 0
        if load32(at + 38) != c.ack or not talk.busy or talk.sent != talk.whole:
            self.wrong += 1
            return 0
        c.ack = seq_add(c.ack, length)
        while length != 0:
            if view.length <= skipped:
                skipped -= view.length
            else:
                here = min(view.length - skipped, length)
                if self.trace.answer(cython.address(talk.asked), view.data + skipped, here) != here:
                    self.wrong += 1
                    return 0
                length -= cython.cast(uint32_t, here)
                skipped = 0
            view = view.next
        if talk.asked.came != talk.asked.text.length:
            return self.transmit(c, FLAG_ACK, at, 0)
        self.watch.record(cython.address(talk.began))
        if not talk.asked.stores:
            if not talk.asked.found:
                key = talk.asked.key
                self.sets += 1
                talk.busy = False
                self.trace.set(cython.address(talk.asked), key)
                return self._push(number)
            self.hits += 1
        self.answered += 1
        return self._next(number)
