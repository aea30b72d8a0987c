"""What the bare machine did with CPython's tests, beside what Linux did with the same file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import sched_getaffinity
from pathlib import Path

from tests.native.cpython.runs import Command, Outcome, Outcomes, bare, hosted, limited, run

_TOGETHER = 10  # modules
_NOTHING = Outcome("none", "it is not run")


@dataclass
class Comparison:
    """A test needs files, threads, processes or sockets if Linux without them does otherwise with it. The others are
    compared."""

    hosted: Outcomes = field(default_factory=dict)
    limited: Outcomes = field(default_factory=dict)
    bare: Outcomes = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return sorted({*self.hosted, *self.limited, *self.bare})

    def needs_more(self, name: str) -> bool:
        kind, why = self.of(self.hosted, name)
        # A file that the image has not: of a test's data, or the interpreter, to be run as another process.
        return kind != self.of(self.limited, name).kind or why.startswith("FileNotFoundError")

    def differs(self, name: str) -> bool:
        return self.of(self.limited, name).kind != self.of(self.bare, name).kind

    @staticmethod
    def of(outcomes: Outcomes, name: str) -> Outcome:
        return outcomes.get(name, _NOTHING)

    def compared(self) -> list[str]:
        return [name for name in self.names if not self.needs_more(name)]

    def different(self) -> list[str]:
        return [name for name in self.compared() if self.differs(name)]

    def line(self, name: str) -> str:
        here, there = self.of(self.limited, name), self.of(self.bare, name)
        return f"{name}: {here.kind} ({here.why}) on Linux, {there.kind} ({there.why}) on the bare machine"

    def report(self, modules: Sequence[str]) -> str:
        lines = [
            f"{'module':48} {'compared':>8} {'same':>6} {'differ':>6}  of those: ok, skipped, failed; not compared"
        ]
        totals: Counter[str] = Counter()
        for module in modules:
            counts = self._counts([name for name in self.names if name == module or name.startswith(module + ".")])
            totals += counts
            lines.append(self._row(module, counts))
        lines.append(self._row(f"{len(modules)} modules", totals))
        return "\n".join(lines)

    def _counts(self, names: Sequence[str]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for name in names:
            if self.needs_more(name):
                counts["needs more"] += 1
                continue
            counts["compared"] += 1
            counts["differ" if self.differs(name) else "same"] += 1
            counts[self.of(self.limited, name).kind] += 1
        return counts

    @staticmethod
    def _row(title: str, counts: Counter[str]) -> str:
        failed = counts["fail"] + counts["error"] + counts["end"]
        return (
            f"{title:48} {counts['compared']:8} {counts['same']:6} {counts['differ']:6}"
            f"  {counts['ok']:5} {counts['skip']:4} {failed:4} {counts['needs more']:5}"
        )


def compare(image: Path, modules: Sequence[str]) -> Comparison:
    """On all processors. The same few modules share a process, wherever it is."""
    groups = [modules[place : place + _TOGETHER] for place in range(0, len(modules), _TOGETHER)]
    processors = sorted(sched_getaffinity(0))
    found = Comparison()
    with ThreadPoolExecutor(len(processors)) as pool:
        bares = [
            pool.submit(_outcomes, bare(image, processor), groups[place :: len(processors)])
            for place, processor in enumerate(processors)
        ]
        others = [pool.submit(_outcomes, command(image), groups) for command in (hosted, limited)]
        for part in bares:
            found.bare |= part.result()
        found.hosted, found.limited = (other.result() for other in others)
    return found


def _outcomes(command: Command, groups: Sequence[Sequence[str]]) -> Outcomes:
    found: Outcomes = {}
    for group in groups:
        found |= run(command, group)
    return found
