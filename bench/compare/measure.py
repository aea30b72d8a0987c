"""One measurement: a load on a server, what its clients saw, and what it cost the server's core meanwhile."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import click

from bench.compare.accounting import background, moment, usage
from bench.compare.load import CONFIGURATION, PATIENCE, Load, generator
from bench.compare.namespaces import Namespace, namespaces
from bench.compare.servers import SERVERS, NotStarted, Running, started

WARM_UP = 0.3  # s
MARGIN = 0.05  # s at the end of a load that the server's side is not looked at
ATTEMPTS = 3
PERCENTILES = ("p50_us", "p99_us", "p99_9_us")
Row = dict[str, Any]


def cores() -> tuple[int, int]:
    """The server's and the generator's: the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


class Testbed:
    """The namespaces and the servers in them, which are stopped but for the one that is loaded."""

    def __init__(self, stack: ExitStack, options: Sequence[str], breakdown: bool) -> None:
        """`options`: memcached's, of every server."""
        self.cores = cores()
        self.running: dict[str, Running] = {}
        self.absent: dict[str, str] = {}  # and why
        self._stack = stack
        self._options = options
        self._breakdown = breakdown
        self._namespaces: tuple[Namespace, Namespace] = stack.enter_context(namespaces())
        file = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="compare-", suffix=".cnf"))
        file.write(CONFIGURATION)
        file.flush()
        self._configuration = file.name

    def start(self, name: str) -> bool:
        """False: it does not run here, as `absent` says."""
        server = SERVERS[name]
        try:
            self.running[name] = self._stack.enter_context(
                started(server, self._namespaces, self.cores[0], self._options, self._breakdown)
            )
        except NotStarted as error:
            self.absent[name] = str(error)
            return False
        self.running[name].pause()
        return True

    def background(self) -> float:
        return background(self.cores[0])

    def measure(self, name: str, load: Load, seconds: float) -> Row:
        """Tries thrice: on a busy machine this process may come too late to look. Raises click.ClickException."""
        self.running[name].resume()
        try:
            for _ in range(ATTEMPTS - 1):
                try:
                    return self._measure(name, load, seconds)
                except click.ClickException:
                    continue
            return self._measure(name, load, seconds)
        finally:
            self.running[name].pause()

    def _measure(self, name: str, load: Load, seconds: float) -> Row:
        running = self.running[name]
        before_it = running.gets()
        where = self._namespaces[1], self.cores[1], self._configuration
        with generator(running.server, load, *where, seconds, WARM_UP) as made:
            # It stores the keys first, and then begins to get. It does not end before `end`.
            patience = time.monotonic() + PATIENCE
            while True:
                end = time.monotonic() + WARM_UP + seconds - MARGIN
                if running.gets() != before_it or made.ended or time.monotonic() > patience:
                    break
                time.sleep(0.01)
            time.sleep(WARM_UP)
            if self._breakdown:
                running.breakdown()
            before = self._moment(running)
            time.sleep(max(end - time.monotonic(), 0))
            after = self._moment(running)
            where_it_went = running.breakdown() if self._breakdown else None
            seen = made.result(seconds)
        used = usage(before, after)
        if used.seconds < seconds / 2 or used.requests <= 0:
            raise click.ClickException(f"{running.server.title}: this process came too late to look at the load")
        if seen["errors"] or seen["verify_failed"]:
            wrong = f"{seen['errors']} errors, {seen['verify_failed']} wrong values"
            raise click.ClickException(f"{running.server.title}: {wrong}")
        return {
            "server": name,
            "connections": load.connections,
            "value": load.value,
            "rate": load.rate,
            "seconds": seen["seconds"],
            "requests_per_second": seen["tps"],
            "bytes_per_second": (seen["read_bytes"] + seen["written_bytes"]) / seen["seconds"],
            **{percentile: seen["total"][percentile] for percentile in PERCENTILES},
            "late": seen["late"],
            "misses": seen["get_misses"],
            "cpu_us": used.cpu_us,
            "process_us": used.process_us,
            "non_idle": used.non_idle / used.seconds,
            "generator_non_idle": used.generator_non_idle / used.seconds,
            "stolen": used.stolen / used.seconds,
            "server_requests_per_second": used.requests / used.seconds,
            **({"breakdown": where_it_went} if self._breakdown else {}),
        }

    def _moment(self, running: Running) -> Any:
        requests = running.requests()
        return moment(running.process.pid, self.cores, requests)


@contextmanager
def testbed(options: Sequence[str] = (), breakdown: bool = False) -> Iterator[Testbed]:
    """`breakdown`: our servers measure where their time goes. This process keeps away from the server's core."""
    before = os.sched_getaffinity(0)
    with ExitStack() as stack:
        made = Testbed(stack, options, breakdown)
        stack.callback(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(0, {made.cores[1]})
        yield made
