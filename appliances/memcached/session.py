"""A connection: commands are read where they lie, and all replies of an event are sent at once."""

from appliances.memcached.store import Store
from appliances.memcached.words import APPEND, BAD_DATA, CRLF, ENOUGH, FIRST_SECOND, NO_MEMORY, STORED, TOO_MANY
from appliances.memcached.worker import Protocol, Worker
from netapp.iobuf.chain import Chain
from netapp.tcp.request_handler import RequestHandler

SWALLOW = -1  # instead of a mode: what follows is dropped
NO_MEMORY_TO_READ = b"SERVER_ERROR out of memory reading request\r\n"


class Session(RequestHandler):
    def __init__(self, worker: Worker, protocol: Protocol) -> None:
        RequestHandler.__init__(self, worker)
        self.worker = worker
        self.protocol = protocol
        self.most = worker.at_once + 1
        self.mode = self.awaited = self.reserved = self.asked = self.last_command = 0
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

    def closed(self, error: OSError | None) -> None:
        RequestHandler.closed(self, error)
        self.worker.sessions.discard(self)
        self.give_back()

    # --- commands ------------------------------------------------------------------------------------------------

    def completes(self, data: Chain) -> bool:
        return self.protocol.completes(self.worker, data)

    def bound(self, waiting: Chain) -> bool:
        self.protocol.bound(self, self.worker, waiting)
        return True

    def stored(self, data: Chain) -> Chain:
        return self.worker.store.get().kept(data)

    def refuse(self) -> bool:
        if self.connection is not None:
            self.send(NO_MEMORY_TO_READ)
        return self.leave()

    def hold(self, length: int) -> bool:
        return self.mode != 0 or RequestHandler.hold(self, length)

    def arrived(self, data: Chain) -> bool:
        if self.mode == 0:
            return RequestHandler.arrived(self, data)
        store = self.worker.store.get()
        size = data.length
        try:
            store.reserve(size)
            self.reserved += size
            self.keep(data)
        except MemoryError:
            self.waiting.append(data)
            self.no_room(store)
        return self.take_up() if self.mode < 0 or self.waiting.length >= self.awaited else True

    def work(self, data: Chain, resumed: bool) -> bool:
        worker = self.worker
        store = worker.store.get()
        store.now = FIRST_SECOND + (store.core.now - worker.began_ns) // 1_000_000_000
        length = data.length
        reply = worker.reply
        if reply.length != 0:  # of an event that an exception ended
            reply.clear()
        cursor = worker.cursor
        cursor.reset(data)
        left = self.most - resumed  # memcached counts from the second command on of those that were just read
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
        if cursor.position != length or self.leaving or self.connection is None:
            return self.finish(data)
        # What most events come to, the same without its calls.
        cursor.release()
        if reply.length != 0:
            worker.bytes_written += reply.length
            self.connection.send(reply)
        if self.mode > 0:
            self.waiting = Chain()
        return True

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
