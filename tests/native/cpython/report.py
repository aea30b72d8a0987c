"""Counts of a comparison, as text and as the table of README.md."""

from __future__ import annotations

from collections import Counter

from tests.native.cpython.comparison import NEEDS, UNKNOWN, Comparison

_ABREAST = 3  # modules in a row of the table


def text(found: Comparison) -> str:
    counts = found.counts()
    rows = [(module, counts[module]) for module in sorted(counts)]
    rows.append((f"{len(rows)} modules", sum(counts.values(), Counter())))
    head = f"{'module':48} compared   same differ      ok skipped failed  left out, for they need"
    return "\n".join([head, *(_row(*row) for row in rows)])


def markdown(found: Comparison) -> str:
    counts = found.counts()
    names = sorted(counts)
    deep = -(-len(names) // _ABREAST)
    lines = ["| module | compared | left out " * _ABREAST + "|", "|---|---:|---" * _ABREAST + "|"]
    for place in range(deep):
        cells = [f"| {name} | {counts[name]['compared']} | {_left_out(counts[name])} " for name in names[place::deep]]
        lines.append("".join(cells) + "|")
    return "\n".join(lines)


def _row(title: str, counts: Counter[str]) -> str:
    failed = counts["fail"] + counts["error"] + counts["end"]
    return (
        f"{title:48} {counts['compared']:8} {counts['same']:6} {counts['differ']:6}"
        f"  {counts['ok']:6} {counts['skip']:7} {failed:6}  {_left_out(counts)}"
    ).rstrip()


def _left_out(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {counts[what]}" for what in (*NEEDS, UNKNOWN) if counts[what])
