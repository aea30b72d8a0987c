"""Tables of figures, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.compare.servers import SERVERS
from bench.compare.spread import Row, Spread


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]], text: int = 1) -> str:
    """So many columns are text, the others are figures."""
    ruler = [*["---"] * text, *["---:"] * (len(head) - text)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ruler, *lines))


def aligned(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    table = [list(head), *[list(line) for line in lines]]
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in table
    )


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if value == 0:
        return "0"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def shown(found: Spread | None, factor: float = 1.0) -> str:
    """Median and range."""
    if found is None:
        return "-"
    found = found.times(factor)
    return f"{number(found.median)} ({number(found.least)}–{number(found.most)})"


def title(server: str) -> str:
    return SERVERS[server].title if server in SERVERS else server


LOADS_HEAD = (
    "",
    "CPU µs/request",
    "process µs",
    "requests/s",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "CPU ratio",
    "throughput ratio",
)


def loads_line(row: Row) -> list[str]:
    return [
        title(row["server"]),
        shown(row["cpu_us"]),
        shown(row["process_us"]),
        shown(row["requests_per_second"]),
        shown(row["p50_us"]),
        shown(row["p99_us"]),
        shown(row["p99_9_us"]),
        shown(row["cpu_ratio"]),
        shown(row["throughput_ratio"]),
    ]


def sweep(rows: Sequence[Row], figure: str, points: Sequence[Any], factor: float = 1.0) -> list[list[str]]:
    """A line a server, a column a point: medians."""
    servers = list(dict.fromkeys(row["server"] for row in rows))
    found = {(row["server"], row["point"]): row[figure] for row in rows}
    lines = []
    for server in servers:
        cells = [found.get((server, point)) for point in points]
        lines.append([title(server), *["-" if cell is None else number(cell.median * factor) for cell in cells]])
    return lines
