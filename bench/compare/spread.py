"""Medians and ranges over rounds, of figures and of ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

Row = dict[str, Any]
Case = TypeVar("Case")


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    def times(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.least * factor, self.most * factor)


def spread(values: Iterable[float]) -> Spread | None:
    """None: there are none."""
    found = list(values)
    return Spread(statistics.median(found), min(found), max(found)) if found else None


def ratio(over: Sequence[Row], under: Sequence[Row], name: str) -> Spread | None:
    """Of a figure, round by round: what happened to the machine in a round, happened to both. Rounds of one of them
    only are left out."""
    by_round = {row["round"]: row[name] for row in under}
    return spread(row[name] / by_round[row["round"]] for row in over if by_round.get(row["round"]))


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """In the order of their first row."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def rounds(cases: Sequence[Case], count: int, seed: int, limit: float | None = None) -> Iterator[tuple[int, Case]]:
    """Every case once a round, each round in an order of its own: what drifts, or follows on something else, is spread
    over all of them. `limit`: seconds; a round that would end later, as the longest one so far took, does not begin."""
    random = Random(seed)
    began = time.monotonic()
    longest = 0.0
    for number in range(count):
        started = time.monotonic()
        if number and limit is not None and started + longest > began + limit:
            return
        order = list(cases)
        random.shuffle(order)
        for case in order:
            yield number, case
        longest = max(longest, time.monotonic() - started)
