"""What runs of bench.boot and of bench.boot.interrupts would have stored."""

from typing import Any

MEASURED = {"date": "2026-01-01", "machine": {"CPU": "one", "QEMU": "7.2"}}


def guests() -> dict[str, Any]:
    rows = []
    for number in range(3):
        rows += [_of_guest("linux", "q35", number, 4.0, 5000.0)]
        rows += [_of_guest("netapp", "q35", number, 0.5 + number / 10, 15000.0)]
        rows += [_of_guest("hosted", "Linux process", number, 0.9, 90000.0)]
    linux = {"image_bytes": 23_600_000, "instructions": 1.7e9, "least_memory": {"q35": 86}}
    facts = {
        "linux": {"title": "Linux, memcached", **linux},
        "netapp": {"title": "netapp's image", "image_bytes": 12_000_000},
    }
    options = {"memory": 256, "cache": 64, "small_cache": 8, "seconds": 1.0, "rounds": 3}
    return {**MEASURED, **options, "rows": rows, "facts": facts}


def _of_guest(guest: str, machine: str, number: int, first: float, rate: float) -> dict[str, Any]:
    load = {"requests_per_second": rate, "p50_us": 100.0, "p99_us": 300.0}
    loads = {"64": load, "1": {name: value / 10 for name, value in load.items()}}
    return {"guest": guest, "machine": machine, "round": number, "first_reply": first, "load": loads}


def interrupts() -> dict[str, Any]:
    rows = [
        _of_load("q35", "idle", 0.0, 0, timers=1, console=1),
        _of_load("q35", "10 %", 1500.0, 3000, timers=200, console=1),
        _of_load("q35", "full", 15e3, 0, timers=2, console=1),
        _of_load("hosted", "idle", 0.0, 1),
        _of_load("hosted", "full", 9e4, 7),
    ]
    return {**MEASURED, "seconds": 2.0, "background": 0.01, "rows": rows}


def _of_load(machine: str, load: str, rate: float, devices: int, **others: int) -> dict[str, Any]:
    found = {"machine": machine, "load": load, "requests_per_second": rate, "seconds": 2.0, "busy": 0.5}
    found |= {"devices": devices, "polls": 3000, "polls_empty": 30, "switches": 2 * devices, "frames_in": 3600}
    return found | others
