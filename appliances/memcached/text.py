"""The text protocol's commands that most requests are; the rarer ones are functions in commands.py."""

from collections.abc import Callable, Mapping

from appliances.memcached import words
from appliances.memcached.item import Item
from appliances.memcached.session import Session
from appliances.memcached.store import Store
from appliances.memcached.words import BAD_FORMAT, CAS, END, ENOUGH, ERROR, KEY_MAX, NO_MEMORY, SET, STORED
from appliances.memcached.worker import Protocol, Worker
from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor
from netapp.iobuf.record import append_record

GET, GETS, BGET, SET_WORD, NOREPLY = map(words.word, (b"get", b"gets", b"bget", b"set", b"noreply"))
STORES = (b"set", b"add", b"replace", b"cas", b"append", b"prepend")  # in the order of SET, ADD, ...
STORED_LINE = b"STORED\r\n"
NOT_STORED_LINES = {
    words.BAD_DATA: words.BAD_CHUNK,
    words.NOT_STORED: b"NOT_STORED\r\n",
    words.EXISTS: b"EXISTS\r\n",
    words.NOT_FOUND: b"NOT_FOUND\r\n",
    NO_MEMORY: words.OUT_OF_MEMORY,
}
LONGEST_LINE = 2048  # but for get and gets
LONGEST_GET = 1 << 20
LONGEST_VALUE = words.LONGEST_VALUE
MOST_KEYS = 10_000  # of a get, after which others have their turn: those that are missing fill no reply

Command = Callable[[Session, Store, list[bytes]], bytes | None]


def tokens_of(cursor: Cursor, start: int, data: Chain) -> list[bytes]:
    cursor.reset(data)
    cursor.skip(start)
    cursor.line()
    found = []
    while (token := cursor.token()) is not None:
        found.append(token)
    return found


class Text(Protocol):
    def __init__(self, commands: Mapping[bytes, Command]) -> None:
        self.commands = dict(commands)
        self.modes = {words.word(name): mode for mode, name in enumerate(STORES, SET)}

    def command(self, session: Session, worker: Worker, store: Store, cursor: Cursor, data: Chain) -> bool:
        if not cursor.line():
            return False
        start = cursor.position
        verb = session.asked or cursor.word()
        session.asked = 0
        if verb == GET or verb == GETS or verb == BGET:
            item = cursor.look_up(store.items)
            if verb == GET and item is not None and not cursor.more():
                if store.fetch(item):
                    # What most requests are: one key, which is there.
                    append_record(worker.reply, item, 0, 0)
                    worker.written = worker.reply.length
                    cursor.end_line()
                    return True
                item = None
            if not self.get(session, worker, store, verb == GETS, item):
                return False
            cursor.end_line()
            return True
        mode = SET if verb == SET_WORD else self.modes.get(verb, 0)
        if mode != 0:
            self.storage(session, store, cursor, mode, start, data)
            return True
        tokens = tokens_of(cursor, start, data)
        cursor.end_line()
        found = self.commands.get(tokens[0]) if tokens else None
        answer = ERROR if found is None else found(session, store, tokens)
        if answer is None:
            session.leaving = True
            return False
        worker.reply.write(answer)
        return True

    def get(self, session: Session, worker: Worker, store: Store, unique: bool, item: Item | None) -> bool:
        """`item`: of the first key. False: the rest of the line waits for its turn."""
        cursor = worker.cursor
        reply = worker.reply
        items = store.items
        length = cursor.token_length
        left = MOST_KEYS
        if length == 0:
            reply.write(ERROR)
            return True
        while True:
            if length > KEY_MAX:
                worker.drop_unwritten()
                reply.write(BAD_FORMAT)
                return True
            more = cursor.more()
            if item is not None and store.fetch(item):
                item.write_line(reply, unique)
            else:
                worker.get_misses += 1
            if not more:
                break
            left -= 1
            if left == 0 or reply.length >= ENOUGH:
                session.asked = GETS if unique else GET
                session.yielded = True
                return False
            item = cursor.look_up(items)
            length = cursor.token_length
        reply.write(END)
        worker.written = reply.length  # at once, as memcached does
        return True

    def storage(self, session: Session, store: Store, cursor: Cursor, mode: int, start: int, data: Chain) -> None:
        """The line of a storage command. What is not as clients usually write it is looked at again, as C would."""
        key = cursor.token()
        flags = cursor.number()
        exptime = cursor.number()
        length = cursor.number()
        unique = cursor.number() if mode == CAS else 0
        last = cursor.word() if cursor.more() else 0
        in_range = (flags | exptime | length | unique) >= 0 and flags >> 32 == 0 and exptime >> 31 == 0
        ended = (last == 0 or last == NOREPLY) and not cursor.more()
        if key is None or len(key) > KEY_MAX or not in_range or length > LONGEST_VALUE or not ended:
            session.worker.reply.write(self.odd_storage(session, store, mode, tokens_of(cursor, start, data)))
        else:
            cursor.end_line()
            session.noreply = last == NOREPLY
            session.unique = unique
            self.store_line(session, store, mode, key, flags, exptime, length)

    def odd_storage(self, session: Session, store: Store, mode: int, tokens: list[bytes]) -> bytes:
        """What is answered, where the line is not good."""
        session.worker.cursor.end_line()
        numbers = 4 if mode == CAS else 3
        if not 2 + numbers <= len(tokens) <= 3 + numbers:
            return ERROR
        session.noreply = tokens[-1] == b"noreply"
        flags, exptime = words.unsigned_number(tokens[2]), words.long_number(tokens[3])
        length = words.short_number(tokens[4])
        unique = words.unsigned_number(tokens[5]) if mode == CAS else 0
        refused = b"" if session.noreply else BAD_FORMAT
        if flags is None or exptime is None or length is None or unique is None:
            return refused
        if not 0 <= length <= LONGEST_VALUE or len(tokens[1]) > KEY_MAX:
            return refused
        session.unique = unique
        # memcached reads numbers of 64 bits and keeps the lower half.
        self.store_line(session, store, mode, tokens[1], flags % 0x100000000, words.lower_half(exptime), length)
        return b""

    def store_line(
        self, session: Session, store: Store, mode: int, key: bytes, flags: int, exptime: int, length: int
    ) -> None:
        """The command's line was good: its value follows."""
        session.stale = False
        if length + len(key) + (4 if flags != 0 else 0) <= store.largest:
            expires = session.worker.expires(store, exptime) if exptime != 0 else 0
            session.begin(store, self, mode, key, flags, expires, length, False)
        else:
            store.refuse("store_too_large", mode, key)
            session.swallow(length + 2, b"" if session.noreply else words.TOO_LARGE)

    def stored(self, session: Session, worker: Worker, store: Store, result: int) -> bytes:
        if result == STORED:
            return b"" if session.noreply else STORED_LINE
        if result == NO_MEMORY:
            store.refuse("store_no_memory", session.mode, session.key)
        return b"" if session.noreply else NOT_STORED_LINES[result]

    def completes(self, worker: Worker, data: Chain) -> bool:
        worker.cursor.reset(data)
        found = worker.cursor.find(10) >= 0
        worker.cursor.reset(worker.reply)
        return found

    def bound(self, session: Session, worker: Worker, waiting: Chain) -> None:
        """memcached's rule: a line that is so long and has no end yet can only be a get of many keys."""
        if waiting.length > LONGEST_LINE:
            cursor = worker.cursor
            cursor.reset(waiting)
            head = cursor.read(106)
            cursor.reset(worker.reply)
            line = head.lstrip(b" ")
            if len(head) - len(line) > 100 or not line.startswith((b"get ", b"gets ")) or waiting.length > LONGEST_GET:
                session.leave()
