"""A line on a terminal that says how far a run is; nothing anywhere else."""

from __future__ import annotations

import sys
from typing import TextIO

from bench.memaslap.report import Result


class Progress:
    def __init__(self) -> None:
        self.stream: TextIO = sys.stderr
        self.shown = self.stream.isatty()
        self.before: Result | None = None

    def filling(self, objects: int, of: int) -> None:
        self._show(f"filling: {objects:,} of {of:,} objects")

    def running(self, now: Result) -> None:
        before, self.before = self.before, now
        seconds = now.seconds - (before.seconds if before else 0)
        if not self.shown or seconds <= 0:
            return
        total = now.total.since(before.total) if before else now.total
        ops = now.ops - (before.ops if before else 0)
        self._show(
            f"{now.seconds:.0f} s: {ops / seconds:,.0f} ops/s, p50 {total.percentile(0.5) / 1000:,.0f} us, "
            f"p99 {total.percentile(0.99) / 1000:,.0f} us, {now.counters['errors']} errors"
        )

    def clear(self) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def _show(self, line: str) -> None:
        if self.shown:
            self.stream.write(f"\r{line}\x1b[K")
            self.stream.flush()
