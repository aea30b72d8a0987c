"""Interrupts, polls and switches between the two, of a boot image and of hosted mode, against load.

    sudo .venv/bin/python -m bench.boot.interrupts

An image of memcached counts what it takes while nothing is asked of it, while requests come at shares of the rate of 64
connections that ask for one thing after the other, at that rate, and while there is always work left. It is asked for
its counters on its console, whose own interrupts are counted apart. QEMU emulates in software (TCG). A minute;
bench/RESULTS.md is written with the chart.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import click

from bench.boot.__main__ import CACHE, MEMORY, built, qemu_version
from bench.boot.chart import HOSTED, STORED, findings, table
from bench.boot.guests import ours
from bench.boot.hosted import Hosted, hosted
from bench.boot.measure import GUEST, Laboratory, checked, laboratory
from bench.boot.qemu import MACHINES, Booted
from bench.compare.__main__ import FOLDER, stored
from bench.compare.accounting import background
from bench.compare.load import CONNECTIONS, PATIENCE, Load
from bench.compare.machine import machine as where
from bench.compare.measure import MARGIN, WARM_UP
from bench.compare.namespaces import Namespace
from bench.compare.results import NAME, write_results
from bench.compare.servers import Running
from bench.compare.spread import Row
from bench.compare.stored import write_stored

SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9)  # of the rate at saturation
SATURATION = Load(CONNECTIONS)
# So many connections with some requests each: more than is done before whoever asks has read the answers, even if other
# work keeps him from it for a tenth of a second.
BACKLOG = 512
_REQUEST, _REPLY = b"mn\r\n", b"MN\r\n"
_AT_ONCE = 16  # requests; memcached takes 20 of a connection before it looks at others
_AT_ONCE_HOSTED = 360  # a segment full: it is faster than those who ask
SETTLE = 1.0  # s without a frame, after which nothing of the start goes on
SETTLED = 10  # times that this is waited for
IDLE = 3.0  # s, in which some timers are due
_STATUS = re.compile(
    r"at (?P<seconds>[\d.]+) s, busy for (?P<busy>[\d.]+):"
    r" interrupts (?P<devices>\d+) of devices(?:, (?P<timers>\d+) of timers, (?P<console>\d+) of the console)?;"
    r" polls (?P<polls>\d+), (?P<polls_empty>\d+) empty; switches (?P<switches>\d+);"
    r" timers (?P<fired>\d+); frames (?P<frames_in>\d+) in, (?P<frames_out>\d+) out"
)
_Any = Booted | Hosted


@click.command(help=__doc__)
@click.option("--image", type=click.Path(path_type=Path, exists=True), help="the image; without it, one is built")
@click.option(
    "--machine", "machines", multiple=True, type=click.Choice([*MACHINES, HOSTED]), help="several times: these"
)
@click.option("--seconds", type=click.FloatRange(0.2), default=1.5, show_default=True, help="of each load")
@click.option("--quick", is_flag=True, help="idle and full load only; nothing is written")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="for RESULTS.md and results/")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def main(
    image: Path | None, machines: tuple[str, ...], seconds: float, quick: bool, folder: Path, as_json: bool
) -> None:
    machines = machines or ("microvm", "q35", HOSTED)
    shares = () if quick else SHARES
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary, laboratory() as bed:
        taken = background(bed.cores[0])
        own = image or (built(Path(temporary, "memcached.elf")) if set(machines) != {HOSTED} else Path())
        for machine in machines:
            with _started(bed, machine, own) as (one, namespace):
                rows += [{"machine": machine, **row} for row in measured(bed, one, namespace, shares, seconds)]
    found: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": where() | {"QEMU": qemu_version()},
        "seconds": seconds,
        "background": taken,
        "rows": rows,
    }
    if not quick:
        write_stored(folder / STORED, found)
        write_results(folder, stored(folder)["parts"])
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for machine in machines:
        click.echo(f"{machine}\n{table(found, machine, for_terminal=True)}\n")
    click.echo("\n".join(findings(found)))
    if not quick:
        click.echo(f"written: {folder / NAME}")


@contextmanager
def _started(bed: Laboratory, machine: str, image: Path) -> Iterator[tuple[_Any, Namespace]]:
    if machine == HOSTED:
        with hosted(bed.cores[0]) as process:
            yield process, process.where
    else:
        with bed.boot(machine, ours(image, CACHE), MEMORY) as guest:
            yield guest, bed.where


def measured(bed: Laboratory, one: _Any, namespace: Namespace, shares: Sequence[float], seconds: float) -> list[Row]:
    """A row a load, from none to more than it can do."""
    before = status(one.status())
    for _ in range(SETTLED):
        time.sleep(SETTLE)
        last, before = before, status(one.status())
        if before["frames_in"] == last["frames_in"]:
            break
    time.sleep(IDLE)
    idle = {"load": "idle", "requests_per_second": 0.0, **since(before, status(one.status()))}
    with namespace, socket.create_connection((GUEST.address, GUEST.port), timeout=PATIENCE) as control:
        running = Running(GUEST, one.process, control, -1)

        def at(name: str, load: Load) -> Row:
            return {"load": name, **_under(bed, one, running, namespace, load, seconds)}

        rows = [idle]
        if shares:
            saturation = at("saturation", SATURATION)
            rate = saturation["requests_per_second"]
            rows += [*(at(f"{share:.0%}", Load(rate=share * rate)) for share in shares), saturation]
    return [*rows, {"load": "full", **_full(one, namespace, bed.cores[1], seconds)}]


def _under(
    bed: Laboratory, one: _Any, running: Running, namespace: Namespace, load: Load, seconds: float
) -> dict[str, float]:
    """What is counted within the time for which the generator measures."""
    before_it = running.gets()
    with bed.loading(namespace, load, seconds) as made:
        # It stores the keys first, and then begins to get. It does not end before `end`.
        patience = time.monotonic() + PATIENCE
        while True:
            end = time.monotonic() + WARM_UP + seconds - MARGIN
            if running.gets() != before_it or made.ended or time.monotonic() > patience:
                break
            time.sleep(0.01)
        time.sleep(WARM_UP)
        before = status(one.status())
        time.sleep(max(end - time.monotonic(), 0))
        after = status(one.status())
        seen = checked(made.result(seconds))
    counted = since(before, after)
    if counted["seconds"] < seconds / 2:
        raise click.ClickException("this process came too late to look at the load")
    return {"requests_per_second": seen["tps"], **counted}


def _full(one: _Any, namespace: Namespace, core: int, seconds: float) -> dict[str, float]:
    """While there is always work left."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with ExitStack() as stack, selectors.DefaultSelector() as selector:
            stack.enter_context(namespace)
            segment = _REQUEST * (_AT_ONCE_HOSTED if isinstance(one, Hosted) else _AT_ONCE)
            for _ in range(BACKLOG):
                client = stack.enter_context(socket.create_connection((GUEST.address, GUEST.port), timeout=PATIENCE))
                client.sendall(segment)
                selector.register(client, selectors.EVENT_READ, [0])
            _ask_on(selector, segment, WARM_UP)
            before = status(one.status())
            asked = _ask_on(selector, segment, seconds)
            counted = since(before, status(one.status()))
    finally:
        os.sched_setaffinity(0, usable)
    return {"requests_per_second": asked / counted["seconds"], **counted}


def _ask_on(selector: selectors.BaseSelector, segment: bytes, seconds: float) -> int:
    """How many were answered. Each connection asks again when all of its requests were."""
    answered = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(PATIENCE):
            client, (had,) = cast(socket.socket, key.fileobj), key.data
            came = client.recv(1 << 16)
            if not came:
                raise click.ClickException("it closed a connection")
            answered += len(came)
            key.data[0] = (had + len(came)) % (len(segment) // len(_REQUEST) * len(_REPLY))
            if key.data[0] == 0:
                client.sendall(segment)
    return answered // len(_REPLY)


def status(line: str) -> dict[str, float]:
    """What is in the line that an image or `netapp run` says of itself."""
    found = _STATUS.search(line)
    if not found:
        raise click.ClickException(f"it was asked for its counters and said: {line}")
    return {name: float(value) for name, value in found.groupdict().items() if value is not None}


def since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - value for name, value in before.items()}


if __name__ == "__main__":
    main()
