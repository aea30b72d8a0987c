"""Threadtest: so many objects are taken, then given back in the same order, again and again: what a pair costs.

    python -m bench.pool [--pairs 200000] [--rounds 5] [--instructions] [--json]

As in EbbRT's paper (Schatzberg et al., OSDI 2016), by number of objects and iterations, whose product stays the same.
slot: of the pool, the class that fits. view: one more reference on a slot in use, as when a stored value is sent.
chain: a Chain with a view on each of the slots that the size takes. glibc, jemalloc: malloc() and free(), the latter
with Debian's libjemalloc2 loaded before all else; it is unpacked below build/, not installed. The first bytes of each
object are written.

Each column is a process of its own, and they take turns at every row; a row is run once before it counts. Times are CPU
time of the thread, page faults included: glibc, jemalloc and the pool all give memory back to the system, and get it
again.

Then all cores at once, 2 KiB in a thousand objects. A core of ours has a pool of its own and shares nothing: as many
processes. malloc is shared by the threads of one process: as many threads.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import click

from bench.bed import count_instructions
from bench.clients import Meter
from bench.debian import NotFetched, fetched
from bench.threadtest import Threadtest
from netapp.ebb.core import BUFFER_POOL, EbbNamespace
from netapp.iobuf.pool import BufferPool

SIZES = (128, 512, 2048, 4096, 16384)
OBJECTS = (100, 1000, 10_000, 100_000)
UNIT = 4096
MOST_BYTES = 64 << 20  # of the objects of a row
POOL_BYTES = 128 << 20
SCALING = (2048, 1000)
COUNTED_PAIRS = 20_000
ROW = ("size", "objects", "iterations")
COLUMNS = ("slot", "view", "chain", "glibc", "jemalloc")
_MEASURED = "__pyx_f_5bench_10threadtest_10Threadtest_measured"
_LIBRARY = "usr/lib/x86_64-linux-gnu/libjemalloc.so.2"


@dataclass(frozen=True)
class Cell:
    kind: str  # of Threadtest
    size: int
    objects: int
    iterations: int
    threads: int = 1

    @property
    def pairs(self) -> int:
        return self.objects * self.iterations


def rows(pairs: int) -> list[tuple[int, int, int]]:
    """(size, objects, iterations)"""
    return [
        (size, objects, max(1, pairs // objects))
        for size in SIZES
        for objects in OBJECTS
        if size * objects <= MOST_BYTES and objects <= pairs
    ]


def cell(column: str, size: int, objects: int, iterations: int) -> Cell | None:
    if column == "slot" and size > UNIT:
        return None  # none is as large
    return Cell(column if column in ("slot", "view", "chain") else "malloc", size, objects, iterations)


# --- in a process of its own -------------------------------------------------------------------------------------


@contextmanager
def pool() -> Iterator[None]:
    namespace = EbbNamespace()
    namespace.install(BUFFER_POOL, lambda core, ebb_id: BufferPool(POOL_BYTES))
    with namespace.cores[0]:
        yield
        namespace.destroy(BUFFER_POOL)


def spent(one: Cell) -> int:
    """ns: of CPU time; of several threads, until the last has ended."""
    tests = [Threadtest(one.objects) for _ in range(one.threads)]
    tests[0].run(one.kind, one.size, 1)
    if one.threads == 1:
        return tests[0].run(one.kind, one.size, one.iterations)
    threads = [threading.Thread(target=test.run, args=(one.kind, one.size, one.iterations)) for test in tests]
    start = time.monotonic_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic_ns() - start


def serve() -> None:
    """A line on standard input is a cell, a line on standard output the ns that it took. The first says whose malloc
    this process has."""
    with open("/proc/self/maps") as file:
        print("jemalloc" if "libjemalloc" in file.read() else "glibc", flush=True)
    with pool():
        for line in sys.stdin:
            print(spent(Cell(**json.loads(line))), flush=True)


def count(column: str, pairs: int) -> None:
    """Under callgrind: a count for each row."""
    meter = Meter()
    with pool():
        for row in rows(pairs):
            one = cell(column, *row)
            if one is not None:
                spent(one)
                meter.count()


# --- who asks them -----------------------------------------------------------------------------------------------


class Child:
    def __init__(self, preload: str = "") -> None:
        environment = {**os.environ} | ({"LD_PRELOAD": preload} if preload else {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.pool", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if preload else None,  # where the loader complains
            text=True,
            env=environment,
        )
        self.malloc = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise click.ClickException(f"a process of the benchmark ended early, with status {self._process.wait()}")
        return line

    def begin(self, one: Cell) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(one)) + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        return int(self._line())

    def run(self, one: Cell) -> int:
        self.begin(one)
        return self.end()

    def close(self) -> None:
        self._process.kill()  # it keeps nothing
        self._process.communicate()


def jemalloc() -> tuple[str, str]:
    """The library, or why there is none."""
    try:
        library = str(fetched("libjemalloc2", _LIBRARY))
    except NotFetched as error:
        return "", str(error)
    child = Child(library)
    child.close()
    return (library, "") if child.malloc == "jemalloc" else ("", f"{library} cannot be loaded")


def measure(pairs: int, rounds: int, counting: bool, library: str) -> list[dict[str, Any]]:
    columns = [column for column in COLUMNS if library or column != "jemalloc"]
    counts = {column: instructions(column, library) if counting else {} for column in columns}
    found = []
    with ExitStack() as stack:
        children = {column: Child(library if column == "jemalloc" else "") for column in columns}
        for child in children.values():
            stack.callback(child.close)
        for row in rows(pairs):
            times: dict[str, list[float]] = {}
            for _ in range(rounds):
                for column, child in children.items():
                    one = cell(column, *row)
                    if one is not None:
                        times.setdefault(column, []).append(child.run(one) / one.pairs)
            found.append(
                dict(zip(ROW, row))
                | {
                    column: {
                        "ns": statistics.median(times[column]),
                        "range": [min(times[column]), max(times[column])],
                        "instructions": counts[column].get(row[:2]),
                    }
                    if column in times
                    else None
                    for column in COLUMNS
                }
            )
    return found


def instructions(column: str, library: str) -> dict[tuple[int, int], float]:
    """A pair, by (size, objects)."""
    preload = library if column == "jemalloc" else ""
    arguments = ("--counted", column)
    found = count_instructions("-m", "bench.pool", *arguments, measured=_MEASURED, preload=preload)
    if found is None:
        return {}
    cells = [cell(column, *row) for row in rows(COUNTED_PAIRS)]
    counted = zip([one for one in cells if one is not None], found, strict=True)
    # With the run that does not count.
    return {(one.size, one.objects): total / (one.pairs + one.objects) for one, total in counted}


def scaling(pairs: int, rounds: int, library: str) -> list[dict[str, Any]]:
    """Pairs a second in all, by number of cores at work."""
    size, objects = SCALING
    iterations = max(1, pairs // objects)
    found = []
    for cores in sorted({1, len(os.sched_getaffinity(0))}):
        rates: dict[str, list[float]] = {}
        with ExitStack() as stack:
            pools = [Child() for _ in range(cores)]
            mallocs = {"glibc": Child()} | ({"jemalloc": Child(library)} if library else {})
            for child in (*pools, *mallocs.values()):
                stack.callback(child.close)
            for _ in range(rounds):
                start = time.monotonic_ns()
                for child in pools:
                    child.begin(Cell("slot", size, objects, iterations))
                for child in pools:
                    child.end()
                took = time.monotonic_ns() - start
                rates.setdefault("slot", []).append(cores * objects * iterations * 1e9 / took)
                for column, child in mallocs.items():
                    one = Cell("malloc", size, objects, iterations, threads=cores)
                    start = time.monotonic_ns()
                    child.run(one)
                    took = time.monotonic_ns() - start
                    rates.setdefault(column, []).append(cores * one.pairs * 1e9 / took)
        found.append(
            {"cores": cores}
            | {
                column: {"pairs_per_second": statistics.median(rate), "range": [min(rate), max(rate)]}
                for column, rate in rates.items()
            }
        )
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _time(value: dict[str, Any] | None) -> str:
    if value is None:
        return "-"
    least, most = value["range"]
    return f"{_number(value['ns'])} ({_number(least)}-{_number(most)})"


def _count(value: dict[str, Any] | None) -> str:
    return "-" if value is None or value["instructions"] is None else f"{value['instructions']:,.0f}"


def show(report: dict[str, Any]) -> str:
    def line(first: Any, second: Any, third: Any, cells: Iterable[str]) -> str:
        return f"{first:<10}{second:>10}{third:>12}" + "".join(f"{cell:>24}" for cell in cells)

    rows = report["rows"]
    lines = ["a pair: ns", line("bytes", "objects", "iterations", COLUMNS)]
    for row in rows:
        size, objects, iterations = (f"{row[key]:,}" for key in ROW)
        lines.append(line(size, objects, iterations, (_time(row[column]) for column in COLUMNS)))
    counted = [row for row in rows if any(_count(row[column]) != "-" for column in COLUMNS)]
    if counted:
        lines += ["", "a pair: instructions", line("bytes", "objects", "", COLUMNS)]
    for row in counted:
        cells = (_count(row[column]) for column in COLUMNS)
        lines.append(line(f"{row['size']:,}", f"{row['objects']:,}", "", cells))
    lines += ["", f"million pairs a second in all, {SCALING[0]:,} bytes, {SCALING[1]:,} objects"]
    lines.append(line("cores", "", "", (column for column in COLUMNS if column in report["scaling"][0])))
    for row in report["scaling"]:
        rates = (_number(row[column]["pairs_per_second"] / 1e6) for column in COLUMNS if column in row)
        lines.append(line(row["cores"], "", "", rates))
    if report["missing"]:
        lines += ["", f"no jemalloc: {report['missing']}"]
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--instructions", "counting", is_flag=True, help="count instructions too (needs valgrind)")
@click.option("--pairs", type=click.IntRange(1), default=200_000, show_default=True, help="objects times iterations")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="rounds of each row")
@click.option("--serve", "serving", is_flag=True, hidden=True, help="run as a process that measures")
@click.option("--counted", hidden=True, help="run as the child of the instruction counter")
def main(as_json: bool, counting: bool, pairs: int, rounds: int, serving: bool, counted: str | None) -> None:
    if serving:
        return serve()
    if counted:
        return count(counted, COUNTED_PAIRS)
    library, missing = jemalloc()
    report = {
        "pairs": pairs,
        "rows": measure(pairs, rounds, counting, library),
        "scaling": scaling(pairs, rounds, library),
        "missing": missing,
    }
    click.echo(json.dumps(report, indent=2) if as_json else show(report))


if __name__ == "__main__":
    main()
