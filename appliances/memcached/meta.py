"""The meta commands mg, ms, md, ma, me and mn of the text protocol."""

from __future__ import annotations

import string
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from appliances.memcached.classes import item_bytes, slab_class
from appliances.memcached.protocol import Protocol
from appliances.memcached.words import (
    ADD,
    APPEND,
    BAD_CHUNK,
    BAD_FORMAT,
    CAS,
    ERROR,
    EXISTS,
    KEY_MAX,
    NO_MEMORY,
    NO_NUMBER,
    NOT_A_NUMBER,
    NOT_FOUND,
    OUT_OF_MEMORY,
    PREPEND,
    REPLACE,
    SET,
    STORED,
    TOO_LARGE,
    long_number,
    lower_half,
    unsigned_number,
)
from netapp.iobuf.chain import Chain

if TYPE_CHECKING:
    from appliances.memcached.item import Item
    from appliances.memcached.session import Session
    from appliances.memcached.store import Store
    from appliances.memcached.text import Command
    from appliances.memcached.worker import Worker

MOST_WORDS = 19  # of a line
LONGEST_OPAQUE = 32  # with its O
DIGITS = (string.ascii_letters + string.digits + "+/=").encode()
KNOWN = frozenset(b"bNTRlOPLkstcfvhuqFCMJDI")


def error(text: bytes) -> bytes:
    return b"CLIENT_ERROR " + text + b"\r\n"


BAD_TOKEN = error(b"bad token in command line format")
LONG_OPAQUE = error(b"opaque token too long")


def decoded(key: bytes) -> bytes:
    """Of base64, as memcached reads it: other bytes are skipped, and the first padding ends it. Empty: it is none."""
    digits = bytes(byte for byte in key if byte in DIGITS)
    if len(digits) % 4:
        return b""
    pad = digits.find(b"=")
    if pad < 0:
        return a2b_base64(digits)
    last = pad // 4 * 4
    pads = digits.count(b"=", last, last + 4)
    quad = digits[last : last + 4].replace(b"=", b"A")
    return b"" if pads > 2 else a2b_base64(digits[:last] + quad)[:-pads]


def shown(key: bytes, binary: bool) -> bytes:
    return b" k" + b2a_base64(key, newline=False) + b" b" if binary else b" k" + key


class Flags:
    def __init__(self, worker: Worker, store: Store, key: bytes, flags: list[bytes]) -> None:
        self.key = key
        self.flags = flags
        self.error: bytes | None = None
        self.binary = self.invalidate = self.quiet = self.value = self.unused = self.has_unique = False
        self.expires = self.vivify = self.recache = -1
        self.unique = self.client_flags = self.initial = 0
        self.by = 1
        self.mode = b""
        self.parse(worker, store, flags)

    def parse(self, worker: Worker, store: Store, flags: list[bytes]) -> None:
        """memcached's way: it goes on after a bad token, up to an unknown or repeated flag."""
        seen = set()
        for flag in flags:
            name = flag[0]
            if name >= 127 or name in seen:
                self.error = error(b"duplicate flag")
                return
            if name not in KNOWN:
                self.error = error(b"invalid flag")
                return
            seen.add(name)
            token = flag[1:]
            if name == 98:  # b
                self.key = decoded(self.key)
                self.binary = True
                if not self.key:
                    self.error = error(b"error decoding key")
            elif name == 78:  # N
                self.vivify = self.time(worker, store, token)
            elif name == 84:  # T
                self.expires = self.time(worker, store, token)
            elif name == 82:  # R
                self.recache = self.time(worker, store, token)
            elif name == 118:  # v
                self.value = True
            elif name == 117:  # u
                self.unused = True
            elif name == 113:  # q
                self.quiet = True
            elif name == 73:  # I
                self.invalidate = True
            elif name == 77:  # M
                if len(token) != 1:
                    self.error = error(b"incorrect length for M token")
                self.mode = token
            elif name in b"FCJD":
                number = unsigned_number(token)
                if number is None:
                    self.error = {
                        70: self.error or BAD_FORMAT,
                        67: BAD_TOKEN,
                        74: error(b"invalid numeric initial value"),
                        68: error(b"invalid numeric delta value"),
                    }[name]
                elif name == 70:
                    self.client_flags = number % 2**32
                elif name == 67:
                    self.unique = number
                    self.has_unique = True
                elif name == 74:
                    self.initial = number
                else:
                    self.by = number

    def time(self, worker: Worker, store: Store, token: bytes) -> int:
        seconds = long_number(token)
        if seconds is None:
            self.error = BAD_TOKEN
            return -1
        return worker.expires(store, lower_half(seconds))

    def echo(self, binary: bool) -> bytes | None:
        """What the flags k and O send back; None: O is too long. `binary`: whether the key is shown in base64."""
        found = b""
        for flag in self.flags:
            if flag[0] == 79:  # O
                if len(flag) > LONGEST_OPAQUE:
                    return None
                found += b" " + flag
            elif flag[0] == 107:  # k
                found += shown(self.key, binary)
        return found


def remaining(item: Item, now: int) -> bytes:
    return b" t-1" if item.expires == 0 else b" t%d" % ((item.expires - now) % 2**32)


class Meta(Protocol):
    def __init__(self) -> None:
        self.modes = {b"": SET, b"S": SET, b"E": ADD, b"A": APPEND, b"P": PREPEND, b"R": REPLACE}
        self.commands: dict[bytes, Command] = {
            b"mg": self.get,
            b"ms": self.set,
            b"md": self.delete,
            b"ma": self.arithmetic,
            b"me": self.debug,
            b"mn": self.nothing,
        }

    def nothing(self, session: Session, store: Store, words: list[bytes]) -> bytes:
        worker = session.worker
        worker.reply.write(b"MN\r\n")
        worker.written = worker.reply.length  # at once, as memcached does
        return b""

    def debug(self, session: Session, store: Store, words: list[bytes]) -> bytes:
        session.worker.count("cmd_meta")
        if len(words) < 2 or len(words[1]) > KEY_MAX:
            return BAD_FORMAT
        key = words[1]
        if len(words) > 2 and words[2][:1] == b"b":
            key = decoded(key)
            if not key:
                return BAD_FORMAT
        item = store.find(key)
        if item is None:
            return b"EN\r\n"
        return b"ME %b exp=%d la=%d cas=%d fetch=%b cls=%d size=%d\r\n" % (
            b2a_base64(item.key, newline=False) if item.binary else item.key,
            -1 if item.expires == 0 else store.now - item.expires,
            store.now - item.time,
            item.unique,
            b"yes" if item.fetched else b"no",
            slab_class(item_bytes(item)),
            item_bytes(item),
        )

    def get(self, session: Session, store: Store, words: list[bytes]) -> bytes:
        worker = session.worker
        if len(words) < 2:
            return ERROR
        if len(words[1]) > KEY_MAX:
            return BAD_FORMAT
        if len(words) > MOST_WORDS:
            return error(b"options flags are too long")
        flags = Flags(worker, store, words[1], words[2:])
        if flags.error is not None:
            return flags.error
        item = store.find(flags.key)
        created = item is None and flags.vivify >= 0
        touched = flags.expires >= 0
        if item is None and not created:
            worker.count("cmd_touch" if touched else "meta_get")
            worker.count("touch_misses" if touched else "meta_get_misses")
            echo = flags.echo(flags.binary)
            if echo is None:
                return LONG_OPAQUE
            return b"" if flags.quiet else b"EN" + echo + b"\r\n"
        if item is None:
            try:
                item = store.put(flags.key, 0, 0, Chain(b"\r\n"))
            except MemoryError:
                return b"EN\r\n"
        won = False
        found = b"VA %d" % item.length() if flags.value else b"HD"
        for flag in flags.flags:
            name = flag[0]
            if name == 84:  # T
                item.expires = flags.expires
            elif name == 78:  # N
                if created:
                    item.expires = flags.vivify
                    won = True
            elif name == 82:  # R
                if not item.won and not created and item.expires != 0 and item.expires < flags.recache:
                    won = True
            elif name == 115:  # s
                found += b" s%d" % item.length()
            elif name == 116:  # t
                found += remaining(item, store.now)
            elif name == 99:  # c
                found += b" c%d" % item.unique
            elif name == 102:  # f
                found += b" f%d" % item.flags
            elif name == 108:  # l
                found += b" l%d" % (store.now - item.time)
            elif name == 104:  # h
                found += b" h1" if item.fetched else b" h0"
            elif name == 79:  # O
                if len(flag) > LONGEST_OPAQUE:
                    return LONG_OPAQUE
                found += b" " + flag
            elif name == 107:  # k
                found += shown(item.key, item.binary)
        if item.won:
            found += b" Z"
        if item.stale:
            found += b" X"
            won = won or not item.won
        if won:
            found += b" W"
            item.won = True
        if not flags.unused:
            store.use(item)
        if touched:
            worker.count("cmd_touch")
            worker.count("touch_hits")
        else:
            worker.cmd_get += 1
            worker.get_hits += 1
        worker.reply.write(found + b"\r\n")
        if flags.value:
            item.write_to(worker.reply, True)
        return b""

    def set(self, session: Session, store: Store, words: list[bytes]) -> bytes:
        worker = session.worker
        if len(words) < 2:
            return ERROR
        if len(words[1]) > KEY_MAX or len(words) == 2:
            return BAD_FORMAT
        if len(words) > MOST_WORDS:
            return error(b"options flags too long")
        number = long_number(words[2])
        length = -1 if number is None else lower_half(number)
        if not 0 <= length <= 0x7FFFFFFD:
            return BAD_FORMAT
        flags = Flags(worker, store, words[1], words[3:])
        mode = self.modes.get(flags.mode, 0)
        wrong = flags.error
        if wrong is None and mode == 0:
            wrong = error(b"invalid mode for ms M token")
        if wrong is None and flags.echo(False) is None:
            wrong = LONG_OPAQUE
        if wrong is None and not store.fits(flags.key, flags.client_flags, length):
            worker.count("store_too_large")
            store.drop(flags.key)
            wrong = TOO_LARGE
        if wrong is not None:
            session.swallow(length + 2, wrong)
            return b""
        if flags.has_unique and (mode == SET or mode == REPLACE):
            mode = CAS
        session.extra = flags
        session.unique = flags.unique
        session.stale = flags.invalidate and mode == CAS and flags.unique != 0
        expires = 0 if flags.expires < 0 else flags.expires
        session.begin(store, self, mode, flags.key, flags.client_flags, expires, length, False)
        return b""

    def stored(self, session: Session, worker: Worker, store: Store, result: int) -> bytes:
        flags = session.extra
        session.extra = None
        assert isinstance(flags, Flags)
        if result == 0:
            return BAD_CHUNK
        if result == NO_MEMORY:
            worker.count("store_no_memory")
            store.drop(session.key)
            return OUT_OF_MEMORY
        unique = 0
        if result == STORED and store.last is not None:
            store.last.binary = flags.binary and session.mode not in (APPEND, PREPEND)  # which make items of their own
            unique = store.last.unique
            if flags.quiet:
                return b""
        found = {STORED: b"HD", EXISTS: b"EX", NOT_FOUND: b"NF"}.get(result, b"NS")
        for flag in flags.flags:
            if flag[0] == 79:  # O
                found += b" " + flag
            elif flag[0] == 107:  # k
                found += shown(flags.key, flags.binary)
            elif flag[0] == 99:  # c
                found += b" c%d" % unique
        return found + b"\r\n"

    def delete(self, session: Session, store: Store, words: list[bytes]) -> bytes:
        worker = session.worker
        flags = self.flags_of(worker, store, words)
        if isinstance(flags, bytes):
            return flags
        echo = flags.echo(flags.binary)
        if echo is None:
            return LONG_OPAQUE
        item = store.find(flags.key)
        if item is None or (flags.has_unique and item.unique != flags.unique):
            worker.count("delete_misses")
            return (b"NF" if item is None else b"EX") + echo + b"\r\n"
        if flags.invalidate:
            if flags.expires >= 0:
                item.expires = flags.expires
            item.stale, item.won = True, False
            store.number_again(item)
        else:
            worker.count("delete_hits")
            store.remove(item)
        return b"" if flags.quiet else b"HD" + echo + b"\r\n"

    def arithmetic(self, session: Session, store: Store, words: list[bytes]) -> bytes:
        worker = session.worker
        flags = self.flags_of(worker, store, words)
        if isinstance(flags, bytes):
            return flags
        if flags.mode not in (b"", b"I", b"+", b"D", b"-"):
            return error(b"invalid mode for ma M token")
        up = flags.mode not in (b"D", b"-")
        name = "incr" if up else "decr"
        result = store.delta(flags.key, up, flags.by, flags.unique)
        number = store.number
        created = result == NOT_FOUND and flags.vivify >= 0
        if result == NOT_A_NUMBER:
            return NO_NUMBER
        if result == NO_MEMORY:
            return b"SERVER_ERROR out of memory\r\n"
        if created:
            number = flags.initial
            try:
                store.put(flags.key, 0, 0, Chain(b"%d\r\n" % number))
            except MemoryError:
                return b"SERVER_ERROR Out of memory allocating new item\r\n"
        elif result != STORED:
            if result == NOT_FOUND:
                worker.count(f"{name}_misses")
            echo = flags.echo(flags.binary)
            return LONG_OPAQUE if echo is None else (b"NF" if result == NOT_FOUND else b"EX") + echo + b"\r\n"
        else:
            worker.count(f"{name}_hits")
        item = store.last
        assert item is not None
        digits = b"%d" % number
        found = b"VA %d" % len(digits) if flags.value else b"HD"
        for flag in flags.flags:
            if flag[0] == 99:  # c
                found += b" c%d" % item.unique
            elif flag[0] == 116:  # t
                found += remaining(item, store.now)
            elif flag[0] == 84:  # T
                item.expires = flags.expires
            elif flag[0] == 78:  # N
                if created:
                    item.expires = flags.vivify
            elif flag[0] == 79:  # O
                if len(flag) > LONGEST_OPAQUE:
                    return LONG_OPAQUE
                found += b" " + flag
            elif flag[0] == 107:  # k
                found += shown(flags.key, flags.binary)
        if flags.quiet and not created:
            return b""
        return found + (b"\r\n" + digits + b"\r\n" if flags.value else b"\r\n")

    def flags_of(self, worker: Worker, store: Store, words: list[bytes]) -> Flags | bytes:
        """Of md and ma; or what is wrong."""
        if len(words) < 2:
            return ERROR
        if len(words[1]) > KEY_MAX:
            return BAD_FORMAT
        if len(words) > MOST_WORDS:
            return error(b"options flags too long")
        flags = Flags(worker, store, words[1], words[2:])
        return flags if flags.error is None else error(b"invalid or duplicate flag")
