"""bench.boot.interrupts: what is read, and what is said; tests/native has it count a machine."""

import click
import pytest

from bench.boot.chart import findings, per_request, per_second, table
from bench.boot.interrupts import since, status
from tests.bench.boot_results import interrupts

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


def test_what_is_said() -> None:
    found = interrupts()
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
