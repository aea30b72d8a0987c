"""The text commands that are not on the path of most requests: functions of the line's tokens.

They return the reply, empty where the client asked for none, or None to close the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliances.memcached.stats import report
from appliances.memcached.words import (
    BAD_FORMAT,
    END,
    ERROR,
    KEY_MAX,
    NO_NUMBER,
    NOT_A_NUMBER,
    NOT_FOUND,
    STORED,
    VERSION,
    long_number,
    lower_half,
    unsigned_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliances.memcached.session import Session
    from appliances.memcached.store import Store
    from appliances.memcached.text import Command

OK = b"OK\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
SMALLEST_LIMIT, LARGEST_LIMIT = 8, 1_000_000_000  # MiB, of cache_memlimit
MOST_VERBOSE = 2


def _quiet(command: Callable[[Session, Store, list[bytes]], bytes], from_word: int = 1) -> Command:
    """A command that takes noreply, as word `from_word` or a later one."""

    def run(session: Session, store: Store, tokens: list[bytes]) -> bytes:
        answer = command(session, store, tokens)
        return b"" if tokens[-1] == b"noreply" and len(tokens) > from_word else answer

    return run


def _arguments(least: int, most: int, command: Command) -> Command:
    """ERROR, where there are fewer or more words behind the command's name."""

    def run(session: Session, store: Store, tokens: list[bytes]) -> bytes | None:
        return command(session, store, tokens) if least < len(tokens) <= most + 1 else ERROR

    return run


def delete(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) > 2:
        # A time of 0 was an argument once.
        zero, quiet = tokens[2] == b"0", tokens[-1] == b"noreply"
        if not ((zero or quiet) if len(tokens) == 3 else (zero and quiet)):
            return b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
    if len(tokens[1]) > KEY_MAX:
        return BAD_FORMAT
    return b"NOT_FOUND\r\n" if store.delete(tokens[1], 0) == NOT_FOUND else b"DELETED\r\n"


def _arithmetic(up: bool) -> Callable[[Session, Store, list[bytes]], bytes]:
    def command(session: Session, store: Store, tokens: list[bytes]) -> bytes:
        if len(tokens[1]) > KEY_MAX:
            return BAD_FORMAT
        by = unsigned_number(tokens[2])
        if by is None:
            return b"CLIENT_ERROR invalid numeric delta argument\r\n"
        result = store.delta(tokens[1], up, by, 0, None, 0)
        if result == STORED:
            return b"%d\r\n" % store.number
        if result == NOT_FOUND:
            return b"NOT_FOUND\r\n"
        return NO_NUMBER if result == NOT_A_NUMBER else b"SERVER_ERROR out of memory\r\n"

    return command


def touch(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens[1]) > KEY_MAX:
        return BAD_FORMAT
    exptime = long_number(tokens[2])
    if exptime is None:
        return BAD_EXPTIME
    item = store.touch(tokens[1], session.worker.expires(store, lower_half(exptime)))
    return b"NOT_FOUND\r\n" if item is None else b"TOUCHED\r\n"


def _get_and_touch(unique: bool) -> Command:
    def command(session: Session, store: Store, tokens: list[bytes]) -> bytes:
        worker = session.worker
        exptime = long_number(tokens[1])
        if exptime is None:
            return BAD_EXPTIME
        expires = worker.expires(store, lower_half(exptime))
        for key in tokens[2:]:
            if len(key) > KEY_MAX:
                worker.drop_unwritten()
                return BAD_FORMAT
            item = store.touch(key, expires)
            if item is not None:
                item.write_line(worker.reply, unique)
        worker.reply.write(END)
        worker.written = worker.reply.length
        return b""

    return command


def flush_all(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    session.worker.count("cmd_flush")
    if session.worker.options.disable_flush_all:
        return b"CLIENT_ERROR flush_all not allowed\r\n"
    delay: int | None = 0
    if len(tokens) - (tokens[-1] == b"noreply") > 1:
        delay = long_number(tokens[1])
    if delay is None:
        return BAD_EXPTIME
    delay = lower_half(delay)
    store.flush(session.worker.expires(store, delay) if delay > 0 else store.now)
    return OK


def verbosity(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    level = unsigned_number(tokens[1])
    if level is None:
        return BAD_FORMAT
    session.worker.verbosity = min(level, MOST_VERBOSE)
    return OK


def cache_memlimit(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    megabytes = unsigned_number(tokens[1])
    if megabytes is None:
        return ERROR
    if megabytes < SMALLEST_LIMIT:
        return b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"
    if megabytes > LARGEST_LIMIT:
        return b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"
    if megabytes > session.worker.options.most_memory:
        return b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"
    store.limit = megabytes << 20
    return OK


def version(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    return b"VERSION " + VERSION + b"\r\n"


def leave(session: Session, store: Store, tokens: list[bytes]) -> None:
    return None


def shutdown(session: Session, store: Store, tokens: list[bytes]) -> bytes | None:
    if not session.worker.options.enable_shutdown:
        return b"ERROR: shutdown not enabled\r\n"
    if len(tokens) > 2 or (len(tokens) == 2 and tokens[1] != b"graceful"):
        return b"CLIENT_ERROR invalid shutdown mode\r\n"
    session.worker.shut_down()
    return None


def stats(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    return report(session.worker, store, tokens[1:])


COMMANDS: dict[bytes, Command] = {
    b"delete": _arguments(1, 3, _quiet(delete, 2)),
    b"incr": _arguments(2, 3, _quiet(_arithmetic(True))),
    b"decr": _arguments(2, 3, _quiet(_arithmetic(False))),
    b"touch": _arguments(2, 3, _quiet(touch)),
    b"gat": _arguments(1, 1 << 20, _get_and_touch(False)),
    b"gats": _arguments(1, 1 << 20, _get_and_touch(True)),
    b"flush_all": _arguments(0, 2, _quiet(flush_all)),
    b"verbosity": _arguments(1, 2, _quiet(verbosity)),
    b"cache_memlimit": _arguments(1, 2, _quiet(cache_memlimit)),
    b"version": version,
    b"quit": leave,
    b"shutdown": shutdown,
    b"stats": stats,
}
