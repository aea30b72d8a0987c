"""Clients that do again what was recorded."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.clients import Clients, client_t
from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.netapp.drivers.memory import MemoryEnd
from cython.cimports.netapp.ebb.core import Core
from cython.cimports.netapp.tcp.sequence import seq_add, seq_lt, seq_sub
from cython.cimports.netapp.wire.bytes import load16, load32, store16
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_FIN, FLAG_PSH, FLAG_RST, FLAG_SYN, OPTION_MSS

_MSS = cython.declare(uint32_t, 1460)
_FIRST_WINDOW = cython.declare(uint32_t, 4096)  # until the node has told its own in an acknowledgment
_PATIENCE = cython.declare(cython.int, 2)  # turns in which nothing comes and goes: then the node has no more to say
_MOST = cython.declare(cython.int, 256)  # segments before a turn: the wire has room for these, and for the node's


class Recorded:
    def __init__(
        self,
        core: Core,
        end: MemoryEnd,
        mac: bytes,
        source: bytes,
        destination: bytes,
        port: int,
        connections: int,
        device_checksums: bool,
        steps: list,
    ):
        """`steps`: (client, kind, text, after)."""
        i: uint32_t
        s: cython.pointer(step_t)
        offset: uint64_t = 0
        Clients.__init__(self, core, end, mac, source, destination, port, connections, device_checksums)
        self.step_count = len(steps)
        self.target = self.step_count + 1
        self.steps = cython.cast(cython.pointer(step_t), calloc(self.step_count + 1, cython.sizeof(step_t)))
        self.peers = cython.cast(cython.pointer(peer_t), calloc(connections, cython.sizeof(peer_t)))
        if not self.steps or not self.peers:
            raise MemoryError
        self.text = b"".join([text for _, _, text, _ in steps])
        for i in range(self.step_count):
            client, kind, text, after = steps[i]
            s = cython.address(self.steps[i])
            s.client = client
            s.kind = kind
            s.length = len(text)
            s.after = after
            s.offset = offset
            offset += s.length

    def __dealloc__(self):
        free(self.steps)
        free(self.peers)

    def offer(self):
        sent: cython.int = 0
        busy: cython.bint
        with self.core:
            while sent < _MOST and self.next_step < self.step_count and self._next():
                sent += 1
            if sent == 0:
                sent = self._acknowledge()
            busy = sent or self.heard or self.queue.consumed != self.queue.filled
            self.quiet = 0 if busy else self.quiet + 1
            if self.quiet > _PATIENCE:
                if self.next_step == self.step_count:
                    self.finished = True
                    self.answered = self.target
                elif self.steps[self.next_step].after > self.peers[self.steps[self.next_step].client].received:
                    self.early += 1
                    self.steps[self.next_step].after = 0
                    sent = self._next()
                self.quiet = 0
            self.queue.flush()
        self.heard = False
        return sent

    def _next(self):
        s: cython.pointer(step_t) = cython.address(self.steps[self.next_step])
        c: cython.pointer(client_t) = cython.address(self.clients[s.client])
        p: cython.pointer(peer_t) = cython.address(self.peers[s.client])
        at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(self.text))
        mss: uint8_t[4]
        piece: uint32_t
        if s.kind == OPEN:
            mss[0] = OPTION_MSS
            mss[1] = 4
            store16(cython.address(mss[2]), 1460)
            self.transmit(c, FLAG_SYN, cython.address(mss[0]), 4)
            p.una = c.seq
            p.window = _FIRST_WINDOW
        elif p.over:
            self.dropped += s.kind == TEXT
        elif not c.connected or p.received < s.after:
            return 0
        elif s.kind == TEXT:
            piece = s.length - self.done
            if piece > _MSS:
                piece = _MSS
            if seq_sub(c.seq, p.una) + piece > p.window:
                return 0
            self.transmit(c, FLAG_PSH | FLAG_ACK, at + s.offset + self.done, piece)
            p.unacknowledged = 0
            self.done += piece
            if self.done < s.length:
                return 1
        else:
            self.transmit(c, FLAG_RST | FLAG_ACK if s.kind == RESET else FLAG_FIN | FLAG_ACK, at, 0)
            p.unacknowledged = 0
            p.over = True
        self.done = 0
        self.next_step += 1
        return 1

    def _acknowledge(self):
        i: uint32_t
        sent: cython.int = 0
        for i in range(self.client_count):
            if self.peers[i].unacknowledged and sent < _MOST:
                self.peers[i].unacknowledged = 0
                self.transmit(cython.address(self.clients[i]), FLAG_ACK, cython.address(self.clients[i].header[0]), 0)
                sent += 1
        return sent

    def step(self):
        found: cython.int = Clients.step(self)
        if found:
            self.heard = True
        self.answered = self.target if self.finished else self.next_step
        return found

    def arrived(self, number, frame, length):
        c: cython.pointer(client_t) = cython.address(self.clients[number])
        p: cython.pointer(peer_t) = cython.address(self.peers[number])
        at: cython.pointer(uint8_t) = frame.head.data
        flags: uint8_t = at[47]
        if flags & FLAG_RST:
            p.over = True
            p.unacknowledged = 0
            return 0
        if seq_lt(p.una, load32(at + 42)):
            p.una = load32(at + 42)
        p.window = load16(at + 48)
        if length == 0 and not flags & FLAG_FIN:
            return 0
        if load32(at + 38) != c.ack:
            # Again: the acknowledgment goes again, too.
            p.unacknowledged += 1
            return 0
        c.ack = seq_add(c.ack, length)
        p.received += length
        p.unacknowledged += length
        if flags & FLAG_FIN:
            c.ack = seq_add(c.ack, 1)
            if p.over:
                self.transmit(c, FLAG_ACK, at, 0)
            else:
                self.transmit(c, FLAG_FIN | FLAG_ACK, at, 0)
                p.over = True
            p.unacknowledged = 0
        elif p.unacknowledged >= 2 * _MSS:
            # RFC 9293, 3.8.6.3 (SHLD-19): at least every second full-sized segment.
            p.unacknowledged = 0
            self.transmit(c, FLAG_ACK, at, 0)
        return 0
