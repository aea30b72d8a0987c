"""The connections of a thread's clients."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap import binary, text
from cython.cimports.bench.memaslap.client import (
    BROKEN,
    DATAGRAM_HEADER_BYTES,
    DONE,
    GET,
    IDLE,
    LINE_BYTES_MAX,
    LOST,
    MORE,
    NOT_STORED,
    SET,
    client_t,
    item_t,
    socket_t,
    wanted_t,
)
from cython.cimports.bench.memaslap.datagrams import collect, follow, free_datagrams, give_up, new_datagrams
from cython.cimports.bench.memaslap.mix import account, chance, name_item
from cython.cimports.bench.memaslap.sockets import (
    CLOCK_MONOTONIC,
    EAGAIN,
    ECONNREFUSED,
    EINTR,
    EPOLLIN,
    EPOLLOUT,
    close,
    connect,
    drop,
    failure,
    peer_of,
    receive,
    send,
    time_of,
    watch,
)
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.hosted.epoll import ENOSYS, EPOLL_CLOEXEC, epoll_create1, epoll_pwait2, epoll_wait


@cython.nonecheck(False)  # self is none of its own loops; the check would need the interpreter
class Connections:
    def __cinit__(self):
        self.epoll = -1

    def _allocate(self, clients, servers):
        self.clients_size = clients
        self.clients = cython.cast(cython.pointer(client_t), calloc(clients, cython.sizeof(client_t)))
        self.addresses = cython.cast(cython.pointer(address_t), calloc(servers, cython.sizeof(address_t)))
        self.lost_ = cython.cast(cython.pointer(uint32_t), calloc(servers, cython.sizeof(uint32_t)))
        self.back_ = cython.cast(cython.pointer(uint32_t), calloc(servers, cython.sizeof(uint32_t)))
        self.buffer = cython.cast(cython.pointer(uint8_t), malloc(LINE_BYTES_MAX + READ_BYTES))
        if not (self.clients and self.addresses and self.lost_ and self.back_ and self.buffer):
            raise MemoryError
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError("epoll_create1 failed: too many open files?")

    def __dealloc__(self):
        i: uint32_t
        c: cython.pointer(client_t)
        self.close()
        for i in range(self.client_count):
            c = self.clients + i
            free(c.window)
            free(c.sockets)
            free(c.wanted)
            if c.request != cython.NULL:
                free(c.request - DATAGRAM_HEADER_BYTES)
            free_datagrams(c.datagrams)
        free(self.clients)
        free(self.addresses)
        free(self.lost_)
        free(self.back_)
        free(self.buffer)

    def close(self):
        i: uint32_t
        j: uint32_t
        for i in range(self.client_count):
            for j in range(self.clients[i].socket_count):
                if self.clients[i].sockets[j].fd >= 0:
                    close(self.clients[i].sockets[j].fd)
                    self.clients[i].sockets[j].fd = -1
        if self.epoll >= 0:
            close(self.epoll)
            self.epoll = -1

    def add_client(self, key_bytes, value_bytes, expiring, sockets, requests):
        """Lengths are packed uint32, by object; sockets (descriptor, server, is UDP) become the worker's."""
        c: cython.pointer(client_t)
        s: cython.pointer(socket_t)
        item: cython.pointer(item_t)
        keys: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), cython.cast(cython.p_char, key_bytes))
        values: cython.pointer(uint32_t) = cython.cast(
            cython.pointer(uint32_t), cython.cast(cython.p_char, value_bytes)
        )
        i: uint32_t
        expires: uint32_t = 0
        room: cython.p_char
        if self.client_count == self.clients_size:
            raise ValueError("more clients than were announced")
        c = self.clients + self.client_count
        c.number = self.client_count
        self.client_count += 1
        c.remaining = requests
        c.window = cython.cast(cython.pointer(item_t), calloc(self.settings.window, cython.sizeof(item_t)))
        c.wanted = cython.cast(cython.pointer(wanted_t), calloc(self.settings.division, cython.sizeof(wanted_t)))
        c.sockets = cython.cast(cython.pointer(socket_t), calloc(len(sockets), cython.sizeof(socket_t)))
        # a command line, or a key and its header for each of a get
        room = cython.cast(cython.p_char, malloc(4096 + 280 * self.settings.division))
        if room == cython.NULL or c.window == cython.NULL or c.wanted == cython.NULL or c.sockets == cython.NULL:
            free(room)
            raise MemoryError
        c.request = room + DATAGRAM_HEADER_BYTES
        for i in range(self.settings.window):
            item = c.window + i
            item.key_bytes = cython.cast(uint8_t, keys[i])
            item.value_bytes = values[i]
            item.key_at = cython.cast(uint32_t, chance(cython.address(self.random)) % self.settings.offsets)
            item.value_at = NOT_STORED
            name_item(item, self.names)
            self.names += 1
            if expires < expiring * i:
                item.expires = True
                expires += 1
        for descriptor, server, udp in sockets:
            s = c.sockets + c.socket_count
            s.fd = descriptor
            s.server = server
            s.udp = udp
            peer_of(s.fd, self.addresses + s.server)
            if watch(self.epoll, s.fd, cython.cast(uint64_t, c.number) << 32 | c.socket_count, EPOLLIN, False):
                raise OSError("epoll refuses a socket")
            c.socket_count += 1
            if s.udp and c.datagrams == cython.NULL:
                c.datagrams = new_datagrams()
                if c.datagrams == cython.NULL:
                    raise MemoryError
        c.turn = c.socket_count - 1 - self.settings.facebook

    def _over(self, c, answered, stored):
        pass

    def _next(self, c):
        pass

    def _forget(self, c):
        pass

    def _wait(self, timeout):
        i: cython.int
        count: cython.int
        if self.milliseconds:
            count = epoll_wait(
                self.epoll, cython.address(self.ready[0]), EVENTS, cython.cast(cython.int, timeout // 1_000_000)
            )
        else:
            count = epoll_pwait2(self.epoll, cython.address(self.ready[0]), EVENTS, timeout)
            self.milliseconds = count == -ENOSYS
        for i in range(count):
            self._event(self.ready[i].data.u64, self.ready[i].events)
        self.now = time_of(CLOCK_MONOTONIC)
        self.task.second = cython.cast(uint32_t, self.now // 1_000_000_000)

    def _event(self, name, events):
        c: cython.pointer(client_t) = self.clients + (name >> 32)
        s: cython.pointer(socket_t) = c.sockets + cython.cast(uint32_t, name)
        spare: uint8_t[64]
        got: int64_t
        if s.fd < 0:
            return
        if s.connecting:
            self._connected(c, s)
            return
        if (c.kind == GET or c.kind == SET) and s == c.sockets + c.current:
            if s.writing and events & EPOLLOUT:
                self._send(c)
            if events & ~EPOLLOUT and s.fd >= 0:
                self._receive(c, s)
            return
        # nothing was asked: its end, or a datagram that comes too late
        got = receive(s.fd, cython.address(spare[0]), 64)
        if s.udp:
            if got > 0:
                self.task.counters.packet_disorder += 1
        elif got != -EAGAIN:
            self._lose(c, s)

    def _read(self, c, data, length, stored):
        if self.settings.binary:
            return binary.read(c, cython.address(self.task), data, length, stored)
        return text.read(c, cython.address(self.task), data, length, stored)

    def _receive(self, c, s):
        stored: cython.bint = False
        result: cython.int
        if s.udp:
            result = self._receive_datagram(c, s, cython.address(stored))
        else:
            result = self._receive_stream(c, s, cython.address(stored))
        if result == DONE:
            self._over(c, True, stored)
        elif result == BROKEN:
            if s.udp:  # the next datagram may be better
                self._over(c, False, False)
            else:
                self._lose(c, s)

    def _receive_stream(self, c, s, stored):
        """BROKEN: the connection, too."""
        got: int64_t
        length: uint64_t
        result: cython.int
        while True:
            if c.skip > READ_BYTES and not c.compare_bytes and not c.before:
                length = c.skip - 1  # the last byte ends the reply, perhaps: it must be read
                got = drop(s.fd, length)
                if got > 0:
                    c.skip -= got
            else:
                length = READ_BYTES
                memcpy(self.buffer, cython.address(c.tail[0]), c.tail_bytes)
                got = receive(s.fd, self.buffer + c.tail_bytes, length)
            if got <= 0:
                return MORE if got == -EAGAIN or got == -EINTR else BROKEN
            self.task.counters.read_bytes += got
            if length == READ_BYTES:
                got += c.tail_bytes
                c.tail_bytes = 0
                result = self._read(c, cython.cast(cython.p_const_char, self.buffer), got, stored)
                if result != MORE:
                    return result
            if cython.cast(uint64_t, got) < length:
                return MORE

    def _receive_datagram(self, c, s, stored):
        result: cython.int = collect(c, cython.address(self.task), s.fd)
        if result == DONE:
            result = self._read(c, cython.cast(cython.p_const_char, c.datagrams.bytes), c.datagrams.length, stored)
            if result == MORE:
                if c.tail_bytes:
                    return BROKEN
                follow(c)
            return result
        if result == -ECONNREFUSED and not self.settings.reconnect:
            self._lose(c, s)
        return MORE

    def _pick(self, c):
        """The connection for what was chosen; whether there is one."""
        i: uint32_t
        count: uint32_t = c.socket_count
        if self.settings.facebook:
            count -= 1
            if c.kind == GET:
                c.current = count
                return c.sockets[count].fd >= 0
        if self.settings.writers:
            # Sockets are in the order of servers, again and again. Where no writer is left, any is written to.
            i = cython.cast(uint32_t, chance(cython.address(self.random)) % count)
            c.current = i
            if c.kind == SET:
                c.current = i - i % self.settings.servers + i % self.settings.writers
        else:
            c.turn = (c.turn + 1) % count
            c.current = c.turn
        for i in range(count):
            if c.sockets[c.current].fd >= 0 and not c.sockets[c.current].connecting:
                return True
            c.current = (c.current + 1) % count
        return False

    def _send(self, c):
        s: cython.pointer(socket_t) = c.sockets + c.current
        sent: int64_t
        while c.part < c.part_count:
            sent = send(s.fd, cython.address(c.parts[c.part]), c.part_count - c.part)
            if sent < 0:
                if sent == -EAGAIN or sent == -EINTR:
                    if not s.writing:
                        s.writing = True
                        watch(
                            self.epoll,
                            s.fd,
                            cython.cast(uint64_t, c.number) << 32 | c.current,
                            EPOLLIN | EPOLLOUT,
                            True,
                        )
                    return
                if s.udp and sent == -ECONNREFUSED and self.settings.reconnect:
                    return  # times out
                self._lose(c, s)
                return
            self.task.counters.written_bytes += sent
            while c.part < c.part_count and cython.cast(uint64_t, sent) >= c.parts[c.part].iov_len:
                sent -= c.parts[c.part].iov_len
                c.part += 1
            if c.part < c.part_count:
                c.parts[c.part].iov_base = cython.cast(cython.p_char, c.parts[c.part].iov_base) + sent
                c.parts[c.part].iov_len -= sent
        if s.writing:
            s.writing = False
            watch(self.epoll, s.fd, cython.cast(uint64_t, c.number) << 32 | c.current, EPOLLIN, True)

    def _tick(self):
        """Datagrams that were lost, connections that may come back."""
        i: uint32_t
        j: uint32_t
        c: cython.pointer(client_t)
        for i in range(self.client_count):
            c = self.clients + i
            if (c.kind == GET or c.kind == SET) and c.sockets[c.current].udp and self.now - c.sent_at > UDP_PATIENCE:
                give_up(c, cython.address(self.task))
                self.task.counters.errors += 1
                self._over(c, False, False)
            if self.settings.reconnect:
                for j in range(c.socket_count):
                    if c.sockets[j].fd < 0 and not c.sockets[j].udp:
                        self._connect(c, c.sockets + j)

    def _lose(self, c, s):
        """A connection ended, and with it the request that was sent by it; NULL: there was none to send it by."""
        i: uint32_t
        busy: cython.bint = (c.kind == GET or c.kind == SET) and (s == cython.NULL or s == c.sockets + c.current)
        was_lost: cython.bint = c.kind == LOST
        alive: cython.bint = False
        if s != cython.NULL:
            close(s.fd)
            s.fd = -1
            s.writing = False
            self.lost_[s.server] += 1
            for i in range(c.socket_count):
                if c.sockets[i].fd >= 0 and not c.sockets[i].connecting:
                    alive = True
        if busy:
            self.outstanding -= 1
            self.task.counters.errors += 1
            account(c, cython.address(self.task), False, False)
        if not alive:
            if c.kind == IDLE and not busy:
                self._forget(c)
            c.kind = LOST
            if not was_lost and not self.settings.reconnect:
                self.active -= 1
        elif busy:
            self._next(c)
        if s != cython.NULL and self.settings.reconnect and not s.udp:
            self._connect(c, s)

    def _connect(self, c, s):
        s.fd = connect(self.addresses + s.server)
        if s.fd < 0:
            s.fd = -1
            return
        s.connecting = True
        if watch(self.epoll, s.fd, cython.cast(uint64_t, c.number) << 32 | (s - c.sockets), EPOLLOUT, False):
            close(s.fd)
            s.fd = -1

    def _connected(self, c, s):
        s.connecting = False
        if failure(s.fd):
            close(s.fd)
            s.fd = -1
            return
        watch(self.epoll, s.fd, cython.cast(uint64_t, c.number) << 32 | (s - c.sockets), EPOLLIN, True)
        self.task.counters.reconnected += 1
        self.back_[s.server] += 1
        if c.kind == LOST:
            c.kind = IDLE
            self.now = time_of(CLOCK_MONOTONIC)
            self._next(c)

    @property
    def trouble(self):
        """The first answer that was an error; empty."""
        return cython.cast(bytes, self.task.trouble).decode("ascii", "replace")

    @property
    def lost(self):
        """Connections that ended, by server."""
        i: uint32_t
        return [self.lost_[i] for i in range(self.settings.servers)]

    @property
    def back(self):
        """Connections that came back, by server."""
        i: uint32_t
        return [self.back_[i] for i in range(self.settings.servers)]
