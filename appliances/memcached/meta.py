"""The meta commands mg, ms, md, ma, me and mn of the text protocol."""

import string
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from functools import partial

from appliances.memcached import words
from appliances.memcached.item import Item
from appliances.memcached.session import Session
from appliances.memcached.store import Store
from appliances.memcached.text import Command
from appliances.memcached.words import APPEND, BAD_FORMAT, CAS, CREATED, ERROR, KEY_MAX, NO_MEMORY, REPLACE, SET, STORED
from appliances.memcached.worker import Protocol, Worker
from netapp.iobuf.chain import Chain

MOST_WORDS = 19  # of a line
LONGEST_OPAQUE = 32  # with its O
DIGITS = (string.ascii_letters + string.digits + "+/=").encode()
KNOWN = frozenset(b"bNTRlOPLkstcfvhuqFCMJDI")


def error(text: bytes) -> bytes:
    return b"CLIENT_ERROR " + text + b"\r\n"


LONG_OPAQUE = error(b"opaque token too long")
# Flags whose token is a number, and what is answered where it is none; of N, T and R it is a time.
NUMBERS = dict.fromkeys((b"N", b"T", b"R", b"C"), error(b"bad token in command line format"))
NUMBERS |= {b"J": error(b"invalid numeric initial value"), b"D": error(b"invalid numeric delta value")}
NUMBERS[b"F"] = BAD_FORMAT


class Refused(Exception):
    """Its argument is the answer."""


def decoded(key: bytes) -> bytes:
    """Of base64, as memcached reads it: other bytes are skipped, and the first padding ends it. Empty: it is none."""
    digits = bytes(byte for byte in key if byte in DIGITS)
    pad = digits.find(b"=")
    end = len(digits) if pad < 0 else pad // 4 * 4 + 4
    pads = digits.count(b"=", 0, end)
    if len(digits) % 4 or pads > 2:
        return b""
    return a2b_base64(digits[:end].replace(b"=", b"A"))[: -pads or None]


class Flags:
    def __init__(self, worker: Worker, store: Store, tokens: list[bytes], first: int) -> None:
        """`first`: 3 where a length comes before the flags, which is dealt with before what is wrong with them."""
        self.numbers: dict[bytes, int] = {}
        self.mode = b""
        self.won = self.binary = False
        self.given: set[bytes] = set()
        if len(tokens) < 2:
            raise Refused(ERROR)
        if len(tokens[1]) > KEY_MAX or len(tokens) < first:
            raise Refused(BAD_FORMAT)
        get = tokens[0] == b"mg"
        if len(tokens) > MOST_WORDS:
            raise Refused(error(b"options flags are too long" if get else b"options flags too long"))
        self.tokens, self.key, self.flags = tokens, tokens[1], tokens[first:]
        self.error = self._parse(worker, store)
        if self.error is not None and first == 2:
            raise Refused(self.error if get else error(b"invalid or duplicate flag"))

    def _parse(self, worker: Worker, store: Store) -> bytes | None:
        """memcached's way: it goes on after a bad token, up to an unknown or repeated flag."""
        wrong = None
        for flag in self.flags:
            name, token = flag[:1], flag[1:]
            if name > b"~" or name in self.given:
                return error(b"duplicate flag")
            if flag[0] not in KNOWN:
                return error(b"invalid flag")
            self.given.add(name)
            if name in NUMBERS:
                timed = name in b"NTR"
                number = words.long_number(token) if timed else words.unsigned_number(token)
                if number is None:
                    if name != b"F" or wrong is None:
                        wrong = NUMBERS[name]
                elif timed:
                    self.numbers[name] = worker.expires(store, words.lower_half(number))
                else:
                    self.numbers[name] = number % 2**32 if name == b"F" else number
            elif name == b"b":
                self.key = decoded(self.key)
                self.binary = True
                if not self.key:
                    wrong = error(b"error decoding key")
            elif name == b"M":
                self.mode = token
                if len(token) != 1:
                    wrong = error(b"incorrect length for M token")
        return wrong

    def returned(self, known: bytes, item: Item | None, now: int, binary: bool, created: bool) -> bytes:
        found = b""
        numbers = self.numbers
        for flag in self.flags:
            name = flag[:1]
            if name not in known:
                continue
            if name == b"O":
                if len(flag) > LONGEST_OPAQUE:
                    raise Refused(LONG_OPAQUE)
                found += b" " + flag
            elif name == b"k":
                found += b" k" + (b2a_base64(self.key, newline=False) + b" b" if binary else self.key)
            elif item is None:
                found += b" c0"
            elif name == b"T":
                item.expires = numbers[b"T"]
            elif name == b"N":
                if created:
                    item.expires, self.won = numbers[b"N"], True
            elif name == b"R":
                if not item.won and not created and 0 < item.expires < numbers[b"R"]:
                    self.won = True
            elif name == b"t":
                found += b" t-1" if item.expires == 0 else b" t%d" % ((item.expires - now) % 2**32)
            else:
                number = {b"s": item.length(), b"c": item.unique, b"f": item.flags, b"h": item.fetched}.get(name)
                found += b" %b%d" % (name, now - item.time if number is None else number)
        return found


def _do(
    function: Callable[[Session, Store, Flags], bytes], first: int, session: Session, store: Store, tokens: list[bytes]
) -> bytes:
    try:
        return function(session, store, Flags(session.worker, store, tokens, first))
    except Refused as refused:
        return bytes(refused.args[0])


class Meta(Protocol):
    def __init__(self) -> None:
        self.modes = {b"": SET, b"S": SET, b"E": words.ADD, b"A": APPEND, b"P": words.PREPEND, b"R": REPLACE}
        self.commands: dict[bytes, Command] = {b"me": self.debug, b"mn": self.nothing, b"ms": partial(_do, self.set, 3)}
        for name, function in ((b"mg", self.get), (b"md", self.delete), (b"ma", self.arithmetic)):
            self.commands[name] = partial(_do, function, 2)

    def nothing(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        session.worker.reply.write(b"MN\r\n")
        session.worker.written = session.worker.reply.length  # at once, as memcached does
        return b""

    def debug(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        store.count("cmd_meta")
        if len(tokens) < 2 or len(tokens[1]) > KEY_MAX:
            return BAD_FORMAT
        key = decoded(tokens[1]) if len(tokens) > 2 and tokens[2][:1] == b"b" else tokens[1]
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
            item.slab_class,
            item.counted,
        )

    def get(self, session: Session, store: Store, flags: Flags) -> bytes:
        worker = session.worker
        item = store.find(flags.key)
        created = item is None and b"N" in flags.numbers
        if item is None:
            if not created:
                worker.get_misses += 1
                echo = flags.returned(b"Ok", None, 0, flags.binary, False)
                return b"" if b"q" in flags.given else b"EN" + echo + b"\r\n"
            try:
                item = store.put(flags.key, 0, 0, Chain(b"\r\n"))
            except MemoryError:
                return b"EN\r\n"
        valued = b"v" in flags.given
        found = b"VA %d" % item.length() if valued else b"HD"
        found += flags.returned(b"TNRstcflhOk", item, store.now, item.binary, created)
        won = flags.won or (item.stale and not item.won)
        found += (b" Z" if item.won else b"") + (b" X" if item.stale else b"") + (b" W" if won else b"")
        item.won = item.won or won
        if b"u" not in flags.given:
            store.use(item)
        if b"T" in flags.given:
            store.count("cmd_touch")
            store.count("touch_hits", item)
        else:
            store.hit(item)
        worker.reply.write(found + b"\r\n")
        if valued:
            item.write_to(worker.reply, True)
        return b""

    def set(self, session: Session, store: Store, flags: Flags) -> bytes:
        length = words.short_number(flags.tokens[2])
        if length is None or not 0 <= length <= words.LONGEST_VALUE:
            return BAD_FORMAT
        numbers = flags.numbers
        mode = self.modes.get(flags.mode, 0)
        try:
            if flags.error is not None or mode == 0:
                raise Refused(flags.error or error(b"invalid mode for ms M token"))
            flags.returned(b"O", None, 0, False, False)
            if not store.fits(flags.key, numbers.get(b"F", 0), length):
                store.refuse("store_too_large", SET, flags.key)
                raise Refused(words.TOO_LARGE)
        except Refused as refused:
            session.swallow(length + 2, refused.args[0])
            return b""
        if b"C" in numbers and (mode == SET or mode == REPLACE):
            mode = CAS
        session.extra = flags
        session.unique = numbers.get(b"C", 0)
        session.stale = b"I" in flags.given and mode == CAS and session.unique != 0
        session.begin(store, self, mode, flags.key, numbers.get(b"F", 0), numbers.get(b"T", 0), length, False)
        return b""

    def stored(self, session: Session, worker: Worker, store: Store, result: int) -> bytes:
        flags = session.extra
        session.extra = None
        assert isinstance(flags, Flags)
        if result == 0:
            return words.BAD_CHUNK
        if result == NO_MEMORY:
            store.refuse("store_no_memory", SET, session.key)
            return words.OUT_OF_MEMORY
        item = store.last if result == STORED else None
        if item is not None:
            item.binary = flags.binary and session.mode not in (APPEND, words.PREPEND)  # which make items of their own
            if b"q" in flags.given:
                return b""
        echo = flags.returned(b"Okc", item, store.now, flags.binary, False)
        return {STORED: b"HD", words.EXISTS: b"EX", words.NOT_FOUND: b"NF"}.get(result, b"NS") + echo + b"\r\n"

    def delete(self, session: Session, store: Store, flags: Flags) -> bytes:
        echo = flags.returned(b"Ok", None, 0, flags.binary, False)
        item = store.find(flags.key)
        if item is None or flags.numbers.get(b"C", item.unique) != item.unique:
            store.count("delete_misses")
            return (b"NF" if item is None else b"EX") + echo + b"\r\n"
        if b"I" in flags.given:
            item.expires = flags.numbers.get(b"T", item.expires)
            item.stale, item.won = True, False
            store.number_again(item)
        else:
            store.delete(flags.key, 0)
        return b"" if b"q" in flags.given else b"HD" + echo + b"\r\n"

    def arithmetic(self, session: Session, store: Store, flags: Flags) -> bytes:
        if flags.mode not in (b"", b"I", b"+", b"D", b"-"):
            return error(b"invalid mode for ma M token")
        numbers, up = flags.numbers, flags.mode not in (b"D", b"-")
        initial = numbers.get(b"J", 0) if b"N" in numbers else None
        result = store.delta(flags.key, up, numbers.get(b"D", 1), numbers.get(b"C", 0), initial, 0)
        if result == words.NOT_A_NUMBER:
            return words.NO_NUMBER
        if result == NO_MEMORY:
            return b"SERVER_ERROR out of memory\r\n"
        if result == words.NOT_STORED:
            return b"SERVER_ERROR Out of memory allocating new item\r\n"
        there = result == STORED or result == CREATED
        known = b"ctTNOk" if there else b"Ok"
        returned = flags.returned(known, store.last if there else None, store.now, flags.binary, result == CREATED)
        if not there:
            return (b"NF" if result == words.NOT_FOUND else b"EX") + returned + b"\r\n"
        if b"q" in flags.given and result == STORED:
            return b""
        digits = b"%d" % store.number
        return b"VA %d%b\r\n%b\r\n" % (len(digits), returned, digits) if b"v" in flags.given else b"HD%b\r\n" % returned
