"""The path of a request in memory: frame in on a memory wire, TCP, memcached, frame out.

    python -m bench.path [--json] [--instructions] [--breakdown] [--replay F.pcapng]

64 connections with one outstanding request each, 10,000 keys of 64 bytes, values of 100 to 1,024 bytes, nine gets to a
set. What the clients do is not counted. Time is that of the node's turns, in rounds that alternate between the
configurations; instructions are those of the same turns, counted by callgrind, which repeats them exactly.

With --replay the requests are those of a capture (`netapp run memcached --capture`, or tcpdump's): what each client
sent over TCP, from its connection's SYN to its end, in the same pieces and order, to a memcached that is empty at the
start. Not the frames themselves, whose sequence numbers and ports another connection cannot have; nor the times between
them: a piece follows when as much of the replies is there as was acknowledged with it. A piece of text is a request.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click

from bench.bed import CLIENT, SERVER, Bed, count_instructions, packed
from bench.traffic import Traffic
from netapp.cli.find import find_appliance
from netapp.hosted.counter import measuring_clock
from netapp.node.breakdown import Breakdown

if TYPE_CHECKING:
    from bench.recording import Recording

SETS_OF_TEN = 1
COUNTED_REQUESTS = 10_000
_BREAKDOWN_TITLES = {
    "idle": "turns that found nothing",
    "sum": "all of these",
    "measuring": "reading the clock, taken out",
    "turns": "the turns, from outside",
    "turns_unmeasured": "the turns when nothing is measured",
}


class Load(Protocol):
    """What is measured."""

    requests: int  # of a play

    def play(self, measured: bool = False) -> int: ...  # ns of the node's turns, which may be counted

    def copied(self) -> float: ...  # bytes a request

    def close(self) -> None: ...


MakeLoad = Callable[[bool, bool, Breakdown | None], Load]  # of (compiled, device_checksums, breakdown)


class Path(Bed[Traffic]):
    """A memcached node on one end of a memory wire, its clients on the other, every key stored once."""

    def __init__(
        self,
        compiled: bool,
        device_checksums: bool,
        connections: int = 64,
        keys: int = 10_000,
        breakdown: Breakdown | None = None,
        requests: int = COUNTED_REQUESTS,
    ) -> None:
        self.requests = requests
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

    def play(self, measured: bool = False) -> int:
        spent = self.mix(self.requests, measured=measured)
        if measured:
            self.meter.count()
        return spent

    def copied(self, gets: int = 10_000) -> float:
        """Of gets alone."""
        before = self.copied_bytes()
        self.mix(gets, sets_of_ten=0)
        return (self.copied_bytes() - before) / gets


def warm(requests: int) -> MakeLoad:
    def make(compiled: bool, device_checksums: bool, breakdown: Breakdown | None) -> Path:
        path = Path(compiled, device_checksums, breakdown=breakdown, requests=requests)
        path.mix(max(1, requests // 10))
        return path

    return make


def load_of(recording: Recording | None, requests: int) -> MakeLoad:
    """Of a capture, or `requests` of the usual ones."""
    if recording is None:
        return warm(requests)
    # Not before it is needed: what else lies on Python's heap shows in the counts of the usual requests.
    from bench.replay import Replay

    return partial(Replay, recording)


def instructions(compiled: bool, device_checksums: bool, recording: Recording | None = None) -> float | None:
    """Instructions a request of the node's turns; None where valgrind is not installed."""
    command = ["-m", "bench.path", "--counted", f"{int(compiled)},{int(device_checksums)}"]
    if recording is None:
        found = count_instructions(*command)
        return None if found is None else found[0] / COUNTED_REQUESTS
    with recording.saved() as path:  # valgrind would be very slow to read the capture
        found = count_instructions(*command, "--recorded", path)
    return None if found is None else found[0] / recording.requests


def measure(make: MakeLoad, rounds: int, counting: bool, recording: Recording | None = None) -> dict[str, Any]:
    loads = {(compiled, device): make(compiled, device, None) for compiled in (True, False) for device in (True, False)}
    times: dict[tuple[bool, bool], list[float]] = {key: [] for key in loads}
    for _ in range(rounds):
        for key, load in loads.items():
            times[key].append(load.play() / load.requests)
    report: dict[str, Any] = {}
    for name, compiled in (("compiled", True), ("python", False)):
        counts = {device: instructions(compiled, device, recording) if counting else None for device in (True, False)}
        report[name] = {
            "ns_per_request": statistics.median(times[compiled, True]),
            "ns_per_request_range": [min(times[compiled, True]), max(times[compiled, True])],
            "ns_per_request_software_checksum": statistics.median(times[compiled, False]),
            "instructions_per_request": counts[True],
            "instructions_per_request_software_checksum": counts[False],
            "bytes_copied_per_request" if recording else "bytes_copied_per_get": loads[compiled, True].copied(),
        }
    for load in loads.values():
        load.close()
    return report


def measure_breakdown(make: MakeLoad, rounds: int) -> dict[str, Any]:
    """Of each part the median of the rounds, in which loads with and without a stopwatch alternate."""
    report: dict[str, Any] = {}
    for name, compiled in (("compiled", True), ("python", False)):
        breakdown = Breakdown(measuring_clock())
        bare, timed = make(compiled, True, None), make(compiled, True, breakdown)
        requests = bare.requests
        found: list[dict[str, Any]] = []
        for _ in range(rounds):
            plain = bare.play()
            breakdown.restart()
            turns = timed.play()
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
        for found in (report["compiled"], report["python"]):
            value, whole = found[name]["ns_per_request"], found["sum"]["ns_per_request"]
            share = "" if name in _BREAKDOWN_TITLES and name != "idle" else f"{value / whole:.1%}"
            line += f"{value:>12,.0f}{share:>8}"
        lines.append(line.rstrip())
    return "\n".join(lines + _replayed(report))


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
        ("bytes copied", "bytes_copied_per_request"),
    ):
        if name in report["compiled"]:
            lines.append(f"{title:<34}{number(report['compiled'][name]):>12}{number(report['python'][name]):>12}")
    return "\n".join(lines + _replayed(report))


def _replayed(report: dict[str, Any]) -> list[str]:
    """What there is to know of the recording."""
    if "replay" not in report:
        return []
    found = report["replay"]
    lines = [
        f"replayed: {found['requests']:,} pieces of {found['connections']:,} connections, {found['text_bytes']:,}"
        f" bytes; of {found['gets']:,} keys asked for {found['hits']:,} were there"
    ]
    odd = {f"left out, {reason}": count for reason, count in found["left_out"].items()}
    odd["sent before as much of a reply was there as in the capture"] = found["early"]
    odd["not sent, because the connection had been closed"] = found["dropped"]
    return lines + [f"  {what}: {count:,}" for what, count in odd.items() if count]


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--instructions", is_flag=True, help="count instructions too (needs valgrind; about a minute)")
@click.option("--breakdown", is_flag=True, help="which part of the way a request's time goes to, instead")
@click.option("--replay", metavar="F.pcapng", default="", help="the requests of a capture, instead of the usual ones")
@click.option("--requests", default=100_000, show_default=True, help="requests a round, of the usual ones")
@click.option("--rounds", default=7, show_default=True, help="rounds of each configuration")
@click.option("--counted", hidden=True, help="run as the child of the instruction counter")
@click.option("--recorded", hidden=True, help="the recording that the child replays")
def main(
    as_json: bool,
    instructions: bool,
    breakdown: bool,
    replay: str,
    requests: int,
    rounds: int,
    counted: str | None,
    recorded: str | None,
) -> None:
    recording: Recording | None = None
    if counted:
        compiled, device_checksums = (bool(int(part)) for part in counted.split(","))
        if recorded:
            from bench.recording import saved

            recording = saved(recorded)
        load = load_of(recording, COUNTED_REQUESTS)(compiled, device_checksums, None)
        load.play(measured=True)
        load.close()
        return
    if replay:
        from bench.recording import read

        recording = read(replay)
    make = load_of(recording, requests)
    if breakdown:
        report, shown = measure_breakdown(make, rounds), show_breakdown
    else:
        report, shown = measure(make, rounds, instructions, recording), show
    if recording:
        from bench.replay import outcome

        report["replay"] = outcome(recording)
    click.echo(json.dumps(report, indent=2) if as_json else shown(report))


if __name__ == "__main__":
    main()
