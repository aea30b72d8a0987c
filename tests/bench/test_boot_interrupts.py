"""bench.boot.interrupts: what is read, and what is written; tests/native has it count a machine."""

import json
import os
import re
from pathlib import Path
from typing import Any

import click
import pytest

from bench.boot.chart import STORED, findings, per_request, per_second, section, table
from bench.boot.interrupts import since, status

OF_A_MACHINE = (
    "netapp: at 12.500000 s, busy for 2.250000: interrupts 40 of devices, 50 of timers, 2 of the console;"
    " polls 100, 20 empty; switches 60; timers 9; frames 70 in, 80 out"
)
HOSTED = (
    "netapp: at 12.500000 s, busy for 2.250000: interrupts 40 of devices;"
    " polls 100, 20 empty; switches 60; timers 9; frames 70 in, 80 out"
)


def test_counters_are_read() -> None:
    found = status(OF_A_MACHINE)
    assert found == {
        "seconds": 12.5,
        "busy": 2.25,
        "devices": 40,
        "timers": 50,
        "console": 2,
        "polls": 100,
        "polls_empty": 20,
        "switches": 60,
        "fired": 9,
        "frames_in": 70,
        "frames_out": 80,
    }
    hosted = status(HOSTED)
    assert "timers" not in hosted and hosted["devices"] == 40 and hosted["switches"] == 60
    assert since(found, found | {"seconds": 14.5, "polls": 130})["seconds"] == 2
    with pytest.raises(click.ClickException, match="said: ERROR"):
        status("ERROR")


def row(machine: str, load: str, rate: float, devices: int, timers: int | None) -> dict[str, Any]:
    found = {"machine": machine, "load": load, "requests_per_second": rate, "seconds": 2.0, "busy": 0.5}
    found |= {"devices": devices, "polls": 3000, "polls_empty": 30, "switches": 2 * devices, "frames_in": 3600}
    return found if timers is None else found | {"timers": timers, "console": 1}


def result() -> dict[str, Any]:
    rows = [
        row("q35", "idle", 0.0, 0, 1),
        row("q35", "10 %", 1500.0, 3000, 200),
        row("q35", "full", 15e3, 0, 2),
    ]
    rows += [row("hosted", "idle", 0.0, 1, None), row("hosted", "full", 9e4, 7, None)]
    return {
        "date": "2026-01-01",
        "machine": {"CPU": "one", "QEMU": "7.2"},
        "seconds": 2.0,
        "background": 0.01,
        "rows": rows,
    }


def test_what_is_said() -> None:
    found = result()
    assert list(findings(found)) == [
        "**netapp's image, q35**: idle for 2.0 s, no device interrupt, 1 timer interrupt;"
        " at full load, no device interrupt in 2.0 s and 30,000 requests",
        "**netapp run, hosted**: idle for 2.0 s, 1 device interrupt;"
        " at full load, 7 device interrupts in 2.0 s and 180,000 requests",
    ]
    lines = table(found, "q35").splitlines()
    assert lines[3] == "| 10 % | 1,500 | 25.0% | 1,500 | 100 | 1,500 | 3,000 | 1,800 | 1.00 | 1.00 | 2.00 | 1% |"
    assert [per_second(found["rows"][1], name) for name in ("devices", "timers")] == [1500, 100]
    # Nothing was asked, and hosted mode does not count timers.
    assert per_request(found["rows"][0], "polls") is None and per_second(found["rows"][3], "timers") is None
    for shown in re.findall(r"(?:^\|.*\|\n)+", section(found), re.MULTILINE):
        assert len({line.count("|") for line in shown.splitlines()}) == 1


@pytest.mark.skipif(os.environ.get("NETAPP_VARIANT") == "debug", reason="matplotlib has no such build")
def test_it_stands_behind_the_comparison(tmp_path: Path) -> None:
    from bench.compare.results import write_results
    from tests.bench.compare_parts import parts

    (tmp_path / "results").mkdir()
    (tmp_path / STORED).write_text(json.dumps(result()))
    write_results(tmp_path, parts())
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.index("# memcached on netapp") < text.index("# Interrupts and polls against load")
    assert (tmp_path / "results/interrupts.png").read_bytes().startswith(b"\x89PNG")
