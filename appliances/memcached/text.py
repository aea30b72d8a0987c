"""The text protocol's commands that most requests are; the rarer ones are functions in commands.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from appliances.memcached.protocol import Protocol
from appliances.memcached.words import (
    ADD,
    APPEND,
    BAD_CHUNK,
    BAD_FORMAT,
    CAS,
    END,
    ENOUGH,
    ERROR,
    EXISTS,
    KEY_MAX,
    NO_MEMORY,
    NOT_FOUND,
    NOT_STORED,
    OUT_OF_MEMORY,
    PREPEND,
    REPLACE,
    SET,
    STORED,
    TOO_LARGE,
    long_number,
    lower_half,
    unsigned_number,
    word,
)
from netapp.iobuf.chain import Chain

if TYPE_CHECKING:
    from appliances.memcached.item import Item
    from appliances.memcached.session import Session
    from appliances.memcached.store import Store
    from appliances.memcached.worker import Worker
    from netapp.iobuf.cursor import Cursor

GET, GETS, BGET, SET_WORD, CAS_WORD, NOREPLY = (
    word(b"get"),
    word(b"gets"),
    word(b"bget"),
    word(b"set"),
    word(b"cas"),
    word(b"noreply"),
)
STORED_LINE = b"STORED\r\n"
LONGEST_LINE = 2048  # but for get and gets
LONGEST_GET = 1 << 20

Command = Callable[["Session", "Store", list[bytes]], bytes | None]


def tokens_of(cursor: Cursor, start: int, data: Chain) -> list[bytes]:
    cursor.reset(data)
    cursor.skip(start)
    cursor.line()
    found = []
    token = cursor.token()
    while token is not None:
        found.append(token)
        token = cursor.token()
    return found


class Text(Protocol):
    def __init__(self, commands: Mapping[bytes, Command], meta: Protocol) -> None:
        self.commands = dict(commands)
        self.meta = meta
        self.modes = {
            word(name): mode
            for name, mode in (
                (b"set", SET),
                (b"add", ADD),
                (b"replace", REPLACE),
                (b"cas", CAS),
                (b"append", APPEND),
                (b"prepend", PREPEND),
            )
        }
        self.answers = {
            0: BAD_CHUNK,
            STORED: STORED_LINE,
            NOT_STORED: b"NOT_STORED\r\n",
            EXISTS: b"EXISTS\r\n",
            NOT_FOUND: b"NOT_FOUND\r\n",
            NO_MEMORY: OUT_OF_MEMORY,
        }

    def command(self, session: Session, worker: Worker, store: Store, cursor: Cursor, data: Chain) -> bool:
        if not cursor.line():
            return False
        start = cursor.position
        verb = session.asked
        if verb == 0:
            verb = cursor.word()
        else:
            session.asked = 0
        if verb == GET or verb == GETS or verb == BGET:
            item = cursor.look_up(store.items)
            if verb == GET and item is not None and not cursor.more():
                if store.fetch(item):
                    # What most requests are: one key, which is there.
                    if item.small is not None:
                        worker.reply.write(item.small)
                    else:
                        worker.reply.append_clone(item.views)
                    worker.written = worker.reply.length
                    cursor.end_line()
                    return True
                item = None
            if not self.get(session, worker, store, cursor, worker.reply, verb == GETS, item):
                return False
            cursor.end_line()
            return True
        if verb == SET_WORD:
            self.storage(session, worker, store, cursor, SET, start, data)
            return True
        mode = self.modes.get(verb, 0)
        if mode != 0:
            self.storage(session, worker, store, cursor, mode, start, data)
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

    def get(
        self,
        session: Session,
        worker: Worker,
        store: Store,
        cursor: Cursor,
        reply: Chain,
        unique: bool,
        item: Item | None,
    ) -> bool:
        """`item`: of the first key. False: the rest of the line waits for its turn."""
        items = store.items
        length = cursor.token_length
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
            if reply.length >= ENOUGH:
                session.asked = GETS if unique else GET
                session.yielded = True
                return False
            item = cursor.look_up(items)
            length = cursor.token_length
        reply.write(END)
        worker.written = reply.length  # at once, as memcached does
        return True

    def storage(
        self, session: Session, worker: Worker, store: Store, cursor: Cursor, mode: int, start: int, data: Chain
    ) -> None:
        """The line of a storage command. What is not as clients usually write it is looked at again, as C would."""
        key = cursor.token()
        flags = cursor.number()
        exptime = cursor.number()
        length = cursor.number()
        unique = cursor.number() if mode == CAS else 0
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
            tokens = tokens_of(cursor, start, data)
            worker.reply.write(self.odd_storage(session, worker, store, mode, tokens))
        else:
            cursor.end_line()
            session.noreply = last == NOREPLY
            session.unique = unique
            self.store_line(session, worker, store, mode, key, flags, exptime, length)

    def odd_storage(self, session: Session, worker: Worker, store: Store, mode: int, tokens: list[bytes]) -> bytes:
        """What is answered, where the line is not good."""
        worker.cursor.end_line()
        numbers = 4 if mode == CAS else 3
        if not 2 + numbers <= len(tokens) <= 3 + numbers:
            return ERROR
        session.noreply = tokens[-1] == b"noreply"
        flags, exptime, length = unsigned_number(tokens[2]), long_number(tokens[3]), long_number(tokens[4])
        unique = unsigned_number(tokens[5]) if mode == CAS else 0
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
            return b"" if session.noreply else BAD_FORMAT
        session.unique = unique
        self.store_line(session, worker, store, mode, tokens[1], flags % 0x100000000, lower_half(exptime), kept)
        return b""

    def store_line(
        self,
        session: Session,
        worker: Worker,
        store: Store,
        mode: int,
        key: bytes,
        flags: int,
        exptime: int,
        length: int,
    ) -> None:
        """The command's line was good: its value follows."""
        session.stale = False
        if length + len(key) + (4 if flags != 0 else 0) <= store.largest:
            expires = worker.expires(store, exptime) if exptime != 0 else 0
            session.begin(store, self, mode, key, flags, expires, length, False)
        else:
            store.refuse("store_too_large", mode, key)
            session.swallow(length + 2, b"" if session.noreply else TOO_LARGE)

    def stored(self, session: Session, worker: Worker, store: Store, result: int) -> bytes:
        if result == STORED:
            return b"" if session.noreply else STORED_LINE
        if result == NO_MEMORY:
            store.refuse("store_no_memory", session.mode, session.key)
        return b"" if session.noreply else self.answers[result]

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
