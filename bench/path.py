"""The path of a request in memory: frame in on a memory wire, TCP, memcached, frame out.

    python -m bench.path [--json] [--instructions]

64 connections with one outstanding request each, 10,000 keys of 64 bytes, values of 100 to 1,024 bytes, nine gets to a
set. What the clients do is not counted. Time is that of the node's turns, in rounds that alternate between the
configurations; instructions are those of the same turns, counted by callgrind, which repeats them exactly.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

import click

from bench.bed import CLIENT, SERVER, Bed, count_instructions, packed
from bench.traffic import Traffic
from netapp.cli.find import find_appliance
from netapp.hosted.counter import measuring_clock
from netapp.node.breakdown import Breakdown

SETS_OF_TEN = 1
COUNTED_REQUESTS = 10_000
_BREAKDOWN_TITLES = {
    "idle": "turns that found nothing",
    "sum": "all of these",
    "measuring": "reading the clock, taken out",
    "turns": "the turns, from outside",
    "turns_unmeasured": "the turns when nothing is measured",
}


class Path(Bed[Traffic]):
    """A memcached node on one end of a memory wire, its clients on the other, every key stored once."""

    def __init__(
        self,
        compiled: bool,
        device_checksums: bool,
        connections: int = 64,
        keys: int = 10_000,
        breakdown: Breakdown | None = None,
    ) -> None:
        super().__init__(find_appliance("memcached", uncompiled=not compiled)(), device_checksums, breakdown=breakdown)
        self.clients = Traffic(
            self.outside,
            self.wire.b,
            self.wire.a.mac,
            packed(CLIENT),
            packed(SERVER),
            11211,
            connections=connections,
            device_checksums=device_checksums,
            keys=keys,
        )
        self.introduce()
        self.clients.connect(0, connections)
        self.run()
        self.clients.store_all()
        self.run()

    def mix(self, requests: int, sets_of_ten: int = SETS_OF_TEN, measured: bool = False) -> int:
        self.clients.mix(requests, sets_of_ten)
        return self.run(measured)

    def copied_per_get(self, gets: int = 10_000) -> float:
        """Bytes that the node copied a get, apart from the wire's own, which stands for a device."""
        before = self._copied()
        self.mix(gets, sets_of_ten=0)
        return (self._copied() - before) / gets

    def _copied(self) -> int:
        return sum(size for place, size in self.node.pool.copied().items() if place not in ("wire", "device"))


def instructions(compiled: bool, device_checksums: bool, requests: int = COUNTED_REQUESTS) -> float | None:
    """Instructions a request of the node's turns; None where valgrind is not installed."""
    arguments = f"{int(compiled)},{int(device_checksums)},{requests}"
    found = count_instructions("-m", "bench.path", "--counted", arguments)
    return None if found is None else found[0] / requests


def measure(requests: int, rounds: int, counting: bool) -> dict[str, Any]:
    paths = {(compiled, device): Path(compiled, device) for compiled in (True, False) for device in (True, False)}
    times: dict[tuple[bool, bool], list[float]] = {key: [] for key in paths}
    for key, path in paths.items():
        path.mix(requests // 10)
    for _ in range(rounds):
        for key, path in paths.items():
            times[key].append(path.mix(requests) / requests)
    report: dict[str, Any] = {}
    for name, compiled in (("compiled", True), ("python", False)):
        counts = {device: instructions(compiled, device) if counting else None for device in (True, False)}
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


def measure_breakdown(requests: int, rounds: int) -> dict[str, Any]:
    """Of each part the median of the rounds, in which paths with and without a stopwatch alternate."""
    report: dict[str, Any] = {}
    for name, compiled in (("compiled", True), ("python", False)):
        breakdown = Breakdown(measuring_clock())
        bare, timed = Path(compiled, True), Path(compiled, True, breakdown=breakdown)
        found: list[dict[str, Any]] = []
        bare.mix(requests // 10)
        for _ in range(rounds):
            plain = bare.mix(requests)
            breakdown.restart()
            turns = timed.mix(requests)
            measured = breakdown.report()
            one = {part: share["ns"] / requests for part, share in measured["parts"].items()}
            one["idle"] = measured["idle_ns"] / requests
            found.append(
                one
                | {
                    "sum": sum(one.values()),
                    "measuring": measured["measuring_ns"] / requests,
                    "turns": turns / requests,
                    "turns_unmeasured": plain / requests,
                }
            )
        report[name] = {
            part: {
                "ns_per_request": statistics.median(one[part] for one in found),
                "range": [min(one[part] for one in found), max(one[part] for one in found)],
            }
            for part in found[0]
        }
        bare.close()
        timed.close()
    return report


def show_breakdown(report: dict[str, Any]) -> str:
    lines = [f"{'ns a request':<34}{'compiled':>12}{'':>8}{'python':>12}{'':>8}"]
    for name in report["compiled"]:
        line = f"{_BREAKDOWN_TITLES.get(name, name.replace('_', ' ')):<34}"
        for found in report.values():
            value, whole = found[name]["ns_per_request"], found["sum"]["ns_per_request"]
            share = "" if name in _BREAKDOWN_TITLES and name != "idle" else f"{value / whole:.1%}"
            line += f"{value:>12,.0f}{share:>8}"
        lines.append(line.rstrip())
    return "\n".join(lines)


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
@click.option("--breakdown", is_flag=True, help="which part of the way a request's time goes to, instead")
@click.option("--requests", default=100_000, show_default=True, help="requests a round")
@click.option("--rounds", default=7, show_default=True, help="rounds of each configuration")
@click.option("--counted", hidden=True, help="run as the child of the instruction counter")
def main(as_json: bool, instructions: bool, breakdown: bool, requests: int, rounds: int, counted: str | None) -> None:
    if counted:
        compiled, device_checksums, number = (int(part) for part in counted.split(","))
        path = Path(bool(compiled), bool(device_checksums))
        path.mix(1000)
        path.mix(number, measured=True)
        path.meter.count()
        path.close()
        return
    if breakdown:
        report, shown = measure_breakdown(requests, rounds), show_breakdown
    else:
        report, shown = measure(requests, rounds, instructions), show
    click.echo(json.dumps(report, indent=2) if as_json else shown(report))


if __name__ == "__main__":
    main()
