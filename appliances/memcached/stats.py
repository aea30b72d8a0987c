"""What `stats` reports. The names are memcached's, in its order: they are in stats.txt, with what never changes here,
and behind a `=` where the value is found. What is not told of there or here is counted by name, and 0 where there is no
such thing, as if none came.
"""

import os
from collections.abc import Iterator, Mapping
from operator import attrgetter
from types import SimpleNamespace

from appliances.memcached.classes import CHUNKS, PAGE
from appliances.memcached.store import Store
from appliances.memcached.words import END, ERROR, VERSION
from appliances.memcached.worker import Worker
from netapp.node.appliance import text_of

Report = Iterator[tuple[str, object]]

_FIRST_SECOND = 60  # of memcached's clock, which begins at 62
_PLACE_BYTES = 16  # of the table
_PARTS = text_of(__name__, "stats.txt").removeprefix("[").split("\n\n[")
_NAMES = {part.partition("]")[0]: part.splitlines()[1:] for part in _PARTS}


def _in_order(report: str, known: Mapping[str, object], *counts: Mapping[str, int], **where: object) -> Report:
    things = SimpleNamespace(**where)
    for line in _NAMES[report]:
        name, _, value = line.partition(" ")
        if value.startswith("= "):
            found = attrgetter(value[2:])(things)
            yield name, ("no", "yes")[found] if isinstance(found, bool) else found
        else:
            yield name, known.get(name, value or sum(counted.get(name, 0) for counted in counts))


def general(worker: Worker, store: Store) -> Report:
    used = os.times()
    hot, warm, cold = (ring.tallies for ring in (store.hot, store.warm, store.cold))
    tallies = hot + warm + cold
    hits, places = sum(tally.hits for tally in tallies), store.items.memory // _PLACE_BYTES
    known = {
        "pid": os.getpid(),
        "uptime": store.now - _FIRST_SECOND,
        "time": store.now + worker.began,
        "version": VERSION.decode(),
        "rusage_user": f"{used.user:.6f}",
        "rusage_system": f"{used.system:.6f}",
        "curr_connections": len(worker.sessions),
        "connection_structures": len(worker.sessions),
        "cmd_get": hits + worker.get_misses,
        "cmd_set": sum(tally.sets for tally in hot),
        "get_hits": hits,
        "hash_power_level": places.bit_length() - 1,
        "hash_is_expanding": int(places & (places - 1) != 0),
        "lru_crawler_running": int(worker.upkeep.looked != 0),
        "curr_items": len(store),
        "evicted_unfetched": sum(tally.evicted_unfetched for tally in tallies),
        "evicted_active": sum(tally.evicted_active for tally in tallies),
        "moves_to_cold": sum(tally.left for tally in hot + warm),
        "moves_to_warm": sum(tally.left for tally in cold),
        "moves_within_lru": sum(tally.stayed for tally in warm),
    }
    shown = dict.fromkeys(("lru_crawler_running", "lru_crawler_starts"), worker.upkeep.crawling)
    shown["idle_kicks"] = worker.upkeep.idle_timeout
    for pair in _in_order("general", known, store.counts, worker=worker, store=store):
        if shown.get(pair[0], True):
            yield pair


def settings(worker: Worker, store: Store) -> Report:
    options = worker.options
    known = {
        "inter": ",".join(options.listen) or "NULL",
        "evictions": "on" if store.evicts else "off",
        "binding_protocol": "auto-negotiate" if options.protocol == "auto" else options.protocol,
        "lru_crawler": "yes" if worker.upkeep.crawling else "no",
        "flush_enabled": "no" if options.disable_flush_all else "yes",
    }
    return _in_order("settings", known, worker=worker, store=store)


def connections(worker: Worker, store: Store) -> Report:
    """Listeners are told of by `stats settings`."""
    for number, session in enumerate(sorted(worker.sessions, key=id), 1):
        yield f"{number}:addr", "tcp:{}:{}".format(*session.connection.remote)
        yield f"{number}:listen_addr", "tcp:{}:{}".format(*session.connection.local)
        yield f"{number}:state", "conn_parse_cmd" if session.waiting is None else "conn_waiting"
        yield f"{number}:secs_since_last_cmd", store.now - session.last_command


def items(worker: Worker, store: Store) -> Report:
    """By size class. The segments of the LRU are common to all: ages are those of their oldest items."""
    rings = {"hot": store.hot, "warm": store.warm, "cold": store.cold}
    oldest = {name: ring.oldest() for name, ring in rings.items()}
    ages = {name: 0 if item is None else store.now - item.time for name, item in oldest.items()}
    for number in range(1, len(CHUNKS) + 1):
        tallies = {name: ring.tallies[number] for name, ring in rings.items()}
        hot, warm, cold = tallies.values()
        count = hot.count + warm.count + cold.count
        if count == 0:
            continue
        known: dict[str, object] = {"number": count, "age": ages["cold"] if cold.count else 0}
        for name, tally in tallies.items():
            known[f"number_{name}"], known[f"hits_to_{name}"] = tally.count, tally.hits
            known[f"age_{name}"] = ages[name] if tally.count else 0
        for name in ("evicted", "evicted_nonzero", "evicted_unfetched", "evicted_active"):
            known[name] = sum(getattr(tally, name) for tally in tallies.values())
        known["mem_requested"] = hot.counted + warm.counted + cold.counted
        known["evicted_time"] = max(tally.evicted_time for tally in tallies.values())
        known["moves_to_cold"], known["moves_to_warm"] = hot.left + warm.left, cold.left
        known["moves_within_lru"] = warm.stayed
        for name, value in _in_order("items", known, store.counts_of_class[number]):
            yield f"items:{number}:{name}", value


def slabs(worker: Worker, store: Store) -> Report:
    """As many pages as memcached would have for what is there."""
    pages = active = 0
    for number, size in enumerate(CHUNKS, 1):
        hot, *others = (ring.tallies[number] for ring in (store.hot, store.warm, store.cold))
        counts = store.counts_of_class[number]
        used = hot.count + sum(tally.count for tally in others)
        if not used and not hot.sets and not counts:
            continue
        if number == len(CHUNKS):  # larger items take several
            used = -(-(hot.counted + sum(tally.counted for tally in others)) // size)
        each = PAGE // size
        mine = max(1, -(-used // each))
        active, pages = active + 1, pages + mine
        known = {
            "chunk_size": size,
            "chunks_per_page": each,
            "total_pages": mine,
            "total_chunks": mine * each,
            "used_chunks": used,
            "free_chunks": mine * each - used,
            "get_hits": hot.hits + sum(tally.hits for tally in others),
            "cmd_set": hot.sets,
        }
        for name, value in _in_order("slabs", known, counts):
            yield f"{number}:{name}", value
    yield "active_slabs", active
    yield "total_malloced", pages * PAGE


def named(worker: Worker, store: Store, name: bytes) -> Report | tuple[()] | None:
    """Of the binary protocol's `stat`, too; None: there is nothing of that name."""
    if name == b"reset":
        worker.reset_counters()
        store.reset_counters()
        return ()
    if name == b"sizes":
        return iter([("sizes_status", "disabled")])
    reports = {b"": general, b"settings": settings, b"conns": connections, b"items": items, b"slabs": slabs}
    return reports[name](worker, store) if name in reports else None


def report(worker: Worker, store: Store, words: list[bytes]) -> bytes:
    name = words[0] if words else b""
    if name == b"cachedump":
        return b"CLIENT_ERROR stats cachedump not allowed\r\n"
    if name == b"detail":
        return b"CLIENT_ERROR usage: stats detail on|off|dump\r\n" if len(words) < 2 else ERROR
    found = named(worker, store, name)
    if found is None:
        return ERROR
    if name == b"reset":
        return b"RESET\r\n"
    return b"".join(b"STAT %b %b\r\n" % (key.encode(), str(value).encode()) for key, value in found) + END
