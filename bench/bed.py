"""What the benches that measure a node on a memory wire share: the node with its clients, and callgrind's counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import click

from bench.clients import Clients, Meter
from netapp.drivers.memory import MemoryWire
from netapp.ebb.core import BUFFER_POOL, EbbNamespace
from netapp.event.virtual import VirtualClock, VirtualEntropy, VirtualInterrupts, VirtualWallClock
from netapp.iobuf.pool import BufferPool
from netapp.net.config import InterfaceConfig
from netapp.node.appliance import Appliance
from netapp.node.breakdown import Breakdown
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.platform import Platform

CHECKSUM, TSO4, RX_CHECKSUM, RX_TSO4 = 1, 2, 16, 32
OUTSIDE_BYTES = 16 << 20  # the clients' pool
SERVER, CLIENT = "10.99.0.2", "10.99.1.0"
_METER = "__pyx_f_5bench_7clients_5Meter"
MEASURED_TURN = f"{_METER}_measured_turn"

_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
_OBJECT = re.compile(r"(c?)ob=\((\d+)\)(?: (.+))?$")
_COST = re.compile(r"(?:\d+|[+-]\d+|\*) (\d+)$")

C = TypeVar("C", bound=Clients)


class Bed(Generic[C]):
    """A node on one end of a memory wire, clients on the other; a subclass makes `clients`."""

    clients: C

    def __init__(
        self,
        appliance: Appliance,
        device_checksums: bool = True,
        pool_bytes: int | None = None,
        capacity: int = 1024,
        breakdown: Breakdown | None = None,
    ) -> None:
        """`capacity`: frames on their way in each direction."""
        features = CHECKSUM | TSO4 | RX_CHECKSUM | RX_TSO4 if device_checksums else 0
        self.clock = VirtualClock(1_000_000_000)
        interrupts = VirtualInterrupts(self.clock)
        platform = Platform(self.clock, VirtualWallClock(self.clock, 10**18), VirtualEntropy(1), interrupts)
        self.wire = MemoryWire(features_a=features, features_b=features, capacity=capacity)
        self.wire.a.queues[0].notify = interrupts.raise_interrupt
        config = NodeConfig(interfaces=(InterfaceConfig(f"{SERVER}/16"),), spin=0, pool_bytes=pool_bytes)
        self.node = Node(platform, breakdown.device(self.wire.a) if breakdown else self.wire.a, appliance, config)
        self.node.start()
        if breakdown:
            breakdown.install(self.node)
        namespace = EbbNamespace()
        self.outside_pool = BufferPool(OUTSIDE_BYTES)
        namespace.install(BUFFER_POOL, lambda core, ebb_id: self.outside_pool)
        self.outside = namespace.cores[0]
        self.meter = Meter()

    def introduce(self, addresses: int = 1) -> None:
        """ARP requests teach the node the clients' addresses; from then on it need not ask."""
        mac = self.wire.b.mac
        first = int.from_bytes(packed(CLIENT))
        for address in range(first, first + addresses):
            request = b"\0\1\x08\0\6\4\0\1" + mac + address.to_bytes(4) + bytes(6) + packed(SERVER)
            with self.outside:
                self.wire.b.send(b"\xff" * 6 + mac + b"\x08\x06" + request)
            self.node.turn()

    def run(self, measured: bool = False, pace: int = 2000) -> int:
        """To the last answer, `pace` ns a turn; ns within the node's turns."""
        spent = self.meter.run(self.node.events, self.clock, self.clients, measured, pace)
        if self.clients.wrong:
            raise RuntimeError(f"{self.clients.wrong} answers were wrong")
        return spent

    def copied_bytes(self) -> int:
        """That the node copied so far, apart from the wire's own, which stands for a device."""
        return sum(size for place, size in self.node.pool.copied().items() if place not in ("wire", "device"))

    def close(self) -> None:
        self.node.close()
        self.wire.close()


def resident() -> int:
    """Bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def packed(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


def count_instructions(*command: str, measured: str = MEASURED_TURN, preload: str = "") -> list[int] | None:
    """Instructions of the measured turns, or of another function, of a run of Python with these arguments: one count
    for each call of Meter.count(). `preload`: a library to be loaded before the others. None: valgrind is not
    installed."""
    parts = _callgrind(command, measured, preload)
    return None if parts is None else [int(_TOTAL.search(part)[1]) for part in parts]  # type: ignore[index]


def count_by_object(*command: str, measured: str = MEASURED_TURN) -> list[dict[str, int]] | None:
    """The same, by the file of the program or library whose instructions they are."""
    parts = _callgrind(command, measured, "")
    return None if parts is None else [_by_object(part) for part in parts]


def _by_object(part: str) -> dict[str, int]:
    """Of callgrind's format: the line after `calls=` is what the callee took."""
    found: dict[str, int] = {}
    names: dict[str, str] = {}
    name = ""
    called = False
    for line in part.splitlines():
        if of := _OBJECT.match(line):
            names.setdefault(of[2], of[3])
            name = name if of[1] else names[of[2]]
        elif line.startswith("calls="):
            called = True
        elif cost := _COST.match(line):
            if not called:
                found[name] = found.get(name, 0) + int(cost[1])
            called = False
    return found


def _callgrind(command: Sequence[str], measured: str, preload: str) -> list[str] | None:
    """What it has written."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        valgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={measured}"]
        valgrind += [f"--dump-after={_METER}_mark", f"--callgrind-out-file={out}", sys.executable, *command]
        try:
            # Hashes of strings differ from run to run otherwise, and with them the instructions of dictionaries.
            environment = {**os.environ, "PYTHONHASHSEED": "0"} | ({"LD_PRELOAD": preload} if preload else {})
            done = subprocess.run(valgrind, capture_output=True, text=True, check=False, env=environment)
        except FileNotFoundError:
            return None
        parts = sorted(out.parent.glob("out.*"), key=lambda part: int(part.suffix[1:]))
        found = [text for text in (part.read_text() for part in parts) if _TOTAL.search(text)]
    if done.returncode or not parts:
        raise click.ClickException("callgrind failed: " + (done.stderr.strip().splitlines() or ["no output"])[-1])
    return found
