"""Whether the clock is good enough to measure with."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOKS = 2000
COARSE = 20_000  # ns: a tenth of what a request takes on a loopback
USELESS = 1_000_000


def resolution(now: Callable[[], int] = time.monotonic_ns) -> int:
    """ns of the clock's steps: the least difference that it shows between looks; looks for at most some 50 steps."""
    steps: list[int] = []
    before = now()
    for _ in range(LOOKS * 500):
        after = now()
        if after != before:
            steps.append(after - before)
            before = after
            if len(steps) >= (LOOKS if after - before < COARSE and steps[-1] < COARSE else 50):
                break
    return min(steps, default=USELESS * 1000)
