"""The text commands that are not on the path of most requests: functions of the line's tokens.

They return the reply, empty where the client asked for none, or None to close the connection. Commands by which an
operator tunes what there is not here are answered as where it is disabled.
"""

from collections.abc import Callable

from appliances.memcached import words
from appliances.memcached.session import Session
from appliances.memcached.stats import report
from appliances.memcached.store import Store
from appliances.memcached.text import Command
from appliances.memcached.words import BAD_FORMAT, END, ERROR, KEY_MAX

OK = b"OK\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
SMALLEST_LIMIT, LARGEST_LIMIT = 8, 1_000_000_000  # MiB, of cache_memlimit
MOST_VERBOSE = 2

COMMANDS: dict[bytes, Command] = {}


def _command(*names: bytes, least: int = 0, most: int = 1 << 20, quiet: int = 0) -> Callable[[Command], Command]:
    """ERROR, where there are fewer or more words behind the name; `quiet`: noreply may be that word, or a later one."""

    def made(function: Command) -> Command:
        def run(session: Session, store: Store, tokens: list[bytes]) -> bytes | None:
            if not least < len(tokens) <= most + 1:
                return ERROR
            answer = function(session, store, tokens)
            return b"" if 0 < quiet < len(tokens) and tokens[-1] == b"noreply" else answer

        COMMANDS.update(dict.fromkeys(names, run))
        return run

    return made


@_command(b"delete", least=1, most=3, quiet=2)
def delete(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) > 2:
        # A time of 0 was an argument once.
        zero, quiet = tokens[2] == b"0", tokens[-1] == b"noreply"
        if not ((zero or quiet) if len(tokens) == 3 else (zero and quiet)):
            return b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
    if len(tokens[1]) > KEY_MAX:
        return BAD_FORMAT
    return b"NOT_FOUND\r\n" if store.delete(tokens[1], 0) == words.NOT_FOUND else b"DELETED\r\n"


@_command(b"incr", b"decr", least=2, most=3, quiet=1)
def arithmetic(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens[1]) > KEY_MAX:
        return BAD_FORMAT
    by = words.unsigned_number(tokens[2])
    if by is None:
        return b"CLIENT_ERROR invalid numeric delta argument\r\n"
    result = store.delta(tokens[1], tokens[0] == b"incr", by, 0, None, 0)
    if result == words.STORED:
        return b"%d\r\n" % store.number
    if result == words.NOT_FOUND:
        return b"NOT_FOUND\r\n"
    return words.NO_NUMBER if result == words.NOT_A_NUMBER else b"SERVER_ERROR out of memory\r\n"


@_command(b"touch", least=2, most=3, quiet=1)
def touch(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens[1]) > KEY_MAX:
        return BAD_FORMAT
    exptime = words.short_number(tokens[2])
    if exptime is None:
        return BAD_EXPTIME
    item = store.touch(tokens[1], session.worker.expires(store, exptime))
    return b"NOT_FOUND\r\n" if item is None else b"TOUCHED\r\n"


@_command(b"gat", b"gats", least=1)
def get_and_touch(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    worker = session.worker
    exptime = words.short_number(tokens[1])
    if exptime is None:
        return BAD_EXPTIME
    expires = worker.expires(store, exptime)
    for key in tokens[2:]:
        if len(key) > KEY_MAX:
            worker.drop_unwritten()
            return BAD_FORMAT
        item = store.touch(key, expires)
        if item is not None:
            item.write_line(worker.reply, tokens[0] == b"gats")
    worker.reply.write(END)
    worker.written = worker.reply.length
    return b""


@_command(b"flush_all", most=2, quiet=1)
def flush_all(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    worker = session.worker
    store.count("cmd_flush")
    if worker.options.disable_flush_all:
        return b"CLIENT_ERROR flush_all not allowed\r\n"
    delay = words.short_number(tokens[1]) if len(tokens) - (tokens[-1] == b"noreply") > 1 else 0
    if delay is None:
        return BAD_EXPTIME
    store.flush(worker.expires(store, delay) if delay > 0 else store.now)
    return OK


@_command(b"verbosity", least=1, most=2, quiet=1)
def verbosity(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    level = words.unsigned_number(tokens[1])
    if level is None:
        return BAD_FORMAT
    session.worker.verbosity = min(level, MOST_VERBOSE)
    return OK


@_command(b"cache_memlimit", least=1, most=2, quiet=1)
def cache_memlimit(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    megabytes = words.unsigned_number(tokens[1])
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


_command(b"version")(lambda session, store, tokens: b"VERSION %b\r\n" % words.VERSION)
_command(b"quit")(lambda session, store, tokens: None)
_command(b"watch")(lambda session, store, tokens: b"CLIENT_ERROR watch commands not allowed\r\n")
_command(b"stats")(lambda session, store, tokens: report(session.worker, store, tokens[1:]))


@_command(b"shutdown")
def shutdown(session: Session, store: Store, tokens: list[bytes]) -> bytes | None:
    if not session.worker.options.enable_shutdown:
        return b"ERROR: shutdown not enabled\r\n"
    if len(tokens) > 2 or (len(tokens) == 2 and tokens[1] != b"graceful"):
        return b"CLIENT_ERROR invalid shutdown mode\r\n"
    session.worker.shut_down()
    return None


@_command(b"lru")
def lru(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) == 6 and tokens[1] == b"tune" and tokens[2].isdigit() and tokens[3].isdigit():
        hot, warm = int(tokens[2][:9]), int(tokens[3][:9])
        if hot + warm > 80:
            return b"ERROR hot and warm pcts must not exceed 80\r\n"
        store.hot_percent, store.warm_percent = hot, warm
        return OK
    return OK if tokens[1:] == [b"mode", b"segmented"] else ERROR


@_command(b"slabs")
def slabs(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) == 4 and tokens[1] == b"reassign":
        return b"CLIENT_ERROR slab reassignment disabled\r\n"
    if len(tokens) != 3 or tokens[1] != b"automove":
        return ERROR
    level = words.unsigned_number(tokens[2])
    return BAD_FORMAT if level is None else OK if level <= 2 else ERROR


@_command(b"lru_crawler")
def lru_crawler(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    upkeep, told = session.worker.upkeep, tokens[1:]
    if told == [b"enable"]:
        if upkeep.crawling is not None:
            return b"ERROR failed to start lru crawler thread\r\n"
        upkeep.start_crawling(False)
    elif told == [b"disable"]:
        upkeep.stop_crawling()
    elif len(told) != 2:
        return ERROR
    elif told[0] in (b"sleep", b"tocrawl"):
        number = words.unsigned_number(told[1])
        if number is None or number >= 2**32:
            return BAD_FORMAT
        if told[0] == b"sleep" and number > 1_000_000:
            return b"CLIENT_ERROR sleep must be one second or less\r\n"
        setattr(upkeep, "sleep" if told[0] == b"sleep" else "most", number)
    elif told[0] == b"crawl":
        if upkeep.crawling is None:
            return b"CLIENT_ERROR lru crawler disabled\r\n"
        if told[1] != b"all" and not all(0 < (words.unsigned_number(name) or 0) < 64 for name in told[1].split(b",")):
            return b"BADCLASS invalid class id\r\n"
        if upkeep.looked:
            return b"BUSY currently processing crawler request\r\n"
        upkeep.start_crawling(True)
    else:
        return b"ERROR metadump not allowed\r\n" if told[0] in (b"metadump", b"mgdump") else ERROR
    return OK
