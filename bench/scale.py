"""What connections cost when they are many: memory, and a segment.

    python -m bench.scale [--connections 10,1000,100000] [--json]

A node on a memory wire runs a small compiled service; its clients do the same once a round each, in an order that
neither the table nor memory has, ten of them in a turn of 10 us. A segment's cost is that of the node's turns: time,
and instructions, which callgrind repeats exactly. `request` is a segment and the reply to it, which stays
unacknowledged until the next round; `acknowledgment` is one without text; `text` is a segment and its acknowledgment,
which waits for the delayed-ACK timer. Every connection has its entry in the timer wheel.

Memory is what the process grew by, each figure from a process of its own.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
from typing import Any

import click

from bench.bed import CLIENT, SERVER, Bed, count_instructions, packed, resident
from bench.clients import ADDRESS_PORTS
from bench.crowd import AT_ONCE, KINDS, Crowd, Service
from netapp.iobuf.chain import Chain
from netapp.node.appliance import Appliance
from netapp.tcp.connection import Connection

PACE = 10_000
PORT = 7
COSTS = ("request", "acknowledgment", "text")
# Rounds of a kind are repeated until so many segments were measured.
SEGMENTS = 10_000
STATES = ("established", "unacknowledged", "time_wait")


class Many(Appliance):
    """The service that Crowd talks to."""

    def start(self) -> None:
        self.tcp.listen(PORT, Service)


class Scale(Bed[Crowd]):
    """A node and clients without connections yet."""

    def __init__(self, connections: int) -> None:
        super().__init__(Many(), pool_bytes=(32 << 20) + connections * 4096)
        self.connections = connections
        self.clients = Crowd(
            self.outside, self.wire.b, self.wire.a.mac, packed(CLIENT), packed(SERVER), PORT, connections
        )
        self.introduce(-(-connections // ADDRESS_PORTS))

    def connect(self, first: int, count: int) -> None:
        for at in range(first, first + count, AT_ONCE):
            self.clients.connect(at, min(AT_ONCE, first + count - at))
            self.run(pace=PACE)

    def connect_all(self) -> None:
        self.connect(0, self.connections)

    def round(self, kind: str, measured: bool = False) -> float:
        """ns a client."""
        self.clients.begin(KINDS[kind], 0, self.connections)
        return self.run(measured, PACE) / self.connections

    def end(self, first: int, count: int) -> None:
        self.clients.begin(KINDS["end"], first, count)
        self.run(pace=PACE)


# --- what runs in a process of its own --------------------------------------------------------------------------------


def _size(kind: type) -> int:
    """Bytes of an object, with the collector's header where it has one."""
    return kind.__basicsize__ + (16 if kind.__flags__ & 1 << 14 else 0)


def _memory(state: str, connections: int) -> dict[str, Any]:
    bed = Scale(connections)
    # What the first connection brings about is not counted.
    chunk = min(1000, connections)
    before, pinned = resident(), sum(bed.node.pool.pinned().values())
    for first in range(0, connections, chunk):
        count = min(chunk, connections - first)
        bed.connect(first, count)
        if state == "time_wait":
            bed.end(first, count)
    if state == "unacknowledged":
        bed.round("request")
    grown = resident() - before
    assert len(bed.node.tcp.connections()) == connections
    return {
        "resident": grown / connections,
        "pinned": (sum(bed.node.pool.pinned().values()) - pinned) / connections,
    }


def _time(connections: int) -> dict[str, Any]:
    bed = Scale(connections)
    bed.connect_all()
    longest = bed.meter.longest
    times: dict[str, list[float]] = {kind: [] for kind in COSTS}
    rounds = max(3, SEGMENTS // connections)
    for kind in COSTS * 2:
        bed.round(kind)
    for _ in range(rounds):
        for kind in COSTS:
            times[kind].append(bed.round(kind))
    return {"longest_turn": longest, **{kind: statistics.median(found) for kind, found in times.items()}}


def _counted(connections: int) -> None:
    bed = Scale(connections)
    bed.connect_all()
    for kind in COSTS:
        for measured in (False, False, *(True,) * rounds_counted(connections)):
            if kind == "acknowledgment":  # of something
                bed.round("request")
            bed.round(kind, measured)
        bed.meter.count()


def rounds_counted(connections: int) -> int:
    # A round of 100,000 takes 100 ms of the node's time: in three of them every entry of the timer wheel comes due.
    return max(3, SEGMENTS // connections)


# --- the report -------------------------------------------------------------------------------------------------------


def _child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException((done.stderr.strip().splitlines() or ["no output"])[-1])
    return json.loads(done.stdout)


def _instructions(connections: int) -> dict[str, float | None]:
    found = count_instructions("-m", "bench.scale", "--child", f"counted,{connections}")
    if found is None:
        return dict.fromkeys(COSTS)
    return {kind: count / (rounds_counted(connections) * connections) for kind, count in zip(COSTS, found)}


def measure(sizes: list[int]) -> dict[str, Any]:
    most = sizes[-1]
    report: dict[str, Any] = {"connections": sizes, "costs": {}, "memory": {}}
    times = {size: [_child("--child", f"time,{size}") for _ in range(3)] for size in sizes}
    instructions = {size: _instructions(size) for size in sizes}
    for kind in COSTS:
        ns = [statistics.median(run[kind] for run in times[size]) for size in sizes]
        counts = [instructions[size][kind] for size in sizes]
        ratio = None if counts[0] is None or counts[-1] is None else counts[-1] / counts[0]
        report["costs"][kind] = {"ns": ns, "instructions": counts, "instructions_ratio": ratio}
    report["longest_turn_while_connecting_cpu_ns"] = [min(run["longest_turn"] for run in times[size]) for size in sizes]
    for state in STATES:
        report["memory"][state] = _child("--child", f"memory,{state},{most}")
    report["memory"]["objects"] = {kind.__name__: _size(kind) for kind in (Connection, Chain, Service)}
    return report


def show(report: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:,.0f}"

    sizes = report["connections"]
    head = "".join(f"{size:>12,}" for size in sizes)
    lines = [f"{'connections':<42}{head}{'ratio':>8}"]
    for name, title in (("instructions", "instructions"), ("ns", "ns")):
        for kind, found in report["costs"].items():
            values = found[name]
            ratio = "-" if None in values else f"{values[-1] / values[0]:.2f}"
            lines.append(f"{title + ', ' + kind:<42}{''.join(f'{number(v):>12}' for v in values)}{ratio:>8}")
    values = report["longest_turn_while_connecting_cpu_ns"]
    lines.append(f"{'longest turn while connecting, CPU us':<42}{''.join(f'{number(v / 1000):>12}' for v in values)}")
    lines += ["", f"{f'bytes a connection, of {sizes[-1]:,}':<42}{'resident':>12}{'pinned':>12}"]
    for state in STATES:
        found = report["memory"][state]
        lines.append(f"{state.replace('_', '-'):<42}{number(found['resident']):>12}{number(found['pinned']):>12}")
    objects = ", ".join(f"{name} {size}" for name, size in report["memory"]["objects"].items())
    lines.append(f"of these: {objects}")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--connections", default="10,1000,100000", show_default=True, help="numbers of them, the least first")
@click.option("--child", hidden=True, help="run as a process that measures")
def main(as_json: bool, connections: str, child: str | None) -> None:
    if child:
        gc.disable()  # as in a running node
        what, *arguments = child.split(",")
        if what == "counted":
            _counted(int(arguments[0]))
        else:
            found = _time(int(arguments[0])) if what == "time" else _memory(arguments[0], int(arguments[1]))
            click.echo(json.dumps(found))
        return
    try:
        sizes = [int(part) for part in connections.split(",")]
    except ValueError:
        raise click.BadParameter("numbers, separated by commas", param_hint="--connections") from None
    if sizes != sorted(sizes) or sizes[0] < 1:
        raise click.BadParameter("positive numbers, the least first", param_hint="--connections")
    report = measure(sizes)
    click.echo(json.dumps(report, indent=2) if as_json else show(report))


if __name__ == "__main__":
    main()
