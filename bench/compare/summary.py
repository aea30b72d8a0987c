"""What rows of single measurements come to: a row for each server and point, with medians, ranges and ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.compare.parts import LOADS
from bench.compare.servers import BASELINE, OURS, SERVERS
from bench.compare.spread import Row, Spread, grouped, ratio, spread

# Of a row, and by what each part tells its points apart.
FIGURES = (
    "rate",
    "cpu_us",
    "process_us",
    "requests_per_second",
    "bytes_per_second",
    "p50_us",
    "p99_us",
    "p99_9_us",
    "non_idle",
    "generator_non_idle",
    "stolen",
)
POINTS = {
    "loads": "load",
    "connections": "connections",
    "values": "value",
    "latency": "share",
    "breakdown": "connections",
}
NOISY = 0.02  # of the server's core, that others take


def summarised(name: str, part: dict[str, Any]) -> list[Row]:
    """Of one part. In the ratios more than 1 means better than memcached."""
    point = POINTS[name]
    in_order = sorted(_in_order(part["rows"]), key=lambda row: _place(row[point]))
    by_point = grouped(in_order, lambda row: row[point])
    found = []
    for at, rows in by_point.items():
        by_server = grouped(rows, lambda row: row["server"])
        baseline = by_server.get(BASELINE, [])
        for server, own in by_server.items():
            found.append(
                {
                    "part": name,
                    "point": at,
                    "server": server,
                    "rounds": len(own),
                    **{figure: spread(row[figure] for row in own if row[figure] is not None) for figure in FIGURES},
                    "cpu_ratio": ratio(baseline, own, "cpu_us"),
                    "process_ratio": ratio(baseline, own, "process_us"),
                    "throughput_ratio": ratio(own, baseline, "requests_per_second"),
                }
            )
    return found


def limits(part: dict[str, Any]) -> list[Row]:
    """Highest rates with the percentile within its limit, of the part `latency`."""
    by_server = grouped(_in_order(part["limits"]), lambda row: row["server"])
    return [
        {
            "server": server,
            "requests_per_second": spread(row["requests_per_second"] for row in own),
            "ratio": ratio(own, by_server.get(BASELINE, []), "requests_per_second"),
        }
        for server, own in by_server.items()
    ]


def stages(part: dict[str, Any]) -> dict[str, dict[str, Spread]]:
    """ns a request by server and stage, of the part `breakdown`; `busy` is all of them together."""
    found: dict[str, dict[str, Spread]] = {}
    for server, own in grouped(_in_order(part["rows"]), lambda row: row["server"]).items():
        by_stage: dict[str, list[float]] = {}
        for row in own:
            seen = row["breakdown"]
            for stage, times in seen["parts"].items():
                by_stage.setdefault(stage, []).append(times["ns_per_request"])
            by_stage.setdefault("busy", []).append(seen["busy_ns_per_request"])
        found[server] = {stage: made for stage, times in by_stage.items() if (made := spread(times)) is not None}
    return found


def one(rows: Sequence[Row], server: str, point: Any) -> Row | None:
    return next((row for row in rows if row["server"] == server and row["point"] == point), None)


def ours(rows: Sequence[Row]) -> str:
    """The server that the comparison is about."""
    there = {row["server"] for row in rows}
    return next((name for name in OURS if name in there), OURS[-1])


def report(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """For machines. What was not measured is not there: `cpu_ratio` and what belongs to it, `limits`, `breakdown`."""
    rows = [row for name, part in parts.items() for row in summarised(name, part)]
    found: dict[str, Any] = {}
    if "loads" in parts:
        at_loads = [row for row in rows if row["part"] == "loads"]
        name = ours(at_loads)
        head = one(at_loads, name, "saturation")
        if head is not None and head["cpu_ratio"] is not None and head["throughput_ratio"] is not None:
            found["server"] = name
            for figure in ("cpu_ratio", "throughput_ratio"):
                found[figure] = head[figure].median
                found[f"{figure}_range"] = [head[figure].least, head[figure].most]
    found["background"] = max(part["background"] for part in parts.values())
    found["notes"] = notes(parts)
    found["rows"] = [{name: _plain(value) for name, value in row.items()} for row in rows]
    if "latency" in parts:
        found["limits"] = [{name: _plain(value) for name, value in row.items()} for row in limits(parts["latency"])]
    if "breakdown" in parts:
        found["breakdown"] = {
            server: {stage: _plain(value) for stage, value in times.items()}
            for server, times in stages(parts["breakdown"]).items()
        }
    return found


def notes(parts: dict[str, dict[str, Any]]) -> list[str]:
    """What a reader must know of this run."""
    found: dict[str, list[str]] = {}
    for name, part in parts.items():
        said = [f"{server} left out: {why}" for server, why in part["absent"].items()]
        said += [f"failed: {what}" for what in part["failures"]]
        missed = sum(row["misses"] for row in part["rows"])
        if missed:
            said.append(f"{missed} gets missed, which are cheaper than others")
        stolen = max((row["stolen"] for row in part["rows"]), default=0.0)
        if stolen > NOISY:
            said.append(f"a hypervisor took up to {stolen:.0%} of the server's core")
        if part["background"] > NOISY:
            said.append(f"others took {part['background']:.0%} of the server's core before it began")
        if len(set(part["cores"])) == 1:
            said.append(
                "one CPU only: server and generator share it, so that CPU a request is that of both;"
                " process time is the server's alone"
            )
        for one in said:
            found.setdefault(one, []).append(name)
    return [f"{', '.join(names)}: {said}" for said, names in found.items()]


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """Of the servers."""
    return sorted(rows, key=lambda row: list(SERVERS).index(row["server"]))


def _place(point: Any) -> float:
    """Of a point among those of its part."""
    if point is None:
        return -1.0
    return float(list(LOADS).index(point) if point in LOADS else point)


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Spread) else value
