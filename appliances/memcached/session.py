"""A connection: commands are read where they lie, and all replies of an event are sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliances.memcached.words import APPEND, BAD_DATA, CRLF, ENOUGH, FIRST_SECOND, NO_MEMORY, STORED, TOO_MANY
from netapp.iobuf.chain import Chain
from netapp.tcp.connection import SendQueueFull
from netapp.tcp.handler import TcpHandler

if TYPE_CHECKING:
    from appliances.memcached.protocol import Protocol
    from appliances.memcached.store import Store
    from appliances.memcached.worker import Worker

SWALLOW = -1  # instead of a mode: what follows is dropped

MOST_HELD = 32 << 20  # bytes of all connections' commands whose rest is to come
NO_MEMORY_TO_READ = b"SERVER_ERROR out of memory reading request\r\n"
SMALL_PIECE = 1024  # of a command that waits for its rest: copied together with others, for each would pin a slot


class Session(TcpHandler):
    def __init__(self, worker: Worker, protocol: Protocol) -> None:
        self.worker = worker
        self.protocol = protocol
        self.most = worker.requests_per_event + 1
        self.datagram = False
        self.waiting: Chain | None = None
        self.mode = self.awaited = self.reserved = self.held = self.asked = self.last_command = 0
        self.yielded = self.blocked = self.leaving = self.peer_left = False
        self.unique = 0
        self.stale = self.noreply = self.raw = False
        self.extra: object = None

    # --- the connection ------------------------------------------------------------------------------------------

    def connected(self) -> None:
        worker = self.worker
        worker.total_connections += 1
        worker.sessions.add(self)
        self.last_command = worker.tick().now
        self.connection.keepalive()  # as memcached's sockets: who vanished would count for ever
        if len(worker.sessions) > worker.max_connections:
            worker.rejected_connections += 1
            self.send(TOO_MANY)
            self.leave()

    def receive(self, data: Chain) -> None:
        self.worker.bytes_read += data.length
        if self.leaving:
            return
        if self.waiting is None:
            self.work(data)
            return
        whole = self.gather(data)
        if whole is not None:
            self.work(whole)

    def peer_closed(self) -> None:
        self.peer_left = True
        if not self.yielded:
            self.close()

    def writable(self) -> None:
        if self.blocked:
            self.go_on()

    def closed(self, error: OSError | None) -> None:
        self.worker.sessions.discard(self)
        self.end()
        self.give_back()

    def leave(self) -> None:
        self.end()
        self.close()

    def end(self) -> None:
        self.leaving = True
        self.waiting = None
        self.let_go()

    def serve(self, data: Chain) -> None:
        self.work(data)

    def wait_turn(self) -> None:
        self.worker.yields += 1
        self.pause()
        self.worker.events().spawn(self.go_on)

    def go_on(self) -> None:
        """After having yielded: the rest of what was received."""
        self.blocked = False
        if self.leaving:
            return
        try:
            try:
                self.send(b"")
            except SendQueueFull:
                self.blocked = True
                return
            self.yielded = False
            data = self.waiting
            assert data is not None
            self.waiting = None
            self.most -= 1  # memcached counts from the second command on of those that were just read
            self.work(data)
            self.most += 1
            if not self.yielded:
                self.resume()
                if self.peer_left:
                    self.close()
        except Exception:
            self.abort()
            raise

    # --- commands ------------------------------------------------------------------------------------------------

    def gather(self, data: Chain) -> Chain | None:
        """Adds to what waits; returns it when there is something to do."""
        waiting = self.waiting
        assert waiting is not None
        if self.yielded:
            waiting.append(data)
            return None
        store = self.worker.store.get()
        length = data.length
        complete = self.mode == 0 and self.protocol.completes(self.worker, data)
        try:
            if self.mode > 0:
                store.reserve(length)
                self.reserved += length
            if length < SMALL_PIECE:
                waiting.write(data.tobytes())
            else:
                waiting.append(store.kept(data))
        except MemoryError:
            if self.mode == 0:
                self.refuse()
                return None
            waiting.append(data)
            self.no_room(store)
        if self.mode == 0 and not complete:
            self.hold(length)
            return None
        if self.mode > 0 and waiting.length < self.awaited:
            return None
        self.let_go()
        self.waiting = None
        return waiting

    def hold(self, length: int) -> None:
        """Counts so many bytes more of a command whose rest is to come."""
        worker = self.worker
        self.held += length
        worker.held += length
        if worker.held > MOST_HELD:
            self.refuse()
        else:
            assert self.waiting is not None
            self.protocol.bound(self, worker, self.waiting)

    def let_go(self) -> None:
        self.worker.held -= self.held
        self.held = 0

    def refuse(self) -> None:
        """The command that is arriving: it takes more memory than there is."""
        if not self.datagram:
            self.send(NO_MEMORY_TO_READ)
        self.leave()

    def work(self, data: Chain) -> None:
        worker = self.worker
        store = worker.store.get()
        store.now = FIRST_SECOND + (store.core.now - worker.began_ns) // 1_000_000_000
        length = data.length
        reply = worker.reply
        if reply.length != 0:  # of an event that an exception ended
            reply.clear()
        cursor = worker.cursor
        cursor.reset(data)
        left = self.most
        worker.written = 0
        self.last_command = store.now
        while True:
            if self.mode != 0 and not self.value(store):
                break
            if cursor.position == length:
                break
            if left == 0 or reply.length >= ENOUGH:
                self.yielded = True
                break
            left -= 1
            if not self.protocol.command(self, worker, store, cursor, data):
                break
        start = cursor.position
        cursor.release()
        if reply.length != 0:
            worker.bytes_written += reply.length
            if self.datagram:
                self.send(reply)
            else:
                self.connection.send(reply)
        if self.leaving:
            self.leave()
        elif start < length:
            data.discard(start)
            self.waiting = data
            if self.yielded:
                self.wait_turn()
            elif self.mode == 0:
                self.hold(data.length)
        elif self.mode > 0:
            self.waiting = Chain()

    def begin(
        self, store: Store, storing: Protocol, mode: int, key: bytes, flags: int, expires: int, length: int, raw: bool
    ) -> None:
        self.storing, self.mode, self.key, self.flags, self.expires, self.raw = storing, mode, key, flags, expires, raw
        self.awaited = length if raw else length + 2
        size = self.worker.cursor.remaining()
        if size < self.awaited:
            try:
                store.reserve(size)
                self.reserved = size
            except MemoryError:
                self.no_room(store)

    def give_back(self) -> None:
        if self.reserved != 0:
            self.worker.store.get().release(self.reserved)
            self.reserved = 0

    def no_room(self, store: Store) -> None:
        """For the value that is arriving."""
        self.give_back()
        self.swallow(self.awaited, self.storing.stored(self, self.worker, store, NO_MEMORY))

    def swallow(self, length: int, answer: bytes) -> None:
        self.mode, self.awaited, self.answer = SWALLOW, length, answer

    def value(self, store: Store) -> bool:
        """Stores or drops the value at the cursor; False: not all of it is there."""
        worker = self.worker
        cursor = worker.cursor
        size = cursor.remaining()
        if self.mode == SWALLOW:
            if size < self.awaited:
                self.awaited -= size
                cursor.skip(size)
                return False
            cursor.skip(self.awaited)
            self.mode = 0
            worker.reply.write(self.answer)
            return True
        if size < self.awaited:
            return False
        self.give_back()
        value = worker.value
        if value.length != 0:  # of an event that an exception ended
            value.discard(value.length)
        cursor.take_into(value, self.awaited)
        if self.raw:
            value.append_clone(store.maker.line_end)
        size = value.length - 2
        result = BAD_DATA
        if self.raw or value.ends_with(CRLF):
            result = store.store(self.mode, self.key, self.flags, self.expires, self.unique, self.stale, value)
        if result != STORED or self.mode >= APPEND:
            store.attempt(self.key, self.flags, size)
        if value.length != 0:  # it was not stored
            value.discard(value.length)
        answer = self.storing.stored(self, worker, store, result)
        self.mode = 0
        worker.reply.write(answer)
        return True
