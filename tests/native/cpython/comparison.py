"""What the bare machine did with CPython's tests, beside what Linux did with the same file."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.native.cpython.differences import reason
from tests.native.cpython.kept import Kept
from tests.native.cpython.modules import LONG
from tests.native.cpython.runs import Command, Outcome, Outcomes, bare, hosted, limited, run

_TOGETHER = 10  # modules
_NOTHING = Outcome("none", "it is not run")
_WAYS = ("hosted", "limited", "bare")
NEEDS = {  # what is said where Linux has not what a test needs, after the test's name; limits.py has the errors
    "files": r"\[Errno (2|24|30)\]|No such file|functional symlink|os\.chmod|TZ database|'handler' where it is not"
    r"|False is not true : /usr/|test_doctest\.test_lineendings|ntpath\.relpath",
    "threads": "can't start new thread|cannot join thread before",
    "processes": r"\[Errno 38\]|requires (ifconfig|ip)$",
    "sockets": r"\[Errno 97\]|IPv6 support|Name or service not known|unix bind",
    "what such a one did not undo": r"Unexpected handlers|test_logging\.LoggerAdapterTest\.test_has_handlers"
    r"|test_decimal\.PyContext(APItests\.test_none_args|Subclassing\.test_context_subclassing)",
}
UNKNOWN = "something else"


@dataclass
class Comparison:
    """A test needs files, threads, processes or sockets if Linux without them does otherwise with it. The others are
    compared. Those that need them have to end on the bare machine as on such a Linux, too."""

    modules: Sequence[str]  # that came to their end in all three ways
    hosted: Outcomes = field(default_factory=dict)
    limited: Outcomes = field(default_factory=dict)
    bare: Outcomes = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return sorted({*self.hosted, *self.limited, *self.bare})

    def needs(self, name: str) -> str:
        """An empty one: nothing that the bare machine has not."""
        (kind, why), refused = self.of(self.hosted, name), self.of(self.limited, name)
        # A file that the image has not: of a test's data, or the interpreter, to be run as another process.
        if reason(name) or (kind == refused.kind and not why.startswith("FileNotFoundError")):
            return ""
        return next((what for what, said in NEEDS.items() if re.search(said, f"{name}: {refused.why}")), UNKNOWN)

    @staticmethod
    def of(outcomes: Outcomes, name: str) -> Outcome:
        return outcomes.get(name, _NOTHING)

    def compared(self) -> list[str]:
        return [name for name in self.names if not self.needs(name)]

    def different(self) -> list[str]:
        return [name for name in self.names if self.differs(name)]

    def differs(self, name: str) -> bool:
        return self.of(self.limited, name) != self.of(self.bare, name)

    def line(self, name: str) -> str:
        here, there = self.of(self.limited, name), self.of(self.bare, name)
        return f"{name}: {here.kind} ({here.why}) on Linux, {there.kind} ({there.why}) on the bare machine"

    def counts(self) -> dict[str, Counter[str]]:
        """By module."""
        counts: dict[str, Counter[str]] = {module: Counter() for module in self.modules}
        for name in self.names:
            module = max((one for one in counts if name == one or name.startswith((one + ".", one + ","))), key=len)
            needs = self.needs(name)
            differ = self.differs(name)
            counts[module].update(["differ"] * differ)
            if needs:
                counts[module][needs] += 1
            else:
                counts[module].update(["compared", self.of(self.limited, name).kind, *["same"] * (not differ)])
        return counts


def _groups(modules: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The same few modules share a process, wherever it is, and long ones none."""
    others = [module for module in modules if module not in LONG]
    yield from (tuple(others[place : place + _TOGETHER]) for place in range(0, len(others), _TOGETHER))
    yield from ((module,) for module in LONG if module in modules)


def compare(
    image: Path,
    modules: Sequence[str],
    kept: Kept | None = None,
    seconds: float = inf,
    progress: Callable[[str], object] = lambda text: None,
) -> Comparison:
    """On all processors. When the seconds are over, nothing else is begun."""
    began = time.monotonic()
    groups = list(_groups(modules))
    jobs = iter([(way, group) for way in _WAYS for group in groups])
    found: dict[str, dict[tuple[str, ...], Outcomes]] = {way: {} for way in _WAYS}

    def work(processor: int) -> None:
        commands: dict[str, Command] = {
            "hosted": hosted(image),
            "limited": limited(image),
            "bare": bare(image, processor),
        }
        for way, group in jobs:
            outcomes = kept.find(way, group) if kept else None
            if outcomes is None:
                start = time.monotonic()
                if start - began > seconds:
                    return
                outcomes = run(commands[way], group, folder if way == "hosted" else "/")
                progress(f"{way}: {' '.join(group)}: {len(outcomes)} tests in {time.monotonic() - start:.0f} s")
                if kept:
                    kept.keep(way, group, outcomes)
            found[way][group] = outcomes

    processors = sorted(sched_getaffinity(0))
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,  # where Linux has them write
        ThreadPoolExecutor(len(processors)) as pool,
    ):
        for worker in [pool.submit(work, processor) for processor in processors]:
            worker.result()
    done = [group for group in groups if all(group in found[way] for way in _WAYS)]
    comparison = Comparison([module for group in done for module in group])
    for group in done:
        comparison.hosted |= found["hosted"][group]
        comparison.limited |= found["limited"][group]
        comparison.bare |= found["bare"][group]
    return comparison
