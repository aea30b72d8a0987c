"""The clock that a stopwatch reads: the processor's counter where the kernel goes by it, else CLOCK_MONOTONIC."""

import time
from pathlib import Path

import pytest

from netapp.hosted import counter
from netapp.hosted.counter import CounterClock, measuring_clock
from netapp.hosted.platform import MonotonicClock
from netapp.node.stopwatch import Stopwatch


def test_it_goes_as_fast_as_the_monotonic_clock() -> None:
    clock = measuring_clock()
    watch = Stopwatch(clock)
    assert 0 < watch.cost < 2000
    apart = []
    for _ in range(5):  # the machine may do something else between two readings
        watch.restart()
        before = time.monotonic_ns()
        time.sleep(0.05)
        measured = watch.shares()["all"]
        apart.append(abs(measured - (time.monotonic_ns() - before)) / measured)
    assert min(apart) < 0.002


def test_where_the_kernel_does_not_trust_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "current_clocksource"
    monkeypatch.setattr(counter, "_SOURCE", str(source))
    source.write_text("hpet\n")
    with pytest.raises(OSError, match="time stamp counter"):
        CounterClock()
    assert type(measuring_clock()) is MonotonicClock
    source.unlink()
    assert type(measuring_clock()) is MonotonicClock
