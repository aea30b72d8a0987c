"""The few sentences that a run comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.compare.parts import LOADS, P99_LIMIT_US
from bench.compare.servers import BASELINE
from bench.compare.spread import ratio
from bench.compare.summary import limits, notes, one, ours, summarised
from bench.compare.tables import shown, title


def in_short(parts: dict[str, dict[str, Any]]) -> str:
    """A section of Markdown; empty if nothing can be said."""
    lines = list(findings(parts))
    said = [f"- {line}" for line in lines] + [f"- note: {note}" for note in notes(parts)]
    return "\n".join(["## In short", "", *said]) if said else ""


def findings(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    if "loads" in parts:
        rows = summarised("loads", parts["loads"])
        for server in dict.fromkeys(row["server"] for row in rows):
            found = {row["point"]: row for row in rows if row["server"] == server}
            if server == BASELINE or len(found) < len(LOADS):
                continue
            cpu = ", ".join(f"{shown(found[load]['cpu_ratio'])} at {load}" for load in LOADS)
            yield (
                f"**{title(server)}**: memcached takes {cpu} times its CPU a request;"
                f" it answers {shown(found['saturation']['throughput_ratio'])} times the requests"
            )
        saturated = [row for row in parts["loads"]["rows"] if row["load"] == "saturation"]
        plain, sockets = ([row for row in saturated if row["server"] == name] for name in ("uncompiled", "asyncio"))
        times = ratio(plain, sockets, "requests_per_second")
        if times is not None:
            yield (
                f"uncompiled, it answers {shown(times)} times the requests of asyncio, which takes"
                f" {shown(ratio(sockets, plain, 'cpu_us'))} times the CPU a request"
            )
    if "latency" in parts:
        for row in limits(parts["latency"]):
            if row["server"] == ours(parts["latency"]["rows"]):
                yield f"throughput with p99 ≤ {P99_LIMIT_US:.0f} µs: {shown(row['ratio'])} times memcached's"
    if "connections" in parts:
        rows = summarised("connections", parts["connections"])
        own, baseline = one(rows, ours(rows), 1), one(rows, BASELINE, 1)
        if own is not None and baseline is not None:
            theirs = shown(baseline["p50_us"])
            yield f"one connection, one request at a time: p50 {shown(own['p50_us'])} µs, memcached {theirs} µs"
    if "values" in parts:
        rows = summarised("values", parts["values"])
        large = one(rows, ours(rows), 1 << 20)
        if large is not None:
            yield f"values of 1 MiB: {shown(large['throughput_ratio'])} times memcached's goodput"
