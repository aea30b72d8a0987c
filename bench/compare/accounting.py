"""CPU time of a core and of a process, between two moments.

A core's non-idle time is all that it was not idle: programs, system calls, interrupts, softirqs and kernel threads,
whoever they worked for, and spinning. /proc/stat has it as the complement only: with tick-based accounting
(CONFIG_TICK_CPU_ACCOUNTING) its user, system and softirq are samples, 250 a second, which a load in step with the timer
falsifies, while idle and iowait are measured at each entry and exit, interrupts within them excluded, wherever the tick
stops on idle (CONFIG_NO_HZ_IDLE, as in every distribution's kernel). So it is elapsed time less idle and iowait, which
are shown in units of 10 ms: half a percent of two seconds at the most. What a hypervisor took is within it, and told
beside it. It cannot be taken out, for some of it, from an interrupt on until the core ran again, was counted as idle.

A process's own time is the scheduler's, in ns, of all its threads. It lacks what interrupts do, but for those that came
while it ran.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_UNITS = os.sysconf("SC_CLK_TCK")  # a second
_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # of a line of /proc/stat, behind its name


@dataclass(frozen=True)
class CoreTime:
    """Since the machine began, in seconds."""

    idle: float  # iowait included
    stolen: float


@dataclass(frozen=True)
class Moment:
    at: float  # s, CLOCK_MONOTONIC
    server_core: CoreTime
    generator_core: CoreTime
    process: float  # s of the server's process
    requests: int  # that the server counted


@dataclass(frozen=True)
class Usage:
    """Between two moments."""

    seconds: float
    non_idle: float  # s of the server's core
    generator_non_idle: float  # s of the generator's core
    stolen: float  # s of the server's core
    process: float
    requests: int

    @property
    def cpu_us(self) -> float:
        """The server's core, a request."""
        return self.non_idle / self.requests * 1e6

    @property
    def process_us(self) -> float:
        return self.process / self.requests * 1e6


def core_time(stat: str, core: int) -> CoreTime:
    """Out of the text of /proc/stat."""
    for line in stat.splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            idle, iowait, steal = (int(fields[place]) for place in (_IDLE, _IOWAIT, _STEAL))
            return CoreTime((idle + iowait) / _UNITS, steal / _UNITS)
    raise ValueError(f"/proc/stat has no core {core}")


def process_time(process: int) -> float:
    """Seconds of CPU that a process and its threads have had: its clock, see clock_getcpuclockid(3)."""
    return time.clock_gettime(~process << 3 | 2)


def moment(process: int, cores: tuple[int, int], requests: int) -> Moment:
    """Now. `cores`: the server's and the generator's."""
    stat = Path("/proc/stat").read_text()
    at = time.monotonic()
    return Moment(at, core_time(stat, cores[0]), core_time(stat, cores[1]), process_time(process), requests)


def usage(before: Moment, after: Moment) -> Usage:
    seconds = after.at - before.at

    def non_idle(first: CoreTime, last: CoreTime) -> float:
        return min(max(seconds - (last.idle - first.idle), 0.0), seconds)

    return Usage(
        seconds,
        non_idle(before.server_core, after.server_core),
        non_idle(before.generator_core, after.generator_core),
        after.server_core.stolen - before.server_core.stolen,
        after.process - before.process,
        after.requests - before.requests,
    )


def background(core: int, seconds: float = 1.0) -> float:
    """The part of a core's time that goes to others, while nobody is asked for anything."""
    first, began = core_time(Path("/proc/stat").read_text(), core), time.monotonic()
    time.sleep(seconds)
    last, elapsed = core_time(Path("/proc/stat").read_text(), core), time.monotonic() - began
    return min(max(1 - (last.idle - first.idle) / elapsed, 0.0), 1.0)
