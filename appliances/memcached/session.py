"""A connection: commands are read where they lie, and all replies of an event are sent at once."""

from collections.abc import Callable, Mapping

from appliances.memcached.store import Item, Store
from appliances.memcached.words import (
    BAD_CHUNK,
    BAD_FORMAT,
    ERROR,
    KEY_MAX,
    NO_MEMORY,
    TOO_LARGE,
    TOO_MANY,
    long_number,
    lower_half,
    unsigned_number,
    word,
)
from netapp.ebb.core import EbbRef
from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor
from netapp.tcp.connection import SendQueueFull
from netapp.tcp.handler import TcpHandler

GET, GETS = word(b"get"), word(b"gets")
SET, ADD, REPLACE, CAS = word(b"set"), word(b"add"), word(b"replace"), word(b"cas")
NOREPLY = word(b"noreply")
SWALLOW = 1  # instead of a command's name, and less than any: its value is dropped

CRLF = b"\r\n"
END, STORED, NOT_STORED = b"END\r\n", b"STORED\r\n", b"NOT_STORED\r\n"
NOT_FOUND, EXISTS = b"NOT_FOUND\r\n", b"EXISTS\r\n"

FIRST_SECOND = 62  # what memcached's clock shows when it begins
LONGEST_RELATIVE = 60 * 60 * 24 * 30  # a longer time is one of day
LONGEST_LINE = 2048  # but for get and gets
LONGEST_GET = 1 << 20
ENOUGH = 1 << 20  # bytes of replies in an event, after which others have their turn
SMALL_PIECE = 1024  # of a command that waits for its rest: copied together with others, for each would pin a slot

Command = Callable[["Session", Store, list[bytes]], bytes | None]


class Worker:
    def __init__(
        self,
        store: EbbRef,
        events: EbbRef,
        commands: Mapping[bytes, Command],
        began: int,
        requests_per_event: int = 20,
        max_connections: int = 1024,
        max_item: int = 1 << 20,
    ) -> None:
        """`began`: the time of day now, in seconds."""
        self.store = store
        self.events = events
        self.commands = commands
        self.began = began - FIRST_SECOND
        self.began_ns = events().now
        self.requests_per_event = requests_per_event
        self.max_connections = max_connections
        self.max_item = max_item
        self.reply = Chain()
        self.cursor = Cursor()
        self.value = Chain()
        self.connections = 0
        self.draining = False
        self.reset_counters()

    def reset_counters(self) -> None:
        self.total_connections = self.rejected_connections = self.yields = 0
        self.bytes_read = self.bytes_written = 0
        self.cmd_get = self.get_hits = self.cmd_set = 0
        self.cas_misses = self.cas_hits = self.cas_badval = 0
        self.store_too_large = self.store_no_memory = 0
        self.counts: dict[str, int] = {}

    def expires(self, store: Store, exptime: int) -> int:
        """On the store's clock."""
        if exptime == 0:
            return 0
        if exptime < 0:
            return 1
        if exptime <= LONGEST_RELATIVE:
            return store.now + exptime
        return exptime - self.began if exptime > self.began else 1


class Session(TcpHandler):
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.waiting: Chain | None = None
        self.verb = self.awaited = self.reserved = self.asked = 0
        self.yielded = self.blocked = self.leaving = self.peer_left = False

    # --- the connection ------------------------------------------------------------------------------------------

    def connected(self) -> None:
        self.worker.connections += 1
        self.worker.total_connections += 1
        if self.worker.connections > self.worker.max_connections:
            self.worker.rejected_connections += 1
            self.send(TOO_MANY)
            self.leave()

    def receive(self, data: Chain) -> None:
        self.worker.bytes_read += data.length
        if self.leaving or self.worker.draining:
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
        self.worker.connections -= 1
        self.leaving = True
        self.waiting = None
        if self.reserved:
            self.worker.store.get().release(self.reserved)
            self.reserved = 0

    def leave(self) -> None:
        self.leaving = True
        self.waiting = None
        self.close()

    def go_on(self) -> None:
        """After having yielded: the rest of what was received."""
        self.blocked = False
        if self.leaving or self.worker.draining:
            return
        try:
            try:
                self.send(b"")
            except SendQueueFull:
                self.blocked = True
                return
            data = self.waiting
            assert data is not None
            self.waiting = None
            self.yielded = False
            self.work(data)
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
        if self.verb != 0:
            try:
                if data.length < SMALL_PIECE:
                    waiting.write(data.tobytes())
                else:
                    waiting.append(self.worker.store.get().kept(data))
            except MemoryError:
                waiting.append(data)
                self.no_room()
            if self.verb != SWALLOW and waiting.length < self.awaited:
                return None
        else:
            cursor = self.worker.cursor
            cursor.reset(data)
            if cursor.find(10) < 0:
                waiting.write(data.tobytes())
                cursor.reset(self.worker.reply)
                self.bound_line(waiting)
                return None
            waiting.append(data)
        self.waiting = None
        return waiting

    def work(self, data: Chain) -> None:
        worker = self.worker
        store = worker.store.get()
        length = data.length
        store.now = FIRST_SECOND + (store.core.now - worker.began_ns) // 1_000_000_000
        reply = worker.reply
        if reply.length != 0:  # of an event that an exception ended
            reply.clear()
        cursor = worker.cursor
        cursor.reset(data)
        left = worker.requests_per_event
        while True:
            if self.verb != 0 and not self.value(store):
                break
            if cursor.position == length or not cursor.line():
                break
            if left == 0 or reply.length >= ENOUGH:
                self.yielded = True
                break
            left -= 1
            start = cursor.position
            verb = self.asked or cursor.word()
            if verb == GET or verb == GETS:
                if not self.get(worker, store, cursor, reply, verb == GETS):
                    break
                cursor.end_line()
            elif verb == SET or verb == ADD or verb == REPLACE or verb == CAS:
                self.storage(store, verb, start, data)
            else:
                self.other(store, start, data)
                if self.leaving:
                    break
                cursor.end_line()
        start = cursor.position
        cursor.release()
        if reply.length != 0:
            worker.bytes_written += reply.length
            self.connection.send(reply)
        if self.leaving:
            self.leave()
        elif start < length:
            data.discard(start)
            self.waiting = data
            if self.yielded:
                worker.yields += 1
                self.pause()
                worker.events().spawn(self.go_on)
            elif self.verb == 0:
                self.bound_line(data)
        elif self.verb > SWALLOW:
            self.waiting = Chain()

    def get(self, worker: Worker, store: Store, cursor: Cursor, reply: Chain, unique: bool) -> bool:
        """False: the rest of the line waits for its turn."""
        items = store.items
        before = reply.length
        self.asked = 0
        item = cursor.look_up(items)
        length = cursor.token_length
        if length == 0:
            reply.write(ERROR)
            return True
        while True:
            if length > KEY_MAX:
                reply.drop_tail(reply.length - before)
                reply.write(BAD_FORMAT)
                return True
            worker.cmd_get += 1
            more = cursor.more()
            if item is not None and store.alive(item):
                worker.get_hits += 1
                if unique:
                    self.with_unique(item)
                elif more:
                    self.without_end(item)
                elif item.small is not None:
                    reply.write(item.small)
                    return True
                else:
                    reply.append_clone(item.views)
                    return True
            if not more:
                break
            if reply.length >= ENOUGH:
                self.asked = GETS if unique else GET
                self.yielded = True
                return False
            item = cursor.look_up(items)
            length = cursor.token_length
        reply.write(END)
        return True

    def without_end(self, item: Item) -> None:
        """The item's part of a reply with more to come."""
        if item.small is not None:
            self.worker.reply.write(item.small[:-5])
        else:
            data = item.views.clone()
            data.drop_tail(5)
            self.worker.reply.append(data)

    def with_unique(self, item: Item) -> None:
        """The same, as gets has it."""
        reply = self.worker.reply
        unique = b" %d\r\n" % item.unique
        if item.small is not None:
            reply.write(item.small[: item.header - 2] + unique + item.small[item.header : -5])
            return
        data = item.views.clone()
        data.drop_tail(5)
        reply.append(data.split(item.header - 2))
        reply.write(unique)
        data.discard(2)
        reply.append(data)

    def storage(self, store: Store, verb: int, start: int, data: Chain) -> None:
        """The line of a storage command. What is not as clients usually write it is looked at again, as C would."""
        cursor = self.worker.cursor
        key = cursor.token()
        flags = cursor.number()
        exptime = cursor.number()
        length = cursor.number()
        unique = cursor.number() if verb == CAS else 0
        last = cursor.word() if cursor.more() else 0
        if (
            key is None
            or length < 0
            or flags < 0
            or exptime < 0
            or unique < 0
            or flags >> 32 != 0
            or exptime >> 31 != 0
            or length > 0x7FFFFFFD
            or len(key) > KEY_MAX
            or (last != 0 and last != NOREPLY)
            or cursor.more()
        ):
            self.odd_storage(store, verb, self.tokens(start, data))
        else:
            self.noreply = last == NOREPLY
            self.unique = unique
            self.begin(store, verb, key, flags, exptime, length)

    def odd_storage(self, store: Store, verb: int, tokens: list[bytes]) -> None:
        reply = self.worker.reply
        numbers = 4 if verb == CAS else 3
        if not 2 + numbers <= len(tokens) <= 3 + numbers:
            reply.write(ERROR)
            self.worker.cursor.end_line()
            return
        self.noreply = tokens[-1] == b"noreply"
        flags, exptime, length = unsigned_number(tokens[2]), long_number(tokens[3]), long_number(tokens[4])
        unique = unsigned_number(tokens[5]) if verb == CAS else 0
        # memcached reads numbers of 64 bits and keeps the lower half.
        kept = None if length is None else lower_half(length)
        if (
            flags is None
            or exptime is None
            or unique is None
            or kept is None
            or not 0 <= kept <= 0x7FFFFFFD
            or len(tokens[1]) > KEY_MAX
        ):
            if not self.noreply:
                reply.write(BAD_FORMAT)
            self.worker.cursor.end_line()
            return
        self.unique = unique
        self.begin(store, verb, tokens[1], flags % 0x100000000, lower_half(exptime), kept)

    def begin(self, store: Store, verb: int, key: bytes, flags: int, exptime: int, length: int) -> None:
        """The command's line was good: its value follows."""
        worker = self.worker
        cursor = worker.cursor
        cursor.end_line()
        self.verb = verb
        self.key = key
        self.flags = flags
        self.exptime = exptime
        self.awaited = length + 2
        # memcached's item: its header, the key with its end, flags if any, and the value.
        if 57 + len(key) + (4 if flags != 0 else 0) + length + 2 > worker.max_item:
            worker.store_too_large += 1
            self.swallow(store, b"" if self.noreply else TOO_LARGE)
        elif cursor.remaining() < self.awaited:
            if store.reserve(self.awaited):
                self.reserved = self.awaited
            else:
                self.no_room()

    def no_room(self) -> None:
        """For the value that is arriving."""
        store = self.worker.store.get()
        store.release(self.reserved)
        self.reserved = 0
        self.worker.store_no_memory += 1
        self.swallow(store, NO_MEMORY)

    def swallow(self, store: Store, answer: bytes) -> None:
        """The value cannot be stored; nor may an older one stay, which the client believes replaced."""
        if self.verb == SET:
            item = store.find(self.key)
            if item is not None:
                store.remove(item)
        self.verb = SWALLOW
        self.answer = answer

    def value(self, store: Store) -> bool:
        """Stores or drops the value at the cursor; False: not all of it is there."""
        worker = self.worker
        cursor = worker.cursor
        size = cursor.remaining()
        if self.verb == SWALLOW:
            if size < self.awaited:
                self.awaited -= size
                cursor.skip(size)
                return False
            cursor.skip(self.awaited)
            self.verb = 0
            worker.reply.write(self.answer)
            return True
        if size < self.awaited:
            return False
        if self.reserved != 0:
            store.release(self.reserved)
            self.reserved = 0
        value = worker.value
        if value.length != 0:  # of an event that an exception ended
            value.discard(value.length)
        cursor.take_into(value, self.awaited)
        worker.cmd_set += 1
        answer = self.store_value(store, value) if value.ends_with(CRLF) else BAD_CHUNK
        if value.length != 0:  # it was not stored
            value.discard(value.length)
        self.verb = 0
        if not self.noreply:
            worker.reply.write(answer)
        return True

    def store_value(self, store: Store, value: Chain) -> bytes:
        worker = self.worker
        if self.verb != SET:
            item = store.find(self.key)
            if self.verb == CAS:
                if item is None:
                    worker.cas_misses += 1
                    return NOT_FOUND
                if item.unique != self.unique:
                    worker.cas_badval += 1
                    return EXISTS
                worker.cas_hits += 1
            elif (item is None) == (self.verb == REPLACE):
                return NOT_STORED
        try:
            store.put(self.key, self.flags, worker.expires(store, self.exptime), value)
        except MemoryError:
            worker.store_no_memory += 1
            self.swallow(store, NO_MEMORY)
            return NO_MEMORY
        return STORED

    def other(self, store: Store, start: int, data: Chain) -> None:
        """A rarer command, which is a function of its tokens."""
        tokens = self.tokens(start, data)
        command = self.worker.commands.get(tokens[0]) if tokens else None
        answer = ERROR if command is None else command(self, store, tokens)
        if answer is None:
            self.leaving = True
        else:
            self.worker.reply.write(answer)

    def tokens(self, start: int, data: Chain) -> list[bytes]:
        """Of the line that begins at `start`."""
        cursor = self.worker.cursor
        cursor.reset(data)
        cursor.skip(start)
        cursor.line()
        found = []
        token = cursor.token()
        while token is not None:
            found.append(token)
            token = cursor.token()
        return found

    def bound_line(self, waiting: Chain) -> None:
        """memcached's rule: a line that is so long and has no end yet can only be a get of many keys."""
        if waiting.length <= LONGEST_LINE:
            return
        cursor = self.worker.cursor
        cursor.reset(waiting)
        head = cursor.read(106)
        cursor.reset(self.worker.reply)
        line = head.lstrip(b" ")
        if len(head) - len(line) > 100 or not line.startswith((b"get ", b"gets ")) or waiting.length > LONGEST_GET:
            self.leave()
