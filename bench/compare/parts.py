"""What is measured: a part is a sweep, whose cases alternate in shuffled rounds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from bench.compare.load import CONNECTIONS, Load
from bench.compare.measure import Testbed, testbed
from bench.compare.servers import BASELINE, OURS, SERVERS
from bench.compare.spread import Row, rounds

LOADS = {"saturation": None, "80 %": 0.8, "50 %": 0.5}  # of the baseline's highest rate
SWEPT_CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SWEPT_VALUES = (16, 64, 256, 1024, 4096, 16384, 65536, 1 << 20)
LARGE_ITEMS = ("-I", "2m")  # a value of 1 MiB and its header
SHARES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0)  # of a server's own highest rate
P99_LIMIT_US = 500.0
SEARCH_STEPS = 3
WINDOWS = 3  # at a rate, most of which decide whether it is served within the limit
KEPT_UP = 0.97  # of the rate that was asked for, for it to count as served


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float  # of a measurement
    connections: int = CONNECTIONS
    servers: tuple[str, ...] = tuple(SERVERS)
    brief: bool = False  # only the first of ours that runs
    limit: float | None = None  # s after which no other round begins
    seed: int = 1


class Part:
    """The rows of a part, while they come."""

    def __init__(self, name: str, bed: Testbed, plan: Plan) -> None:
        self.name = name
        self.bed = bed
        self.plan = plan
        self.rows: list[Row] = []
        self.limits: list[Row] = []
        self.failures: list[str] = []

    @property
    def servers(self) -> list[str]:
        return list(self.bed.running)

    def measure(self, number: int, server: str, load: Load, /, **point: Any) -> Row | None:
        """One more row; None: it failed, which is noted."""
        progress(f"{self.name}, round {number + 1}: {SERVERS[server].title}, {_described(load)}")
        try:
            row = self.bed.measure(server, load, self.plan.seconds)
        except click.ClickException as error:
            self.failures.append(f"{_described(load)}: {error.message}")
            return None
        row |= {"round": number, **point}
        self.rows.append(row)
        return row

    def highest(self, server: str, load: Load) -> float:
        """Requests a second of a server that is asked as fast as it answers: of three measurements the most, for
        whatever disturbs one lowers it."""
        return max(self.bed.measure(server, load, self.plan.seconds)["requests_per_second"] for _ in range(3))


def loads(part: Part) -> None:
    plan = part.plan
    highest = part.highest(BASELINE, Load(plan.connections))
    cases = [(server, name) for server in part.servers for name in LOADS]
    for number, (server, name) in rounds(cases, plan.rounds, plan.seed, plan.limit):
        share = LOADS[name]
        load = Load(plan.connections, rate=None if share is None else share * highest)
        part.measure(number, server, load, load=name)


def connections(part: Part) -> None:
    cases = [(server, count) for server in part.servers for count in SWEPT_CONNECTIONS]
    for number, (server, count) in rounds(cases, part.plan.rounds, part.plan.seed):
        part.measure(number, server, Load(count))


def values(part: Part) -> None:
    cases = [(server, size) for server in part.servers for size in SWEPT_VALUES]
    for number, (server, size) in rounds(cases, part.plan.rounds, part.plan.seed):
        part.measure(number, server, Load(part.plan.connections, value=size))


def latency(part: Part) -> None:
    """Percentiles at shares of what a server can do, and the highest rate at which its p99 is within the limit."""
    plan = part.plan
    for number, server in rounds(part.servers, plan.rounds, plan.seed):
        first = part.measure(number, server, Load(plan.connections), share=None)
        if first is None:
            continue
        highest = first["requests_per_second"]

        seen: dict[float, list[bool]] = {}

        def look(share: float) -> None:
            rate = share * highest  # noqa: B023
            row = part.measure(number, server, Load(plan.connections, rate=rate), share=share)  # noqa: B023
            seen.setdefault(share, []).append(row is not None and within_limit(row))  # noqa: B023

        def served(share: float) -> bool:
            """By the median of the windows: what the machine did meanwhile in one of them does not decide."""
            while True:
                for verdict in (True, False):
                    if seen.get(share, []).count(verdict) > WINDOWS // 2:  # noqa: B023
                        return verdict
                look(share)

        for share in SHARES:
            look(share)
        low = next((share for share in reversed(SHARES) if served(share)), 0.0)
        high = min((share for share in SHARES if share > low), default=2 * low - SHARES[-2])
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if served(middle) else (low, middle)
        part.limits.append({"server": server, "round": number, "requests_per_second": low * highest})


def breakdown(part: Part) -> None:
    """Where a request's time goes in ours: each server measures itself, which costs it some of it."""
    ours = [server for server in part.servers if SERVERS[server].on_tap]
    for number, server in rounds(ours, part.plan.rounds, part.plan.seed):
        part.measure(number, server, Load(part.plan.connections))


def within_limit(row: Row) -> bool:
    return bool(row["p99_us"] <= P99_LIMIT_US and row["requests_per_second"] >= KEPT_UP * row["rate"])


# Each with memcached's options.
PARTS: dict[str, tuple[Callable[[Part], None], tuple[str, ...]]] = {
    "loads": (loads, ()),
    "connections": (connections, ()),
    "values": (values, LARGE_ITEMS),
    "latency": (latency, ()),
    "breakdown": (breakdown, ()),
}


def run_part(name: str, plan: Plan) -> dict[str, Any]:
    """What is stored of it."""
    function, options = PARTS[name]
    with testbed(options, breakdown=name == "breakdown") as bed:
        start(bed, plan)
        others = bed.background()
        part = Part(name, bed, plan)
        function(part)
        return {
            "rows": part.rows,
            "limits": part.limits,
            "failures": part.failures,
            "absent": bed.absent,
            "background": others,
            "rounds": plan.rounds,
            "seconds": plan.seconds,
            "cores": list(bed.cores),
        }


def start(bed: Testbed, plan: Plan) -> None:
    for name in plan.servers:
        if plan.brief and name in OURS and not bed.running.keys().isdisjoint(OURS):
            continue
        progress(f"starting {SERVERS[name].title}")
        if not bed.start(name) and (name == BASELINE or name == OURS[-1]):
            raise click.ClickException(f"{SERVERS[name].title} does not start: {bed.absent[name]}")


def progress(text: str) -> None:
    """On a terminal, in place of what was said before."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def _described(load: Load) -> str:
    size = "" if load.value is None else f", values of {load.value:,} bytes"
    rate = "" if load.rate is None else f", {load.rate:,.0f} requests/s"
    return f"{load.connections} connections{size}{rate}"
