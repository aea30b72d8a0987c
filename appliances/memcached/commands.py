"""The commands that are not on the path of most requests: functions of the line's tokens.

They return the reply, empty where the client asked for none, or None to close the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliances.memcached.stats import general, settings
from appliances.memcached.words import BAD_FORMAT, ERROR, KEY_MAX, VERSION, long_number, unsigned_number
from netapp.iobuf.chain import Chain

if TYPE_CHECKING:
    from appliances.memcached.session import Command, Session
    from appliances.memcached.store import Store

_NO_NUMBER = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"


def _unless_quiet(tokens: list[bytes], reply: bytes) -> bytes:
    return b"" if tokens[-1] == b"noreply" else reply


def _count(session: Session, name: str) -> None:
    counts = session.worker.counts
    counts[name] = counts.get(name, 0) + 1


def delete(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if not 2 <= len(tokens) <= 4:
        return ERROR
    if len(tokens) > 2:
        # A time of 0 was an argument once.
        zero, quiet = tokens[2] == b"0", tokens[-1] == b"noreply"
        if not ((zero or quiet) if len(tokens) == 3 else (zero and quiet)):
            usage = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
            return _unless_quiet(tokens, usage)
    reply = b"DELETED\r\n"
    if len(tokens[1]) > KEY_MAX:
        reply = BAD_FORMAT
    elif (item := store.find(tokens[1])) is None:
        _count(session, "delete_misses")
        reply = b"NOT_FOUND\r\n"
    else:
        _count(session, "delete_hits")
        store.remove(item)
    return reply if len(tokens) == 2 else _unless_quiet(tokens, reply)


def _arithmetic(name: str) -> Command:
    def command(session: Session, store: Store, tokens: list[bytes]) -> bytes:
        if not 3 <= len(tokens) <= 4:
            return ERROR
        return _unless_quiet(tokens, added(session, store, tokens[1], unsigned_number(tokens[2])))

    def added(session: Session, store: Store, key: bytes, delta: int | None) -> bytes:
        if len(key) > KEY_MAX:
            return BAD_FORMAT
        if delta is None:
            return b"CLIENT_ERROR invalid numeric delta argument\r\n"
        item = store.find(key)
        if item is None:
            _count(session, f"{name}_misses")
            return b"NOT_FOUND\r\n"
        value = item.value()
        number = unsigned_number(value)
        if number is None:
            return _NO_NUMBER
        _count(session, f"{name}_hits")
        number = (number + delta) % 2**64 if name == "incr" else max(number - delta, 0)
        digits = b"%d" % number
        try:
            # As memcached's, which writes over the old digits, the value does not get shorter.
            store.put(key, item.flags, item.expires, Chain(digits.ljust(len(value)) + b"\r\n"))
        except MemoryError:
            return b"SERVER_ERROR out of memory\r\n"
        return digits + b"\r\n"

    return command


def flush_all(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) > 3:
        return ERROR
    _count(session, "cmd_flush")
    delay: int | None = 0
    if len(tokens) - (tokens[-1] == b"noreply") > 1:
        delay = long_number(tokens[1])
    if delay is None:
        return _unless_quiet(tokens, b"CLIENT_ERROR invalid exptime argument\r\n")
    store.flush(session.worker.expires(store, delay) if delay > 0 else store.now)
    return _unless_quiet(tokens, b"OK\r\n")


def verbosity(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if not 2 <= len(tokens) <= 3:
        return ERROR
    return _unless_quiet(tokens, BAD_FORMAT if unsigned_number(tokens[1]) is None else b"OK\r\n")


def version(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    return b"VERSION " + VERSION + b"\r\n"


def leave(session: Session, store: Store, tokens: list[bytes]) -> None:
    return None


def stats(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) == 1:
        found = general(session.worker, store)
    elif tokens[1] == b"reset":
        session.worker.reset_counters()
        store.reset_counters()
        return b"RESET\r\n"
    elif tokens[1] == b"settings":
        found = settings(session.worker, store)
    else:
        return ERROR
    return b"".join(b"STAT %b %b\r\n" % (name.encode(), str(value).encode()) for name, value in found) + b"END\r\n"


COMMANDS: dict[bytes, Callable[[Session, Store, list[bytes]], bytes | None]] = {
    b"delete": delete,
    b"incr": _arithmetic("incr"),
    b"decr": _arithmetic("decr"),
    b"flush_all": flush_all,
    b"verbosity": verbosity,
    b"version": version,
    b"quit": leave,
    b"stats": stats,
}
