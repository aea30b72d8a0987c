"""A thread of the generator."""

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
from cython.cimports.bench.memaslap.datagrams import collect, follow, frame, free_datagrams, give_up, new_datagrams
from cython.cimports.bench.memaslap.mix import account, chance, choose, choose_next_of_window, name_item
from cython.cimports.bench.memaslap.series import Series, note
from cython.cimports.bench.memaslap.sockets import (
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
    watch,
)
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.hosted.epoll import ENOSYS, EPOLL_CLOEXEC, epoll_create1, epoll_pwait2, epoll_wait
from cython.cimports.posix.time import CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, clock_gettime, clockid_t, timespec

_NEVER = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _clock() -> uint64_t:
    return _time_of(CLOCK_MONOTONIC)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _time_of(clock: clockid_t) -> uint64_t:
    time: timespec
    clock_gettime(clock, cython.address(time))
    return cython.cast(uint64_t, time.tv_sec) * 1_000_000_000 + cython.cast(uint64_t, time.tv_nsec)


@cython.nonecheck(False)  # self is none of its own loops; the check would need the interpreter
class Worker:
    def __cinit__(self):
        self.epoll = -1
        self.gets = Series()
        self.sets = Series()
        self.waited = Series()

    def __init__(
        self,
        number: int,
        clients: int,
        characters: bytes,
        offsets: int,
        window: int,
        servers: int,
        seed: int,
        get_share: float,
        set_share: float,
        verify: float = 0.0,
        overwrite: float = 0.0,
        expiry: int = 0,
        division: int = 1,
        writers: int = 0,
        binary_protocol: bool = False,
        facebook: bool = False,
        reconnect: bool = False,
        verbose: bool = False,
        rate: float = 0.0,
        open_loop: bool = False,
    ):
        """`characters`: keys and values are runs of them that begin before `offsets`; `rate`: requests a second."""
        self.characters = characters
        self.settings.characters = cython.cast(cython.p_const_char, characters)
        self.settings.offsets = offsets
        self.settings.window = window
        self.settings.servers = servers
        self.settings.get_share = get_share
        self.settings.set_share = set_share
        self.settings.verify = verify
        self.settings.overwrite = overwrite
        self.settings.expiry = expiry
        self.settings.expiry_error = max(2, expiry // 12)  # memaslap's 5 s of 60
        self.settings.division = division
        self.settings.writers = writers
        self.settings.binary = binary_protocol
        self.settings.facebook = facebook
        self.settings.reconnect = reconnect
        self.settings.verbose = verbose
        self.interval = 1e9 / rate if rate else 0.0
        self.open = open_loop
        self.random = seed | 1
        self.names = cython.cast(uint64_t, number) << 40
        self.task.settings = cython.address(self.settings)
        self.task.counters = cython.address(self.unmeasured)
        self.begin = _NEVER
        self.clients_size = clients
        self.clients = cython.cast(cython.pointer(client_t), calloc(clients, cython.sizeof(client_t)))
        self.idle = cython.cast(
            cython.pointer(cython.pointer(client_t)), calloc(clients, cython.sizeof(cython.pointer(client_t)))
        )
        self.addresses = cython.cast(cython.pointer(address_t), calloc(servers, cython.sizeof(address_t)))
        self.lost_ = cython.cast(cython.pointer(uint32_t), calloc(servers, cython.sizeof(uint32_t)))
        self.back_ = cython.cast(cython.pointer(uint32_t), calloc(servers, cython.sizeof(uint32_t)))
        self.buffer = cython.cast(cython.pointer(uint8_t), malloc(LINE_BYTES_MAX + READ_BYTES))
        if not (self.clients and self.idle and self.addresses and self.lost_ and self.back_ and self.buffer):
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
        free(self.idle)
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

    def fill(self):
        """Every object of every window is set."""
        i: uint32_t
        c: cython.pointer(client_t)
        interval: cython.double = self.interval
        self.filling = True
        self.interval = 0.0
        with cython.nogil:
            self.end = _NEVER
            self._loop()
        self.interval = interval
        self.filling = False
        for i in range(self.client_count):
            c = self.clients + i
            c.sets = 0

    def run(self, start, begin, end):
        """From `start` to `end`; what begins before `begin` is not measured. By the monotonic clock, in ns."""
        with cython.nogil:
            self.start = start
            self.begin = begin
            self.end = end
            self.now = _clock()
            while self.now < start and not self.stop:
                self._wait(start)
            self._loop()
            self.ended = min(self.now, end)
            self.cpu = _time_of(CLOCK_THREAD_CPUTIME_ID) - self.cpu if self.ended > begin else 0
            self._drain()

    def _loop(self):
        i: uint32_t
        c: cython.pointer(client_t)
        until: uint64_t
        self.now = _clock()
        self.next_tick = self.now + TICK
        self.answered = self.now
        self.idle_first = 0
        self.idle_count = 0
        self.offered = 0
        self.active = 0
        self.task.second = cython.cast(uint32_t, self.now // 1_000_000_000)
        for i in range(self.client_count):
            c = self.clients + i
            if c.kind != LOST or self.settings.reconnect:
                self.active += 1
        self._measure()
        for i in range(self.client_count):
            c = self.clients + i
            if c.kind == IDLE:
                self.now = _clock()
                self._next(c)
        while self.active and not self.stop and self.now < self.end:
            self._measure()
            until = min(self.end, self.next_tick)
            if self.interval and self.idle_count:
                self._offer()
                if self.idle_count:
                    until = min(until, self._due())
            self._wait(until)
            if self.now >= self.next_tick:
                self._tick()
        if self.interval and not self.stop:
            self._offer()  # what was due before the end, where this thread woke after it

    def _measure(self):
        """From the time on at which it begins."""
        if self.now >= self.begin and self.task.counters != cython.address(self.counters_):
            self.task.counters = cython.address(self.counters_)
            self.cpu = _time_of(CLOCK_THREAD_CPUTIME_ID)

    def _drain(self):
        """Answers that come after the end count, for a while; who still waits then, has waited that long at least."""
        i: uint32_t
        c: cython.pointer(client_t)
        deadline: uint64_t = self.now + LAST_PATIENCE
        self.draining = True
        while self.outstanding and self.now < deadline:
            self._wait(deadline)
        for i in range(self.client_count):
            c = self.clients + i
            if c.kind == GET or c.kind == SET:
                self.unanswered += 1
                self.task.counters.errors += 1
                if c.began >= self.begin:
                    self._note(c)
        if self.interval and self.open and not self.stop and self.end != _NEVER:
            while self._due() < self.end:
                if self._due() >= self.begin:
                    self.counters_.unsent += 1
                    note(cython.address(self.waited.s), self.end - self._due())
                self.offered += 1

    def _wait(self, until):
        i: cython.int
        count: cython.int
        timeout: int64_t = 0
        if until > self.now + SPIN:
            timeout = cython.cast(int64_t, until - self.now - (SPIN if self.interval else 0))
        if self.milliseconds:
            count = epoll_wait(
                self.epoll, cython.address(self.ready[0]), EVENTS, cython.cast(cython.int, timeout // 1_000_000)
            )
        else:
            count = epoll_pwait2(self.epoll, cython.address(self.ready[0]), EVENTS, timeout)
            self.milliseconds = count == -ENOSYS
        for i in range(count):
            self._event(self.ready[i].data.u64, self.ready[i].events)
        self.now = _clock()
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
                length = c.skip
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

    def _note(self, c):
        if c.kind == GET:
            note(cython.address(self.gets.s), self.now - c.began)
        else:
            note(cython.address(self.sets.s), self.now - c.began)

    def _over(self, c, answered, stored):
        """A request, and on to the next."""
        kept: cython.pointer(counters_t) = self.task.counters
        self.now = _clock()
        self.answered = self.now
        self.outstanding -= 1
        if c.began >= self.begin:
            self.task.counters = cython.address(self.counters_)
            self._note(c)
        else:
            self.task.counters = cython.address(self.unmeasured)
        account(c, cython.address(self.task), answered, stored)
        self.task.counters = kept
        self._next(c)

    def _next(self, c):
        if self.draining:
            return
        if self.filling:
            choose_next_of_window(c, cython.address(self.task), cython.address(self.random))
            if c.kind == IDLE:
                self.active -= 1
            else:
                self._begin(c, self.now)
            return
        if not self.interval:
            choose(c, cython.address(self.task), cython.address(self.random), cython.address(self.names))
            if c.kind == IDLE:
                self.active -= 1
            else:
                self._begin(c, self.now)
            return
        if self.idle_count == 0 and self.open and self._due() <= self.now and self._due() >= self.begin:
            self.task.counters.late += 1
        self.idle[(self.idle_first + self.idle_count) % self.client_count] = c
        self.idle_count += 1
        self._offer()

    def _due(self):
        return self.start + cython.cast(uint64_t, self.offered * self.interval)

    def _offer(self):
        """What is due goes to those who have been idle longest."""
        c: cython.pointer(client_t)
        due: uint64_t = self._due()
        while self.idle_count and due <= self.now and due < self.end and not self.draining:
            c = self.idle[self.idle_first]
            self.idle_first = (self.idle_first + 1) % self.client_count
            self.idle_count -= 1
            choose(c, cython.address(self.task), cython.address(self.random), cython.address(self.names))
            if c.kind == IDLE:
                self.active -= 1
                continue
            self.offered += 1
            self._begin(c, due if self.open else self.now)
            due = self._due()

    def _begin(self, c, began):
        self.outstanding += 1
        c.began = began
        c.sent_at = self.now
        c.answered = 0
        c.skip = 0
        c.before = 0
        c.compare_bytes = 0
        c.tail_bytes = 0
        if not self._pick(c):
            self._lose(c, cython.NULL)
            return
        if self.settings.binary:
            binary.build(c, cython.address(self.task))
        else:
            text.build(c, cython.address(self.task))
        if c.sockets[c.current].udp:
            frame(c)
        self._send(c)

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
        self.next_tick = self.now + TICK
        if self.end == _NEVER and self.now - self.answered > SILENCE:
            self.silence = True
            self.stop = True
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
        elif c.kind == IDLE and not alive:
            self._forget(c)
        if not alive:
            c.kind = LOST
            if not was_lost and not self.settings.reconnect:
                self.active -= 1
        elif busy:
            self._next(c)
        if s != cython.NULL and self.settings.reconnect and not s.udp:
            self._connect(c, s)

    def _forget(self, c):
        """It is not idle any more."""
        i: uint32_t
        j: uint32_t = 0
        kept: cython.pointer(client_t)
        for i in range(self.idle_count):
            kept = self.idle[(self.idle_first + i) % self.client_count]
            if kept != c:
                self.idle[(self.idle_first + j) % self.client_count] = kept
                j += 1
        self.idle_count = j

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
            self.now = _clock()
            self._next(c)

    @property
    def counters(self):
        """counters_t by name; may be read while the loop runs."""
        return self.counters_

    @property
    def filled(self):
        """Objects that were set, while fill() runs."""
        i: uint32_t
        return sum([self.clients[i].cursor for i in range(self.client_count)])

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
