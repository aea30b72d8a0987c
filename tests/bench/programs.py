"""The generator's command and Debian's memcaslap, as a user starts them, and what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace

from bench.debian import environment, fetched

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SCREEN = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def counters(self) -> dict[str, int]:
        """Lines `name: number`."""
        return {name: int(value) for name, value in re.findall(r"^(\w+): (\d+)$", self.out, re.MULTILINE)}

    @property
    def last(self) -> tuple[float, int, float, float]:
        """Run time, Ops, TPS, Net_rate."""
        found = re.search(r"^Run time: (\S+)s Ops: (\d+) TPS: (\S+) Net_rate: (\S+)M/s$", self.out, re.MULTILINE)
        assert found, self.out + self.err
        return float(found[1]), int(found[2]), float(found[3]), float(found[4])

    @property
    def form(self) -> list[str]:
        """Its lines with each number as #, those of a distribution as one; without empty ones."""
        lines: list[str] = []
        for line in _SCREEN.sub("", self.out).splitlines():
            shape = " ".join(_NUMBER.sub("#", line).split())
            shape = re.sub(r"^#:( #)+$", "#: …", shape)
            if shape and (shape != "#: …" or lines[-1] != shape):
                lines.append(shape)
        return lines

    @property
    def without_times(self) -> Said:
        """As memcaslap without -S, which measures none."""
        return replace(self, out=re.sub(r"(?ms)^(Get|Set|Total) Statistics \(.*?\n\n", "", self.out))


def memaslap(*arguments: object) -> Said:
    return _run([sys.executable, "-m", "bench.memaslap"], arguments, None)


def memcaslap(*arguments: object) -> Said:
    """Debian's, which prints its help after some errors."""
    return _run([str(fetched("libmemcached-tools", "usr/bin/memcaslap"))], arguments, environment())


def _run(command: list[str], arguments: tuple[object, ...], env: dict[str, str] | None) -> Said:
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=30, env=env)
    return Said(done.returncode, done.stdout, done.stderr)
