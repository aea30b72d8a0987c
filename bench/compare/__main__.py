"""Our memcached beside Debian's, on the same core in turns, in network namespaces that are made for it.

    sudo .venv/bin/python -m bench.compare --quick

64 connections ask for one thing at a time, nine gets to a set; keys have 64 bytes, values 100 to 1,024; text protocol.
Compared are the CPU time of the server's core for a request, whoever spent it, and what clients see. In ratios more
than 1 means that ours is better. --quick takes less than a minute and writes nothing. Without it all is measured, about
20 minutes, and bench/RESULTS.md is written with its pictures; parts may be measured one by one.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bench.compare.findings import findings
from bench.compare.load import CONNECTIONS
from bench.compare.machine import machine
from bench.compare.parts import LOADS, PARTS, Plan, progress, run_part
from bench.compare.results import NAME, write_results
from bench.compare.servers import BASELINE, OURS, SERVERS
from bench.compare.stored import read_stored, write_stored
from bench.compare.summary import report, summarised
from bench.compare.tables import LOADS_HEAD, aligned, loads_line

FOLDER = Path(__file__).parents[1]
STORED = Path("results", "compare.json")
QUICK = Plan(rounds=3, seconds=1.0, servers=(BASELINE, *OURS), brief=True, limit=40.0)
# Rounds and seconds of a measurement.
FULL = {"loads": (5, 2.0), "connections": (3, 1.0), "values": (3, 1.0), "latency": (3, 1.0), "breakdown": (3, 1.0)}


def show(parts: dict[str, dict[str, Any]], found: dict[str, Any]) -> str:
    lines = []
    if "loads" in parts:
        rows = summarised("loads", parts["loads"])
        for load in LOADS:
            head = (load, *LOADS_HEAD[1:])
            lines += [aligned(head, [loads_line(row) for row in rows if row["point"] == load]), ""]
    lines += [finding.replace("**", "") for finding in findings(parts)]
    return "\n".join([*lines, *[f"note: {note}" for note in found["notes"]]])


def stored(folder: Path) -> dict[str, Any]:
    return read_stored(folder / STORED) or {"parts": {}}


def store(folder: Path, name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Beside what was measured before; all of it."""
    found = stored(folder)
    today = datetime.date.today().isoformat()
    found["parts"][name] = {"date": today, "machine": machine(), **part}
    write_stored(folder / STORED, found)
    return found


@click.command(help=__doc__)
@click.option("--connections", type=click.IntRange(1, 1000), default=CONNECTIONS, show_default=True)
@click.option("--quick", is_flag=True, help="saturation, 80 % and 50 % only, memcached and ours, nothing written")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="measure this part; several times: these")
@click.option("--server", "servers", multiple=True, type=click.Choice(list(SERVERS)), help="likewise, beside memcached")
@click.option("--rounds", type=click.IntRange(1), help="rounds of each part")
@click.option("--seconds", type=click.FloatRange(0.2), help="of each measurement")
@click.option("--redraw", is_flag=True, help="measure nothing: write what was stored")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="for RESULTS.md and results/")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def main(
    connections: int,
    quick: bool,
    only: tuple[str, ...],
    servers: tuple[str, ...],
    rounds: int | None,
    seconds: float | None,
    redraw: bool,
    folder: Path,
    as_json: bool,
) -> None:
    if quick and (only or redraw):
        raise click.UsageError("--quick measures one part and writes nothing: it goes with neither --only nor --redraw")
    chosen = (BASELINE, *(name for name in servers if name != BASELINE)) if servers else ()
    parts: dict[str, dict[str, Any]] = {}
    if quick:
        plan = replace(
            QUICK,
            rounds=rounds or QUICK.rounds,
            seconds=seconds or QUICK.seconds,
            connections=connections,
            servers=chosen or QUICK.servers,
        )
        parts["loads"] = run_part("loads", plan)
    elif redraw:
        parts = stored(folder)["parts"]
        if not parts:
            raise click.ClickException(f"there is no {folder / STORED}: measure first")
    else:
        for name in only or PARTS:
            plan = Plan(rounds or FULL[name][0], seconds or FULL[name][1], connections, chosen or tuple(SERVERS))
            click.echo(f"{datetime.datetime.now():%H:%M:%S} {name}, {plan.rounds} rounds", err=True)
            parts[name] = run_part(name, plan)
            store(folder, name, parts[name])
    progress("")
    if not quick:
        write_results(folder, stored(folder)["parts"])
    found = report(parts)
    if quick and "cpu_ratio" not in found:
        raise click.ClickException("; ".join(parts["loads"]["failures"]) or "there was nothing to compare")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(show(parts, found))
    if not quick:
        click.echo(f"written: {folder / NAME}")


if __name__ == "__main__":
    main()
