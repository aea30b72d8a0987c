"""Commands by which an operator tunes memcached; what has no meaning here is answered as where it is disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliances.memcached.words import BAD_FORMAT, ERROR, unsigned_number

if TYPE_CHECKING:
    from appliances.memcached.session import Session
    from appliances.memcached.store import Store
    from appliances.memcached.text import Command

OK = b"OK\r\n"


def lru(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) == 6 and tokens[1] == b"tune" and tokens[2].isdigit() and tokens[3].isdigit():
        hot, warm = int(tokens[2][:9]), int(tokens[3][:9])
        if hot + warm > 80:
            return b"ERROR hot and warm pcts must not exceed 80\r\n"
        store.hot_percent, store.warm_percent = hot, warm
        return OK
    return OK if tokens[1:] == [b"mode", b"segmented"] else ERROR


def slabs(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    if len(tokens) == 4 and tokens[1] == b"reassign":
        return b"CLIENT_ERROR slab reassignment disabled\r\n"
    if len(tokens) != 3 or tokens[1] != b"automove":
        return ERROR
    level = unsigned_number(tokens[2])
    return BAD_FORMAT if level is None else OK if level <= 2 else ERROR


def watch(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    return b"CLIENT_ERROR watch commands not allowed\r\n"


def lru_crawler(session: Session, store: Store, tokens: list[bytes]) -> bytes:
    upkeep = session.worker.upkeep
    words = tokens[1:]
    if words == [b"enable"]:
        if upkeep.crawling is not None:
            return b"ERROR failed to start lru crawler thread\r\n"
        upkeep.start_crawling(False)
        return OK
    if words == [b"disable"]:
        upkeep.stop_crawling()
        return OK
    if len(words) != 2:
        return ERROR
    if words[0] in (b"sleep", b"tocrawl"):
        number = unsigned_number(words[1])
        if number is None or number >= 2**32:
            return BAD_FORMAT
        if words[0] == b"tocrawl":
            upkeep.most = number
        elif number > 1_000_000:
            return b"CLIENT_ERROR sleep must be one second or less\r\n"
        else:
            upkeep.sleep = number
        return OK
    if words[0] == b"crawl":
        if upkeep.crawling is None:
            return b"CLIENT_ERROR lru crawler disabled\r\n"
        if words[1] != b"all" and not all(0 < (unsigned_number(name) or 0) < 64 for name in words[1].split(b",")):
            return b"BADCLASS invalid class id\r\n"
        if upkeep.looked:
            return b"BUSY currently processing crawler request\r\n"
        upkeep.start_crawling(True)
        return OK
    return b"ERROR metadump not allowed\r\n" if words[0] in (b"metadump", b"mgdump") else ERROR


ADMIN: dict[bytes, Command] = {b"lru": lru, b"slabs": slabs, b"watch": watch, b"lru_crawler": lru_crawler}
