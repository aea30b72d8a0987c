"""A load: what the generator is asked to send, and what it says when it is done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from bench.compare.namespaces import Namespace
from bench.compare.servers import Server, pinned

KEY_BYTES = 64
LEAST_VALUE, MOST_VALUE = 100, 1024
GETS_OF_TEN = 9
CONNECTIONS = 64
# Keys of all connections together; fewer where values are large, so that storing them first takes no longer.
KEYS = 10_000
STORED = 32 << 20  # bytes
PATIENCE = 60.0  # s beyond what the load should take

# memaslap's configuration file. Commands: 0 sets, 1 gets.
CONFIGURATION = f"""\
key
{KEY_BYTES} {KEY_BYTES} 1
value
{LEAST_VALUE} {MOST_VALUE} 1
cmd
0 {(10 - GETS_OF_TEN) / 10}
1 {GETS_OF_TEN / 10}
"""


@dataclass(frozen=True)
class Load:
    connections: int = CONNECTIONS
    value: int | None = None  # bytes; None: of the sizes above
    rate: float | None = None  # requests a second, whether answered or not; None: the next when one is answered

    def arguments(self) -> list[str]:
        keys = min(KEYS, STORED // (self.value or MOST_VALUE))
        # Sets replace what is there (-o 1): the cache stays as full as it was.
        found = ["-T", "1", "-c", str(self.connections), "-w", str(max(1, keys // self.connections)), "-o", "1"]
        if self.value is not None:
            found += ["-X", str(self.value)]
        if self.rate is not None:
            found += ["--rate", str(max(1, round(self.rate)))]
        return found


class Generator:
    """A running one. `result()` waits for its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def result(self, seconds: float) -> dict[str, Any]:
        try:
            output, said = self.process.communicate(timeout=seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            raise click.ClickException(f"the load has not ended {PATIENCE:.0f} s after its time") from None
        if self.process.returncode:
            lines = said.strip().splitlines()
            raise click.ClickException(f"the generator failed: {lines[-1] if lines else self.process.returncode}")
        found: dict[str, Any] = json.loads(output)
        return found


@contextmanager
def generator(
    server: Server, load: Load, clients: Namespace, core: int, configuration: str, seconds: float, warm_up: float
) -> Iterator[Generator]:
    """`configuration`: the file's name."""
    where = ["-s", f"{server.address}:{server.port}", "-F", configuration]
    duration = ["-t", f"{seconds:g}s", "--warm-up", f"{warm_up:g}s", "--json"]
    command = [sys.executable, "-m", "bench.memaslap", *where, *load.arguments(), *duration]
    with clients:
        process = subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    try:
        yield Generator(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
