"""What `stats` reports: memcached's names, in its order. What there is not here is 0, as if none came."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from appliances.memcached.words import END, ERROR, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliances.memcached.store import Store
    from appliances.memcached.worker import Worker

_FIRST_SECOND = 60  # of memcached's clock, which begins at 62
# In the general report's order: those without a rule of their own are counted by name.
_GENERAL = """pid uptime time version libevent pointer_size rusage_user rusage_system max_connections curr_connections
total_connections rejected_connections connection_structures response_obj_oom response_obj_count response_obj_bytes
read_buf_count read_buf_bytes read_buf_bytes_free read_buf_oom reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta
get_hits get_misses get_expired get_flushed delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits
cas_misses cas_hits cas_badval touch_hits touch_misses store_too_large store_no_memory auth_cmds auth_errors idle_kicks
bytes_read bytes_written limit_maxbytes accepting_conns listen_disabled_num time_in_listen_disabled_us threads
conn_yields hash_power_level hash_bytes hash_is_expanding slab_reassign_rescues slab_reassign_chunk_rescues
slab_reassign_evictions_nomem slab_reassign_inline_reclaim slab_reassign_busy_items slab_reassign_busy_deletes
slab_reassign_running slabs_moved lru_crawler_running lru_crawler_starts lru_maintainer_juggles malloc_fails
log_worker_dropped log_worker_written log_watcher_skipped log_watcher_sent log_watchers unexpected_napi_ids
round_robin_fallback bytes curr_items total_items slab_global_page_pool expired_unfetched evicted_unfetched
evicted_active evictions reclaimed crawler_reclaimed crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm
moves_within_lru direct_reclaims lru_bumps_dropped""".split()


def general(worker: Worker, store: Store) -> Iterator[tuple[str, object]]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hot, warm, cold = store.hot, store.warm, store.cold
    known: dict[str, object] = {
        "pid": os.getpid(),
        "uptime": store.now - _FIRST_SECOND,
        "time": store.now + worker.began,
        "version": VERSION.decode(),
        "libevent": "none",
        "pointer_size": 64,
        "rusage_user": f"{usage.ru_utime:.6f}",
        "rusage_system": f"{usage.ru_stime:.6f}",
        "max_connections": worker.max_connections,
        "curr_connections": len(worker.sessions),
        "total_connections": worker.total_connections,
        "rejected_connections": worker.rejected_connections,
        "connection_structures": len(worker.sessions),
        "cmd_get": worker.cmd_get,
        "cmd_set": worker.cmd_set,
        "get_hits": worker.get_hits,
        "get_misses": worker.cmd_get - worker.get_hits,
        "bytes_read": worker.bytes_read,
        "bytes_written": worker.bytes_written,
        "limit_maxbytes": store.limit,
        "accepting_conns": 1,
        "threads": 1,
        "conn_yields": worker.yields,
        "bytes": store.used,
        "curr_items": len(store),
        "total_items": store.total_items,
        "evictions": store.evictions,
        "moves_to_cold": hot.left + warm.left,
        "moves_to_warm": cold.left,
        "moves_within_lru": warm.stayed,
    }
    for name in _GENERAL:
        if name == "idle_kicks" and not worker.options.more["idle_timeout"]:
            continue
        yield name, known.get(name, worker.counts.get(name, 0) or store.counts.get(name, 0))


def _yes(flag: object) -> str:
    return "yes" if flag else "no"


def settings(worker: Worker, store: Store) -> Iterator[tuple[str, object]]:
    options = worker.options
    more = options.more
    yield from {
        "maxbytes": store.limit,
        "maxconns": worker.max_connections,
        "tcpport": options.port,
        "udpport": options.udp_port,
        "inter": ",".join(options.listen) or "NULL",
        "verbosity": options.verbose,
        "oldest": 0,
        "evictions": "on" if store.evicts else "off",
        "domain_socket": "NULL",
        "umask": 700,
        "shutdown_command": _yes(options.enable_shutdown),
        "growth_factor": "1.25",
        "chunk_size": 48,
        "num_threads": 1,
        "num_threads_per_udp": 1,
        "stat_key_prefix": ":",
        "detail_enabled": "no",
        "reqs_per_event": worker.requests_per_event,
        "cas_enabled": _yes(store.numbers),
        "tcp_backlog": options.backlog,
        "binding_protocol": "auto-negotiate" if options.protocol == "auto" else options.protocol,
        "auth_enabled_sasl": "no",
        "auth_enabled_ascii": "no",
        "item_size_max": store.max_item,
        "maxconns_fast": "yes",
        "hashpower_init": more["hashpower"],
        "slab_reassign": "yes",
        "slab_automove": more["slab_automove"],
        "slab_automove_ratio": "0.80",
        "slab_automove_window": more["slab_automove_window"],
        "slab_chunk_max": 524288,
        "lru_crawler": _yes(worker.upkeep.crawling),
        "lru_crawler_sleep": worker.upkeep.sleep,
        "lru_crawler_tocrawl": worker.upkeep.most,
        "tail_repair_time": 0,
        "flush_enabled": _yes(not options.disable_flush_all),
        "dump_enabled": "no",
        "hash_algorithm": "siphash",
        "lru_maintainer_thread": "yes",
        "lru_segmented": "yes",
        "hot_lru_pct": store.hot_percent,
        "warm_lru_pct": store.warm_percent,
        "hot_max_factor": "0.20",
        "warm_max_factor": "2.00",
        "temp_lru": "no",
        "temporary_ttl": 61,
        "idle_timeout": more["idle_timeout"],
        "watcher_logbuf_size": 262144,
        "worker_logbuf_size": 65536,
        "read_buf_mem_limit": 0,
        "track_sizes": "no",
        "inline_ascii_response": "no",
        "ext_item_size": 512,
        "ext_item_age": 4294967295,
        "ext_low_ttl": 0,
        "ext_recache_rate": 2000,
        "ext_wbuf_size": 4194304,
        "ext_compact_under": 0,
        "ext_drop_under": 0,
        "ext_max_sleep": 1000000,
        "ext_max_frag": "0.80",
        "slab_automove_freeratio": "0.010",
        "ext_drop_unread": "no",
        "ssl_enabled": "no",
        "ssl_chain_cert": "(null)",
        "ssl_key": "(null)",
        "ssl_verify_mode": 0,
        "ssl_keyformat": 1,
        "ssl_ciphers": "NULL",
        "ssl_ca_cert": "NULL",
        "ssl_wbuf_size": 16384,
        "ssl_session_cache": "no",
        "ssl_kernel_tls": "no",
        "ssl_min_version": "tlsv1.2",
        "num_napi_ids": "(null)",
        "memory_file": "(null)",
    }.items()


def connections(worker: Worker, store: Store) -> Iterator[tuple[str, object]]:
    """Listeners are told of by `stats settings`."""
    for number, session in enumerate(sorted(worker.sessions, key=id), 1):
        connection = session.connection
        if connection is not None:
            yield f"{number}:addr", "tcp:{}:{}".format(*connection.remote)
            yield f"{number}:listen_addr", "tcp:{}:{}".format(*connection.local)
            yield f"{number}:state", "conn_parse_cmd" if session.waiting is None else "conn_waiting"
            yield f"{number}:secs_since_last_cmd", store.now - session.last_command


_ITEMS = """number number_hot number_warm number_cold age_hot age_warm age mem_requested evicted evicted_nonzero
evicted_time outofmemory tailrepairs reclaimed expired_unfetched evicted_unfetched evicted_active crawler_reclaimed
crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm moves_within_lru direct_reclaims hits_to_hot
hits_to_warm hits_to_cold hits_to_temp""".split()


def items(worker: Worker, store: Store) -> Iterator[tuple[str, object]]:
    """Memory belongs to no class of sizes: all items count as the first one's."""
    rings = {"hot": store.hot, "warm": store.warm, "cold": store.cold}
    known: dict[str, object] = dict(general(worker, store))
    known |= {"number": len(store), "mem_requested": store.used, "evicted": store.evictions}
    for name, ring in rings.items():
        oldest = ring.oldest()
        known[f"number_{name}"], known[f"hits_to_{name}"] = ring.count, ring.hits
        known["age" if name == "cold" else f"age_{name}"] = 0 if oldest is None else store.now - oldest.time
    if len(store):
        for name in _ITEMS:
            yield f"items:1:{name}", known.get(name, 0)


def named(worker: Worker, store: Store, name: bytes) -> Iterator[tuple[str, object]] | tuple[()] | None:
    """Of the binary protocol's `stat`, too; None: there is nothing of that name."""
    if name == b"reset":
        worker.reset_counters()
        store.reset_counters()
        return ()
    function = {b"": general, b"settings": settings, b"conns": connections, b"items": items}.get(name)
    if name == b"sizes":
        return iter([("sizes_status", "disabled")])
    return None if function is None else function(worker, store)


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
