"""The path of a request in memory: frame in on a memory wire, TCP, memcached, frame out.

    python -m bench.path [--json] [--instructions]

64 connections with one outstanding request each, 10,000 keys of 64 bytes, values of 100 to 1,024 bytes, nine gets to a
set. What the clients do is not counted. Time is that of the node's turns, in rounds that alternate between the
configurations; instructions are those of the same turns, counted by callgrind, which repeats them exactly.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import click

from bench.traffic import Meter, Traffic
from netapp.cli.find import find_appliance
from netapp.drivers.memory import MemoryWire
from netapp.ebb.core import BUFFER_POOL, EbbNamespace
from netapp.event.virtual import VirtualClock, VirtualEntropy, VirtualInterrupts, VirtualWallClock
from netapp.iobuf.pool import BufferPool
from netapp.net.config import InterfaceConfig
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.platform import Platform

CHECKSUM, TSO4, RX_CHECKSUM, RX_TSO4 = 1, 2, 16, 32
SERVER, CLIENT = "10.99.0.2", "10.99.0.1"
SETS_OF_TEN = 1
COUNTED_FUNCTION = "__pyx_f_5bench_7traffic_5Meter_measured_turn"


def _packed(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


class Path:
    """A memcached node on one end of a memory wire, its clients on the other, every key stored once."""

    def __init__(self, compiled: bool, device_checksums: bool, connections: int = 64, keys: int = 10_000) -> None:
        features = CHECKSUM | TSO4 | RX_CHECKSUM | RX_TSO4 if device_checksums else 0
        self.clock = VirtualClock(1_000_000_000)
        self.interrupts = VirtualInterrupts(self.clock)
        platform = Platform(self.clock, VirtualWallClock(self.clock, 10**18), VirtualEntropy(1), self.interrupts)
        self.wire = MemoryWire(features_a=features, features_b=features, capacity=1024)
        self.wire.a.queues[0].notify = self.interrupts.raise_interrupt
        appliance = find_appliance("memcached", uncompiled=not compiled)()
        config = NodeConfig(interfaces=(InterfaceConfig(f"{SERVER}/24"),), spin=0)
        self.node = Node(platform, self.wire.a, appliance, config)
        self.node.start()
        clients = EbbNamespace()
        self.pool = BufferPool(16 << 20)
        clients.install(BUFFER_POOL, lambda core, ebb_id: self.pool)
        self.traffic = Traffic(
            clients.cores[0],
            self.wire.b,
            self.wire.a.mac,
            _packed(CLIENT),
            _packed(SERVER),
            11211,
            connections=connections,
            keys=keys,
            device_checksums=device_checksums,
        )
        self.meter = Meter()
        self._introduce(clients)
        self.traffic.connect()
        self.run(measured=False)
        self.traffic.store_all()
        self.run(measured=False)

    def _introduce(self, clients: EbbNamespace) -> None:
        """An ARP request teaches the node the clients' address; from then on it need not ask."""
        mac = self.wire.b.mac
        request = b"\0\1\x08\0\6\4\0\1" + mac + _packed(CLIENT) + bytes(6) + _packed(SERVER)
        with clients.cores[0]:
            self.wire.b.send(b"\xff" * 6 + mac + b"\x08\x06" + request)
        self.node.turn()

    def run(self, measured: bool) -> int:
        """To the last reply; ns within the node's turns."""
        spent = self.meter.run(self.node.events, self.clock, self.traffic, measured)
        if self.traffic.wrong:
            raise RuntimeError(f"{self.traffic.wrong} replies were wrong")
        return spent

    def mix(self, requests: int, sets_of_ten: int = SETS_OF_TEN, measured: bool = False) -> int:
        self.traffic.mix(requests, sets_of_ten)
        return self.run(measured)

    def copied_per_get(self, gets: int = 10_000) -> float:
        """Bytes that the node copied a get, apart from the wire's own, which stands for a device."""
        before = self._copied()
        self.mix(gets, sets_of_ten=0)
        return (self._copied() - before) / gets

    def _copied(self) -> int:
        return sum(size for place, size in self.node.pool.copied().items() if place not in ("wire", "device"))

    def close(self) -> None:
        self.node.close()
        self.wire.close()


def count_instructions(compiled: bool, device_checksums: bool, requests: int) -> float | None:
    """Instructions a request of the node's turns; None where valgrind is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={COUNTED_FUNCTION}"]
        command += [f"--callgrind-out-file={folder}/out", sys.executable, "-m", "bench.path"]
        command += ["--counted", f"{int(compiled)},{int(device_checksums)},{requests}"]
        try:
            # Hashes of strings differ from run to run otherwise, and with them the instructions of dictionaries.
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
            )
        except FileNotFoundError:
            return None
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise click.ClickException("callgrind failed: " + (done.stderr.strip().splitlines() or ["no output"])[-1])
    return int(found[1]) / requests


def measure(requests: int, rounds: int, instructions: bool, counted_requests: int) -> dict[str, Any]:
    paths = {(compiled, device): Path(compiled, device) for compiled in (True, False) for device in (True, False)}
    times: dict[tuple[bool, bool], list[float]] = {key: [] for key in paths}
    for key, path in paths.items():
        path.mix(requests // 10)
    for _ in range(rounds):
        for key, path in paths.items():
            times[key].append(path.mix(requests) / requests)
    report: dict[str, Any] = {}
    for name, compiled in (("compiled", True), ("python", False)):
        counts = {
            device: count_instructions(compiled, device, counted_requests) if instructions else None
            for device in (True, False)
        }
        report[name] = {
            "ns_per_request": statistics.median(times[compiled, True]),
            "ns_per_request_range": [min(times[compiled, True]), max(times[compiled, True])],
            "ns_per_request_software_checksum": statistics.median(times[compiled, False]),
            "instructions_per_request": counts[True],
            "instructions_per_request_software_checksum": counts[False],
            "bytes_copied_per_get": paths[compiled, True].copied_per_get(),
        }
    for path in paths.values():
        path.close()
    return report


def show(report: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:,.0f}"

    lines = [f"{'a request':<34}{'compiled':>12}{'python':>12}"]
    for title, name in (
        ("ns, device checksums", "ns_per_request"),
        ("ns, software checksums", "ns_per_request_software_checksum"),
        ("instructions, device checksums", "instructions_per_request"),
        ("instructions, software checksums", "instructions_per_request_software_checksum"),
        ("bytes copied a get", "bytes_copied_per_get"),
    ):
        lines.append(f"{title:<34}{number(report['compiled'][name]):>12}{number(report['python'][name]):>12}")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--instructions", is_flag=True, help="count instructions too (needs valgrind; about a minute)")
@click.option("--requests", default=100_000, show_default=True, help="requests a round")
@click.option("--rounds", default=7, show_default=True, help="rounds of each configuration")
@click.option("--counted", hidden=True, help="run as the child of the instruction counter")
def main(as_json: bool, instructions: bool, requests: int, rounds: int, counted: str | None) -> None:
    if counted:
        compiled, device_checksums, number = (int(part) for part in counted.split(","))
        path = Path(bool(compiled), bool(device_checksums))
        path.mix(1000)
        path.mix(number, measured=True)
        path.close()
        return
    report = measure(requests, rounds, instructions, counted_requests=10_000)
    click.echo(json.dumps(report, indent=2) if as_json else show(report))


if __name__ == "__main__":
    main()
