"""Rows in which each two values of any two factors meet at least once."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any


def pairwise(factors: dict[str, tuple[Any, ...]], seed: int = 1, tries: int = 30) -> list[dict[str, Any]]:
    """Greedy: each row is the best of some that begin with a pair which is still missing."""
    chance = random.Random(seed)
    names = list(factors)
    missing = {
        (a, i, b, j) for a, b in combinations(names, 2) for i in range(len(factors[a])) for j in range(len(factors[b]))
    }
    rows = []

    def covers(row: dict[str, int]) -> set[tuple[str, int, str, int]]:
        return {(a, row[a], b, row[b]) for a, b in combinations(names, 2)} & missing

    while missing:
        a, i, b, j = min(missing)
        candidates = []
        for _ in range(tries):
            row = {name: chance.randrange(len(factors[name])) for name in names}
            row[a], row[b] = i, j
            candidates.append(row)
        best = max(candidates, key=lambda row: len(covers(row)))
        missing -= covers(best)
        rows.append({name: factors[name][best[name]] for name in names})
    return rows
