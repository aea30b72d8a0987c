"""What is measured of guests: boots in shuffled rounds, then what does not vary, or takes long, once."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import click

from bench.boot.guests import Guest
from bench.boot.hosted import hosted
from bench.boot.qemu import PORT, Booted, NotBooted, booted, prepare
from bench.compare.load import CONFIGURATION, Generator, Load, generator
from bench.compare.measure import WARM_UP, cores
from bench.compare.namespaces import SERVER, Namespace, namespace
from bench.compare.servers import Server
from bench.compare.spread import Row, rounds

CONNECTIONS = (64, 1)
_COUNTED = ("-icount", "shift=0,sleep=off")
_COUNTED_PATIENCE = 180.0  # s: one instruction after the other
_STEP = 2  # MiB
_MOST = 256
GUEST = Server("guest", "guest", "", SERVER, PORT)
GuestOf = Callable[[str], Guest]  # of a machine


class Laboratory:
    """A namespace with the tap device, and two cores: the guest's, and that of whoever asks it."""

    def __init__(self, where: Namespace, configuration: str) -> None:
        self.where = where
        self.cores = cores()
        self._configuration = configuration

    @contextmanager
    def boot(self, machine: str, guest: Guest, memory: int, *more: str, patience: float = 30.0) -> Iterator[Booted]:
        with booted(self.where, self.cores[0], machine, guest, memory, *more, patience=patience) as found:
            yield found

    def loading(self, where: Namespace, load: Load, seconds: float) -> AbstractContextManager[Generator]:
        """Whoever answers there. It stores its keys first, goes on for WARM_UP, and is then measured for `seconds`."""
        return generator(GUEST, load, where, self.cores[1], self._configuration, seconds, WARM_UP)

    def load(self, where: Namespace, connections: int, seconds: float) -> dict[str, float]:
        with self.loading(where, Load(connections), seconds) as made:
            seen = checked(made.result(seconds))
        total = seen["total"]
        return {"requests_per_second": seen["tps"], **{name: total[name] for name in ("p50_us", "p99_us")}}


def checked(seen: dict[str, Any]) -> dict[str, Any]:
    """What the generator saw. Raises click.ClickException where that was not what is measured."""
    if seen["errors"] or seen["verify_failed"] or seen["get_misses"]:
        wrong = f"{seen['errors']} errors, {seen['verify_failed']} wrong values, {seen['get_misses']} misses"
        raise click.ClickException(f"under load: {wrong}")
    return seen


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    with namespace() as where, tempfile.NamedTemporaryFile("w", prefix="boot-", suffix=".cnf") as file:
        file.write(CONFIGURATION)
        file.flush()
        prepare(where)
        yield Laboratory(where, file.name)


def boots(
    bed: Laboratory, guests: Sequence[GuestOf], machines: Sequence[str], memory: int, count: int, seconds: float
) -> list[Row]:
    """A row each time something was started and answered: guest, machine, seconds to the first reply, and what it does
    under load. Hosted mode is one more: the machine is "Linux process"."""
    cases: list[tuple[GuestOf | None, str]] = [(guest, machine) for guest in guests for machine in machines]
    cases.append((None, ""))
    rows = []
    for number, (guest_of, machine) in rounds(cases, count, seed=1):
        if guest_of is None:
            with hosted(bed.cores[0]) as process:
                row = {"guest": "hosted", "machine": "Linux process", "first_reply": process.seconds}
                rows.append(row | {"round": number, "load": _loads(bed, process.where, seconds)})
            continue
        guest = guest_of(machine)
        with bed.boot(machine, guest, memory) as found:
            row = {"guest": guest.name, "machine": machine, "first_reply": found.seconds}
            rows.append(row | {"round": number, "load": _loads(bed, bed.where, seconds)})
    return rows


def _loads(bed: Laboratory, where: Namespace, seconds: float) -> dict[str, dict[str, float]]:
    return {str(connections): bed.load(where, connections, seconds) for connections in CONNECTIONS}


def instructions(bed: Laboratory, machine: str, guest: Guest, memory: int, count: int = 3) -> float:
    """Of the guest, until the first reply; the emulator runs one instruction after the other for that. They differ a
    little: the timer's interrupts come when they come. The median."""
    found = []
    for _ in range(count):
        with bed.boot(machine, guest, memory, *_COUNTED, patience=_COUNTED_PATIENCE) as counted:
            found.append(counted.instructions())
    return statistics.median(found)


def least_memory(bed: Laboratory, machine: str, guest: Guest) -> int:
    """MiB with which it answers, in steps of 2 MiB."""

    def answers(memory: int) -> bool:
        try:
            with bed.boot(machine, guest, memory, patience=20.0):
                return True
        except NotBooted:
            return False

    low, high = 0, _MOST  # it does not with `low`
    while high - low > _STEP:
        middle = (low + high) // 2 // _STEP * _STEP
        low, high = (low, middle) if answers(middle) else (middle, high)
    return high
