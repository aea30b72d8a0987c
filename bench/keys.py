"""What the longest single call of a table of many keys takes, while it grows and while it becomes smaller.

    python -m bench.keys [--keys 10000000] [--runs 3] [--json]

Every key is put, looked up, and removed again, each call timed (CPU time of the thread; reading the clock, and with a
put making the object, is in it).
The runs, each a process of its own, do exactly the same: of a call the least of its times counts, so what the machine
did to one run is in no figure, and what the table does in the same call each time is. 10,000,000 keys take 1.5 GB.
"""

from __future__ import annotations

import array
import gc
import heapq
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from netapp.iobuf.keys import KeyTable, Named

CALLS = ("put", "get", "pop")
SHOWN = 5
_MOST = 2**32 - 1


def _timed(call: Callable[[bytes], object], count: int) -> array.array[int]:
    """ns, by call."""
    times = array.array("I", bytes(4 * count))
    now = time.thread_time_ns
    for number in range(count):
        key = b"key%013d" % number
        before = now()
        call(key)
        times[number] = min(now() - before, _MOST)
    return times


def _run(count: int, folder: Path) -> None:
    """Leaves the least times so far in `folder`, and the most bytes a key that the table took."""
    gc.disable()  # as in a running node
    table = KeyTable(bytes(range(16)))
    calls: dict[str, Callable[[bytes], object]] = {
        "put": lambda key: table.put(Named(key)),
        "get": table.get,
        "pop": table.pop,
    }
    for name in CALLS:
        times = _timed(calls[name], count)
        file = folder / name
        if file.exists():
            former = array.array("I", file.read_bytes())
            times = array.array("I", map(min, former, times))
        file.write_bytes(times.tobytes())
        if name == "put":
            (folder / "memory").write_text(str(table.memory))


def measure(count: int, runs: int) -> dict[str, Any]:
    report: dict[str, Any] = {"keys": count, "runs": runs, "longest": {}, "median_ns": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(runs):
            done = subprocess.run(
                [sys.executable, "-m", "bench.keys", "--child", name, "--keys", str(count)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise click.ClickException((done.stderr.strip().splitlines() or ["no output"])[-1])
        for call in CALLS:
            times = array.array("I", (folder / call).read_bytes())
            longest = heapq.nlargest(SHOWN, range(count), key=times.__getitem__)
            report["median_ns"][call] = statistics.median_low(times)
            report["longest"][call] = [{"ns": times[at], "call": at} for at in longest]
        report["table_bytes_a_key"] = int((folder / "memory").read_text()) / count
    return report


def show(report: dict[str, Any]) -> str:
    lines = [f"{report['keys']:,} keys; {report['table_bytes_a_key']:.1f} bytes of table a key"]
    for call in CALLS:
        longest = ", ".join(f"{each['ns'] / 1000:,.0f} us (call {each['call']:,})" for each in report["longest"][call])
        lines.append(f"{call}: median {report['median_ns'][call]:,} ns; longest {longest}")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--keys", type=click.IntRange(1), default=10_000_000, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--child", hidden=True, help="run as a process that measures")
def main(keys: int, runs: int, as_json: bool, child: str | None) -> None:
    if child:
        _run(keys, Path(child))
        return
    report = measure(keys, runs)
    click.echo(json.dumps(report, indent=2) if as_json else show(report))


if __name__ == "__main__":
    main()
