"""The binary protocol, as memcached 1.6 speaks it without SASL."""

from struct import Struct

from appliances.memcached import words
from appliances.memcached.session import Session
from appliances.memcached.stats import named
from appliances.memcached.store import Store
from appliances.memcached.words import ADD, CAS, CREATED, KEY_MAX, NO_MEMORY, NOT_STORED, REPLACE, STORED, VERSION
from appliances.memcached.worker import Protocol, Worker
from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor

_HEADER = Struct(">BBHBxHIIQ")
HEADER_BYTES = 24
ENOENT, EEXISTS, E2BIG, EINVAL, ENOT_STORED, BAD_DELTA = 1, 2, 3, 4, 5, 6
AUTH_ERROR, UNKNOWN, ENOMEM = 0x20, 0x81, 0x82
TEXTS = {
    ENOENT: b"Not found",
    EEXISTS: b"Data exists for key.",
    E2BIG: b"Too large.",
    EINVAL: b"Invalid arguments",
    ENOT_STORED: b"Not stored.",
    BAD_DELTA: b"Non-numeric server-side value for incr or decr",
    AUTH_ERROR: b"Auth failure.",
    UNKNOWN: b"Unknown command",
    ENOMEM: b"Out of memory allocating item",
}

GET, SETS, ADDS, REPLACES, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH = range(9)
NOOP, VERSIONS, GETK, APPENDS, PREPENDS, STAT = 0x0A, 0x0B, 0x0C, 0x0E, 0x0F, 0x10
TOUCH, GAT, SASL_LIST, SASL_AUTH, SASL_STEP, GATK = 0x1C, 0x1D, 0x20, 0x21, 0x22, 0x23
LOUD = {0x09: GET, 0x0D: GETK, 0x1E: GAT, 0x24: GATK, 0x19: APPENDS, 0x1A: PREPENDS}
LOUD.update({0x10 + verb: verb for verb in (SETS, ADDS, REPLACES, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH)})
# By verb: whether a key comes, bytes of the extras, whether a value comes. A key is up to the client with STAT.
FORMS: dict[int, tuple[bool, tuple[int, ...], bool]] = {
    **dict.fromkeys((SETS, ADDS, REPLACES), (True, (8,), True)),
    **dict.fromkeys((APPENDS, PREPENDS, SASL_AUTH, SASL_STEP), (True, (0,), True)),
    **dict.fromkeys((TOUCH, GAT, GATK), (True, (4,), True)),
    **dict.fromkeys((INCREMENT, DECREMENT), (True, (20,), False)),
    **dict.fromkeys((QUIT, NOOP, VERSIONS, SASL_LIST), (False, (0,), False)),
    DELETE: (True, (0,), False),
    FLUSH: (False, (0, 4), False),
    STAT: (True, (0,), True),
}
# Of a result of the store, where it is the same for all verbs.
STATUS = {words.NOT_FOUND: ENOENT, words.EXISTS: EEXISTS, NO_MEMORY: ENOMEM, words.NOT_A_NUMBER: BAD_DELTA}


class Binary(Protocol):
    def __init__(self) -> None:
        self.modes = {SETS: words.SET, ADDS: ADD, REPLACES: REPLACE, APPENDS: words.APPEND, PREPENDS: words.PREPEND}
        self.extras = self.key = b""
        self.writes = False

    def command(self, session: Session, worker: Worker, store: Store, cursor: Cursor, data: Chain) -> bool:
        start = cursor.position
        if self.writes:  # what the last value was answered
            worker.written = worker.reply.length
        self.writes = False
        if cursor.remaining() < HEADER_BYTES:
            return False
        if cursor.read_uint(1) != 0x80:
            worker.drop_unwritten()
            session.leaving = True
            return False
        self.opcode = cursor.read_uint(1)
        self.key_bytes = cursor.read_uint(2)
        self.extra_bytes = cursor.read_uint(1)
        cursor.skip(3)
        self.body_bytes = cursor.read_uint(4)
        self.opaque = cursor.read_uint(4)
        self.unique = cursor.read_uint(8)
        if cursor.remaining() < self.extra_bytes + self.key_bytes:
            cursor.reset(data)
            cursor.skip(start)
            return False
        self.extras = cursor.read(self.extra_bytes)
        self.key = cursor.read(self.key_bytes)
        self.verb = LOUD.get(self.opcode, self.opcode)
        self.quiet = self.verb != self.opcode
        self.writes = self.verb == NOOP
        unfit = self.key_bytes + self.extra_bytes > self.body_bytes
        if unfit or self.key_bytes > KEY_MAX or not self._known(session, worker, store):
            worker.reply.write(self._error(UNKNOWN if unfit else EINVAL))
            session.leaving = True
        if self.writes and session.mode == 0:
            worker.written = worker.reply.length
        self.writes = False
        return not session.leaving

    def _known(self, session: Session, worker: Worker, store: Store) -> bool:
        """Does what the request wants; False: its parts have lengths that do not fit."""
        verb = self.verb
        value_bytes = self.body_bytes - self.key_bytes - self.extra_bytes
        if verb == GET or verb == GETK:  # what most requests are
            if self.key_bytes == 0 or self.extra_bytes != 0 or value_bytes != 0:
                return False
            self._get(worker, store)
            return True
        form = FORMS.get(verb)
        if form is None:
            # As memcached, which drops as much as the body has, once more where a part of it was read.
            worker.reply.write(self._refused(session, self.body_bytes))
            return True
        keyed, extras, valued = form
        wrong_key = keyed != (self.key_bytes != 0) and verb != STAT
        if wrong_key or self.extra_bytes not in extras or (value_bytes != 0 and not valued):
            return False
        answer = b""
        if verb in self.modes:
            self._store(session, worker, store)
        elif verb == TOUCH or verb == GAT or verb == GATK:
            self._get(worker, store)
        elif verb == STAT:
            answer = self._stat(worker, store)
        elif verb == SASL_LIST or verb == SASL_AUTH or verb == SASL_STEP:
            answer = self._refused(session, value_bytes)
        elif verb == DELETE:
            result = store.delete(self.key, self.unique)
            answer = self._done(0) if result == STORED else self._error(STATUS[result])
        elif verb == INCREMENT or verb == DECREMENT:
            answer = self._delta(worker, store)
        elif verb == FLUSH:
            answer = self._flush(worker, store)
        elif verb == VERSIONS:
            answer = self._response(0, 0, 0, len(VERSION), 0) + VERSION
        else:
            answer = self._done(0)
            session.leaving = verb == QUIT
        worker.reply.write(answer)
        return True

    def _refused(self, session: Session, length: int) -> bytes:
        """The answer, unless it has to wait for bytes that are dropped; memcached's count of those has 31 bits."""
        if length == 0 or length >> 31 != 0:
            return self._error(UNKNOWN)
        session.swallow(length, self._error(UNKNOWN))
        return b""

    def _response(self, status: int, extra_bytes: int, key_bytes: int, body_bytes: int, unique: int) -> bytes:
        """Its header."""
        return _HEADER.pack(0x81, self.opcode, key_bytes, extra_bytes, status, body_bytes, self.opaque, unique)

    def _error(self, status: int) -> bytes:
        return self._failure(status, TEXTS[status])

    def _failure(self, status: int, text: bytes) -> bytes:
        self.writes = True
        return self._response(status, 0, 0, len(text), 0) + text

    def _done(self, unique: int) -> bytes:
        return b"" if self.quiet else self._response(0, 0, 0, 0, unique)

    def _get(self, worker: Worker, store: Store) -> None:
        touches = self.verb >= TOUCH
        keyed = self.verb == GETK or self.verb == GATK
        valued = self.verb != TOUCH
        if touches:
            item = store.touch(self.key, worker.expires(store, int.from_bytes(self.extras)))
        else:
            item = store.find(self.key)
            worker.get_misses += item is None
        if item is not None:
            if not touches:
                store.hit(item)
                store.use(item)
            key = self.key if keyed else b""
            length = item.length() if valued else 0
            head = self._response(0, 4, len(key), 4 + len(key) + length, item.unique)
            worker.reply.write(head + item.flags.to_bytes(4) + key)
            if valued:
                item.write_to(worker.reply, False)
        elif not self.quiet:
            if keyed:
                worker.reply.write(self._response(ENOENT, 0, len(self.key), len(self.key), 0) + self.key)
            else:
                worker.reply.write(self._error(ENOENT))

    def _delta(self, worker: Worker, store: Store) -> bytes:
        expiration = int.from_bytes(self.extras[16:])
        initial = None if expiration == 0xFFFFFFFF else int.from_bytes(self.extras[8:16])
        expires = worker.expires(store, expiration)
        by = int.from_bytes(self.extras[:8])
        result = store.delta(self.key, self.verb == INCREMENT, by, self.unique, initial, expires)
        if result == NOT_STORED:
            return self._failure(ENOMEM, b"Out of memory allocating new item")
        if result == NO_MEMORY:
            return self._failure(ENOMEM, b"Out of memory incrementing value")
        if result != STORED and result != CREATED:
            return self._error(STATUS[result])
        unique = store.last.unique if store.last is not None else 0
        return b"" if self.quiet else self._response(0, 0, 0, 8, unique) + store.number.to_bytes(8)

    def _flush(self, worker: Worker, store: Store) -> bytes:
        if worker.options.disable_flush_all:
            return self._error(AUTH_ERROR)
        delay = int.from_bytes(self.extras)
        store.flush(worker.expires(store, delay) if delay > 0 else store.now)
        store.count("cmd_flush")
        return self._done(0)

    def _store(self, session: Session, worker: Worker, store: Store) -> None:
        mode = CAS if self.unique != 0 and self.verb < APPENDS and store.numbers else self.modes[self.verb]
        length = self.body_bytes - self.key_bytes - self.extra_bytes
        flags = int.from_bytes(self.extras[:4])
        if not store.fits(self.key, flags, length):
            store.refuse("store_too_large", self.modes[self.verb], self.key)
            session.swallow(length, self._error(E2BIG))
        else:
            session.extra = (self.opcode, self.opaque, self.quiet)
            session.unique = self.unique
            session.stale = False
            expires = worker.expires(store, int.from_bytes(self.extras[4:]))
            session.begin(store, self, mode, self.key, flags, expires, length, True)

    def stored(self, session: Session, worker: Worker, store: Store, result: int) -> bytes:
        assert isinstance(session.extra, tuple)
        self.opcode, self.opaque, self.quiet = session.extra
        session.extra = None
        if result == STORED:
            return self._done(store.last.unique if store.last is not None else 0)
        if result == NO_MEMORY:
            store.refuse("store_no_memory", self.modes[LOUD.get(self.opcode, self.opcode)], session.key)
        elif result == NOT_STORED:
            return self._error({ADD: EEXISTS, REPLACE: ENOENT}.get(session.mode, ENOT_STORED))
        return self._error(STATUS[result])

    def _stat(self, worker: Worker, store: Store) -> bytes:
        found = named(worker, store, self.key)
        if found is None:
            return self._error(ENOENT)
        answer = b""
        for name, value in [*found, ("", "")]:
            key, text = name.encode(), str(value).encode()
            answer += self._response(0, 0, len(key), len(key) + len(text), 0) + key + text
        return answer
