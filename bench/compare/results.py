"""bench/RESULTS.md, out of what was measured and stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.boot import chart
from bench.boot import report as boot
from bench.compare.findings import in_short
from bench.compare.parts import LOADS, P99_LIMIT_US, SHARES
from bench.compare.servers import SERVERS
from bench.compare.spread import Row, grouped
from bench.compare.stored import read_stored
from bench.compare.summary import limits, one, ours, stages, summarised
from bench.compare.tables import LOADS_HEAD, loads_line, markdown, number, shown, sweep, title

NAME = "RESULTS.md"
PICTURES = "results"  # beside it

HEAD = """\
# memcached on netapp, beside Debian's memcached

Written by `python -m bench.compare`, which measures all of this anew wherever it is run. Figures are medians over the
rounds, with the least and the greatest in brackets. In ratios more than 1 means better than memcached.

{servers}

**Workload**: 64 connections unless said otherwise, each with one request under way; nine gets to a set, 64-byte keys,
values of 100 to 1,024 bytes, text protocol. 10,000 keys are stored first, so that every get finds its value; sets
replace them. The generator is `python -m bench.memaslap`, one thread on a core of its own.

**CPU a request** is all non-idle time of the server's core, divided by the requests that the server counted:
interrupts, softirqs, kernel threads and spinning included, whoever they worked for. It is elapsed time less what
`/proc/stat` shows as idle and iowait, which the kernel measures at each entry and exit (user and system time it only
samples). "process" is the time of the server's process alone.

**What this favours.** Clients are on the same machine, on the next core. What a server sends is received by the
clients' kernel within the server's system call, on veth as on tap, and counts as the server's. What clients send to
memcached is received by the server's kernel within the *client's* system call, on the client's core, and does not count
as memcached's; on tap all of it is done by the server, and counts. A server that is faster than the generator
polls for the next request, which counts too: its CPU a request at saturation is then elapsed time a request.

All servers run on one core, and the generator on another, all at the highest ordinary priority (nice -20): little
else that the machine does delays them. One of them is loaded at a time, at each point once a round, in an order that
is shuffled anew each round; the others are stopped meanwhile (SIGSTOP), for some wake now and then without being
asked.
"""


def write_results(folder: Path, parts: dict[str, dict[str, Any]]) -> None:
    """And what bench.boot and bench.boot.interrupts have stored."""
    from bench.compare.plots import draw, draw_boot, draw_interrupts  # matplotlib is wanted here only

    pictures = draw(parts, folder / PICTURES)
    text = rendered(parts, pictures)
    boots = read_stored(folder / boot.STORED)
    if boots is not None:
        draw_boot(boots, folder / PICTURES)
        text += "\n" + boot.section(boots)
    interrupts = read_stored(folder / chart.STORED)
    if interrupts is not None:
        draw_interrupts(interrupts, folder / PICTURES)
        text += "\n" + chart.section(interrupts)
    (folder / NAME).write_text(text)


def rendered(parts: dict[str, dict[str, Any]], pictures: list[str]) -> str:
    """`pictures`: names of those that are there."""
    what = markdown(
        ("server", "what it is"), [(server.title, server.description) for server in SERVERS.values()], text=2
    )
    sections = [HEAD.format(servers=what), in_short(parts), _machine(parts)]
    for name, section in SECTIONS.items():
        if parts.get(name, {}).get("rows"):
            sections.append("\n".join(section(parts[name], _picture(name) if name in pictures else "")))
    return "\n".join(section.rstrip() + "\n" for section in sections if section)


def _picture(name: str) -> str:
    return f"![{ALTERNATIVE_TEXT[name]}]({PICTURES}/{name}.png)\n"


def _machine(parts: dict[str, dict[str, Any]]) -> str:
    by_machine: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, part in parts.items():
        by_machine.setdefault(tuple(part["machine"].items()), []).append(name)
    lines = ["## Where and when", ""]
    for machine, names in by_machine.items():
        where = "" if len(by_machine) == 1 else f"{', '.join(names)}: "
        lines.append(where + "; ".join(f"{what} {value}" for what, value in machine) + ".\n")
    table = [
        (
            name,
            part["date"],
            str(part["rounds"]),
            f"{part['seconds']:g}",
            "one core for both" if len(set(part["cores"])) == 1 else f"{part['cores'][0]}, {part['cores'][1]}",
            f"{part['background']:.1%}",
        )
        for name, part in parts.items()
    ]
    head = ("part", "date", "rounds", "seconds each", "core of servers, of generator", "taken by others before")
    return "\n".join([*lines, markdown(head, table)])


def _loads(part: dict[str, Any], picture: str) -> Iterator[str]:
    rows = summarised("loads", part)
    yield "## Saturation, and 80 % and 50 % of memcached's highest rate"
    yield "\nThe last two in open loop: a request is sent when it is due, and its latency counts from then.\n"
    for load in LOADS:
        yield markdown((load, *LOADS_HEAD[1:]), [loads_line(row) for row in rows if row["point"] == load])
        yield ""
    yield "How busy the cores were; where the generator's was at saturation, a faster server would not have shown:\n"
    head = ("server's core / generator's", *LOADS)
    by_server = grouped(rows, lambda row: row["server"])
    busy = [(title(server), *[_busy(one(own, server, load)) for load in LOADS]) for server, own in by_server.items()]
    yield markdown(head, busy)


def _busy(row: Row | None) -> str:
    return f"{row['non_idle'].median:.0%} / {row['generator_non_idle'].median:.0%}" if row else "-"


def _connections(part: dict[str, Any], picture: str) -> Iterator[str]:
    yield from _sweep("connections", part, "## Throughput against connections", picture, lambda point: str(point))


def _values(part: dict[str, Any], picture: str) -> Iterator[str]:
    yield from _sweep("values", part, "## Throughput against value size", picture, lambda point: f"{point:,}")
    yield "\nAll of them with `-I 2m`: a value of 1 MiB and its header are too large otherwise."
    rows = summarised("values", part)
    points = sorted({row["point"] for row in rows})
    yield "\nGB/s, both ways:\n"
    yield markdown(
        ("bytes of a value", *[f"{point:,}" for point in points]), sweep(rows, "bytes_per_second", points, 1e-9)
    )


def _sweep(name: str, part: dict[str, Any], heading: str, picture: str, label: Any) -> Iterator[str]:
    rows = summarised(name, part)
    points = sorted({row["point"] for row in rows})
    first = {"connections": "connections", "values": "bytes of a value"}[name]
    yield f"{heading}\n"
    yield picture
    for what, figure in (
        ("Requests/s", "requests_per_second"),
        ("CPU µs a request", "cpu_us"),
        ("p50, µs", "p50_us"),
        ("p99, µs", "p99_us"),
    ):
        yield f"{what}:\n"
        yield markdown((first, *[label(point) for point in points]), sweep(rows, figure, points))
        yield ""
    own = [row for row in rows if row["server"] == ours(rows)]
    lines = [
        (label(row["point"]), shown(row["throughput_ratio"]), shown(row["cpu_ratio"]))
        for row in sorted(own, key=lambda row: row["point"])
    ]
    yield f"{title(ours(rows))} to memcached:\n"
    yield markdown((first, "throughput ratio", "CPU ratio"), lines)


def _latency(part: dict[str, Any], picture: str) -> Iterator[str]:
    yield "## Latency against load\n"
    yield picture
    yield (
        "Each server in open loop, at shares of what it answers at saturation. The median of three measurements "
        "decides whether a rate is within the limit.\n"
    )
    found = {row["server"]: row for row in limits(part)}
    head = ("", f"highest rate with p99 ≤ {P99_LIMIT_US:.0f} µs, requests/s", "to memcached")
    yield markdown(
        head, [(title(name), shown(row["requests_per_second"]), shown(row["ratio"])) for name, row in found.items()]
    )
    yield ""
    at_shares = [row for row in summarised("latency", part) if row["point"] in SHARES]
    rows = [row for name in found for row in at_shares if row["server"] == name]
    yield markdown(
        ("", "requests due a second", "requests/s", "p50 µs", "p99 µs", "p99.9 µs"),
        [
            (
                f"{title(row['server'])}, {row['point']:.0%}",
                *[shown(row[f]) for f in ("rate", "requests_per_second", "p50_us", "p99_us", "p99_9_us")],
            )
            for row in rows
        ],
    )


def _breakdown(part: dict[str, Any], picture: str) -> Iterator[str]:
    yield "## Where a request's time goes\n"
    yield picture
    yield (
        "Wall time of our process at saturation, which it measures itself (`--breakdown`); what reading the clock takes"
        " is taken out. What the kernel does for the clients within a write is in `device out`.\n"
    )
    found = stages(part)
    names = list(dict.fromkeys(stage for times in found.values() for stage in times))
    lines = [
        (title(server), *[number(times[stage].median) if stage in times else "-" for stage in names])
        for server, times in found.items()
    ]
    yield markdown(("ns a request", *[name.replace("_", " ") for name in names]), lines)


SECTIONS = {
    "loads": _loads,
    "connections": _connections,
    "values": _values,
    "latency": _latency,
    "breakdown": _breakdown,
}
ALTERNATIVE_TEXT = {
    "connections": "Requests per second against connections, a line a server",
    "values": "Requests and bytes per second against value size, a line a server",
    "latency": "p50, p99 and p99.9 against load, a line a server",
    "breakdown": "Nanoseconds of a request by stage, a bar a server",
}
