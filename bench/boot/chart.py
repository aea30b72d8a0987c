"""Interrupts, polls and switches against load, as a table, sentences and a section; the picture is compare.plots'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.spread import Row, grouped
from bench.compare.tables import aligned, markdown, number

STORED = Path("results", "interrupts.json")
HOSTED = "hosted"
TITLES = {HOSTED: "netapp run, hosted"}
COUNTED = {
    "devices": "device interrupts",
    "timers": "timer interrupts",
    "polls": "polls",
    "switches": "switches",
}
_HEAD = (
    "",
    "requests/s",
    "busy",
    *[f"{name}/s" for name in COUNTED.values()],
    "frames that came/s",
    *[f"{COUNTED[name]} a request" for name in ("devices", "polls", "switches")],
    "empty polls",
)
HEAD = """\
# Interrupts and polls against load

Written by `python -m bench.boot.interrupts`: an image of memcached in QEMU (TCG), and hosted mode, on one core, which
count themselves. Load is in shares of the rate of 64 connections that ask for one thing after the other ("saturation");
below that, requests come at a fixed rate, whether answered or not. Even at saturation there are moments without work:
the server, and the device, whose thread is on the same core in the emulator, are faster than 64 replies are read.
"full" is when there is none: 512 connections each send 16 requests (`mn`) at once, hosted 360. A switch is one from
polling to interrupts, before the core sleeps, or back. Interrupts of a virtual machine are those that its processor
took; hosted they are the sleeps that epoll ended with frames. Where frames come rarely there are two a request: the
client's kernel acknowledges a reply apart when no other request follows in 40 ms. Counted for {seconds:g} s each,
{date}; before, {background:.0%} of the core was taken by others.

{findings}

![Interrupts, polls and switches a second against load, a panel a machine](results/interrupts.png)

{tables}

{machine}.
"""


def by_machine(found: dict[str, Any]) -> dict[str, list[Row]]:
    return grouped(found["rows"], lambda row: row["machine"])


def title(machine: str) -> str:
    return TITLES.get(machine, f"netapp's image, {machine}")


def per_second(row: Row, name: str) -> float | None:
    """None: it is not counted there."""
    return row[name] / row["seconds"] if name in row else None


def per_request(row: Row, name: str) -> float | None:
    requests = row["requests_per_second"] * row["seconds"]
    return row[name] / requests if requests and name in row else None


def table(found: dict[str, Any], machine: str, for_terminal: bool = False) -> str:
    lines = [
        [
            row["load"],
            number(row["requests_per_second"]),
            f"{row['busy'] / row['seconds']:.1%}",
            *[_shown(per_second(row, name)) for name in (*COUNTED, "frames_in")],
            *[_shown(per_request(row, name)) for name in ("devices", "polls", "switches")],
            f"{row['polls_empty'] / row['polls']:.0%}" if row["polls"] else "-",
        ]
        for row in by_machine(found)[machine]
    ]
    return aligned(_HEAD, lines) if for_terminal else markdown(_HEAD, lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else number(value)


def findings(found: dict[str, Any]) -> Iterator[str]:
    """What an idle machine takes, and one at its highest rate."""
    for machine, rows in by_machine(found).items():
        idle, highest = rows[0], rows[-1]
        timers = f", {_count(idle, 'timers', 'timer')}" if "timers" in idle else ""
        yield (
            f"**{title(machine)}**: idle for {idle['seconds']:.1f} s, {_count(idle, 'devices', 'device')}{timers}; at"
            f" full load, {_count(highest, 'devices', 'device')} in {highest['seconds']:.1f} s and"
            f" {highest['requests_per_second'] * highest['seconds']:,.0f} requests"
        )


def _count(row: Row, name: str, what: str) -> str:
    count = round(row[name])
    return f"{count or 'no'} {what} interrupt{'s' if count > 1 else ''}"


def section(found: dict[str, Any]) -> str:
    """Of RESULTS.md."""
    tables = [f"{title(machine)}:\n\n{table(found, machine)}" for machine in by_machine(found)]
    return HEAD.format(
        seconds=found["seconds"],
        date=found["date"],
        background=found["background"],
        findings="\n".join(f"- {line}" for line in findings(found)),
        tables="\n\n".join(tables),
        machine="; ".join(f"{name} {value}" for name, value in found["machine"].items()),
    )
