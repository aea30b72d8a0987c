"""What `stats` reports: memcached's names, in its order, for what there is here."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from appliances.memcached.words import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliances.memcached.session import Worker
    from appliances.memcached.store import Store

_FIRST_SECOND = 60  # of memcached's clock, which begins at 62


def general(worker: Worker, store: Store) -> Iterator[tuple[str, object]]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    counts = worker.counts
    yield "pid", os.getpid()
    yield "uptime", store.now - _FIRST_SECOND
    yield "time", store.now + worker.began
    yield "version", VERSION.decode()
    yield "pointer_size", 64
    yield "rusage_user", f"{usage.ru_utime:.6f}"
    yield "rusage_system", f"{usage.ru_stime:.6f}"
    yield "max_connections", worker.max_connections
    yield "curr_connections", worker.connections
    yield "total_connections", worker.total_connections
    yield "rejected_connections", worker.rejected_connections
    yield "cmd_get", worker.cmd_get
    yield "cmd_set", worker.cmd_set
    yield "cmd_flush", counts.get("cmd_flush", 0)
    yield "get_hits", worker.get_hits
    yield "get_misses", worker.cmd_get - worker.get_hits
    yield "get_expired", store.get_expired
    yield "get_flushed", store.get_flushed
    for name in ("delete_misses", "delete_hits", "incr_misses", "incr_hits", "decr_misses", "decr_hits"):
        yield name, counts.get(name, 0)
    yield "cas_misses", worker.cas_misses
    yield "cas_hits", worker.cas_hits
    yield "cas_badval", worker.cas_badval
    yield "store_too_large", worker.store_too_large
    yield "store_no_memory", worker.store_no_memory
    yield "bytes_read", worker.bytes_read
    yield "bytes_written", worker.bytes_written
    yield "limit_maxbytes", store.limit
    yield "threads", 1
    yield "conn_yields", worker.yields
    yield "bytes", store.used
    yield "curr_items", len(store)
    yield "total_items", store.total_items
    yield "expired_unfetched", store.expired_unfetched
    yield "evicted_unfetched", store.evicted_unfetched
    yield "evictions", store.evictions
    yield "reclaimed", store.reclaimed


def settings(worker: Worker, store: Store) -> Iterator[tuple[str, object]]:
    yield "maxbytes", store.limit
    yield "maxconns", worker.max_connections
    yield "evictions", "on"
    yield "num_threads", 1
    yield "reqs_per_event", worker.requests_per_event
    yield "cas_enabled", "yes"
    yield "item_size_max", worker.max_item
