"""The meta commands mg, ms, md, ma, me and mn of the text protocol."""

import string
from binascii import a2b_base64, b2a_base64

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
LONGEST_VALUE = 0x7FFFFFFD
DIGITS = (string.ascii_letters + string.digits + "+/=").encode()
KNOWN = frozenset(b"bNTRlOPLkstcfvhuqFCMJDI")


def error(text: bytes) -> bytes:
    return b"CLIENT_ERROR " + text + b"\r\n"


BAD_TOKEN = error(b"bad token in command line format")
LONG_OPAQUE = error(b"opaque token too long")
# Flags whose token is a number, and what is answered where it is none; of the first three it is a time.
NUMBERS = {
    b"N": BAD_TOKEN,
    b"T": BAD_TOKEN,
    b"R": BAD_TOKEN,
    b"C": BAD_TOKEN,
    b"F": BAD_FORMAT,
    b"J": error(b"invalid numeric initial value"),
    b"D": error(b"invalid numeric delta value"),
}


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


class Flags:
    def __init__(self, worker: Worker, store: Store, key: bytes, flags: list[bytes]) -> None:
        self.key = key
        self.flags = flags
        self.numbers: dict[bytes, int] = {}
        self.error: bytes | None = None
        self.mode = b""
        self.won = self.binary = False
        self.given: set[bytes] = set()
        self._parse(worker, store)

    def _parse(self, worker: Worker, store: Store) -> None:
        """memcached's way: it goes on after a bad token, up to an unknown or repeated flag."""
        for flag in self.flags:
            name, token = flag[:1], flag[1:]
            if name > b"~" or name in self.given:
                self.error = error(b"duplicate flag")
                return
            if flag[0] not in KNOWN:
                self.error = error(b"invalid flag")
                return
            self.given.add(name)
            if name in NUMBERS:
                self.error = self._number(worker, store, name, token)
            elif name == b"b":
                self.key = decoded(self.key)
                self.binary = True
                if not self.key:
                    self.error = error(b"error decoding key")
            elif name == b"M":
                self.mode = token
                if len(token) != 1:
                    self.error = error(b"incorrect length for M token")

    def _number(self, worker: Worker, store: Store, name: bytes, token: bytes) -> bytes | None:
        timed = name in b"NTR"
        number = words.long_number(token) if timed else words.unsigned_number(token)
        if number is None:
            return self.error if name == b"F" and self.error is not None else NUMBERS[name]
        if timed:
            number = worker.expires(store, words.lower_half(number))
        self.numbers[name] = number % 2**32 if name == b"F" else number
        return self.error

    def returned(self, known: bytes, item: Item | None, now: int, binary: bool, created: bool) -> bytes | None:
        found = b""
        numbers = self.numbers
        for flag in self.flags:
            name = flag[:1]
            if name not in known:
                continue
            if name == b"O":
                if len(flag) > LONGEST_OPAQUE:
                    return None
                found += b" " + flag
            elif name == b"k":
                found += b" k" + (b2a_base64(self.key, newline=False) + b" b" if binary else self.key)
            elif item is None:
                found += b" c0"
            elif name == b"T":
                item.expires = numbers[b"T"]
            elif name == b"N":
                if created:
                    item.expires = numbers[b"N"]
                    self.won = True
            elif name == b"R":
                if not item.won and not created and item.expires != 0 and item.expires < numbers[b"R"]:
                    self.won = True
            elif name == b"t":
                found += b" t-1" if item.expires == 0 else b" t%d" % ((item.expires - now) % 2**32)
            else:
                number = {b"s": item.length(), b"c": item.unique, b"f": item.flags, b"h": item.fetched}.get(name)
                found += b" %b%d" % (name, now - item.time if number is None else number)
        return found


def flags_of(worker: Worker, store: Store, tokens: list[bytes], first: int = 2) -> Flags | bytes:
    """Of what comes behind the key; or what is wrong. `first`: 3 where a length comes before the flags."""
    if len(tokens) < 2:
        return ERROR
    if len(tokens[1]) > KEY_MAX or len(tokens) < first:
        return BAD_FORMAT
    if len(tokens) > MOST_WORDS:
        return error(b"options flags are too long" if tokens[0] == b"mg" else b"options flags too long")
    flags = Flags(worker, store, tokens[1], tokens[first:])
    if flags.error is None or first == 3:
        return flags
    return flags.error if tokens[0] == b"mg" else error(b"invalid or duplicate flag")


class Meta(Protocol):
    def __init__(self) -> None:
        self.modes = {b"": SET, b"S": SET, b"E": words.ADD, b"A": APPEND, b"P": words.PREPEND, b"R": REPLACE}
        self.commands: dict[bytes, Command] = {
            b"mg": self.get,
            b"ms": self.set,
            b"md": self.delete,
            b"ma": self.arithmetic,
            b"me": self.debug,
            b"mn": self.nothing,
        }

    def nothing(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        worker = session.worker
        worker.reply.write(b"MN\r\n")
        worker.written = worker.reply.length  # at once, as memcached does
        return b""

    def debug(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        session.worker.count("cmd_meta")
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

    def get(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        worker = session.worker
        flags = flags_of(worker, store, tokens)
        if isinstance(flags, bytes):
            return flags
        item = store.find(flags.key)
        created = False
        if item is None:
            if b"N" not in flags.numbers:
                worker.get_misses += 1
                echo = flags.returned(b"Ok", None, 0, flags.binary, False)
                if echo is None:
                    return LONG_OPAQUE
                return b"" if b"q" in flags.given else b"EN" + echo + b"\r\n"
            try:
                item = store.put(flags.key, 0, 0, Chain(b"\r\n"))
            except MemoryError:
                return b"EN\r\n"
            created = True
        valued = b"v" in flags.given
        found = b"VA %d" % item.length() if valued else b"HD"
        returned = flags.returned(b"TNRstcflhOk", item, store.now, item.binary, created)
        if returned is None:
            return LONG_OPAQUE
        won = flags.won or (item.stale and not item.won)
        found += returned + (b" Z" if item.won else b"") + (b" X" if item.stale else b"") + (b" W" if won else b"")
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

    def set(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        flags = flags_of(session.worker, store, tokens, 3)
        if isinstance(flags, bytes):
            return flags
        length = words.short_number(tokens[2])
        if length is None or not 0 <= length <= LONGEST_VALUE:
            return BAD_FORMAT
        numbers = flags.numbers
        mode = self.modes.get(flags.mode, 0)
        wrong = flags.error
        if wrong is None and mode == 0:
            wrong = error(b"invalid mode for ms M token")
        if wrong is None and flags.returned(b"O", None, 0, False, False) is None:
            wrong = LONG_OPAQUE
        if wrong is None and not store.fits(flags.key, numbers.get(b"F", 0), length):
            store.refuse("store_too_large", SET, flags.key)
            wrong = words.TOO_LARGE
        if wrong is not None:
            session.swallow(length + 2, wrong)
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
        echo = flags.returned(b"Okc", item, store.now, flags.binary, False) or b""
        return {STORED: b"HD", words.EXISTS: b"EX", words.NOT_FOUND: b"NF"}.get(result, b"NS") + echo + b"\r\n"

    def delete(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        flags = flags_of(session.worker, store, tokens)
        if isinstance(flags, bytes):
            return flags
        echo = flags.returned(b"Ok", None, 0, flags.binary, False)
        if echo is None:
            return LONG_OPAQUE
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

    def arithmetic(self, session: Session, store: Store, tokens: list[bytes]) -> bytes:
        flags = flags_of(session.worker, store, tokens)
        if isinstance(flags, bytes):
            return flags
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
        if returned is None:
            return LONG_OPAQUE
        if not there:
            return (b"NF" if result == words.NOT_FOUND else b"EX") + returned + b"\r\n"
        if b"q" in flags.given and result == STORED:
            return b""
        digits = b"%d" % store.number
        return b"VA %d%b\r\n%b\r\n" % (len(digits), returned, digits) if b"v" in flags.given else b"HD%b\r\n" % returned
