"""Non-idle time of a core, a process's own time, and what they come to a request."""

import os
import time

import pytest

from bench.compare.accounting import CoreTime, Moment, background, core_time, moment, process_time, usage

TICKS = os.sysconf("SC_CLK_TCK")
#                user nice system idle iowait irq softirq steal guest guest_nice
STAT = """\
cpu  3000 10 548294 5352762 6809 0 25750 1652 0 0
cpu0 1452 6 265 2838945 1509 0 12576 828 5 0
cpu1 1760 4 283 2513817 5300 7 13173 823 0 0
cpu10 1 1 1 111 2 1 1 3 0 0
intr 12 0
"""


def test_idle_and_iowait_of_the_core_that_is_meant() -> None:
    assert core_time(STAT, 0) == CoreTime((2838945 + 1509) / TICKS, 828 / TICKS)
    assert core_time(STAT, 1) == CoreTime((2513817 + 5300) / TICKS, 823 / TICKS)
    assert core_time(STAT, 10) == CoreTime(113 / TICKS, 3 / TICKS)
    with pytest.raises(ValueError, match="no core 2"):
        core_time(STAT, 2)


def test_non_idle_is_what_is_left_of_the_time() -> None:
    before = Moment(10.0, CoreTime(100.0, 1.0), CoreTime(200.0, 0.0), 5.0, 1_000)
    after = Moment(12.0, CoreTime(100.5, 1.25), CoreTime(201.5, 0.0), 6.0, 51_000)
    found = usage(before, after)
    assert found.seconds == 2.0
    assert found.non_idle == 1.5  # 2 s less 0.5 idle; stolen time may have been either
    assert found.generator_non_idle == 0.5
    assert found.stolen == 0.25
    assert found.process == 1.0
    assert found.requests == 50_000
    assert found.cpu_us == pytest.approx(30.0)
    assert found.process_us == pytest.approx(20.0)


@pytest.mark.parametrize(("idle", "non_idle"), [(2.01, 0.0), (-0.01, 2.0)])
def test_the_unit_of_proc_stat_makes_it_neither_negative_nor_more_than_all(idle: float, non_idle: float) -> None:
    before = Moment(0.0, CoreTime(50.0, 0.0), CoreTime(0.0, 0.0), 0.0, 0)
    after = Moment(2.0, CoreTime(50.0 + idle, 0.0), CoreTime(0.0, 0.0), 0.0, 1)
    assert usage(before, after).non_idle == non_idle


def test_a_process_time_is_the_schedulers() -> None:
    before, own = process_time(os.getpid()), time.process_time()
    while time.process_time() - own < 0.02:
        pass
    grown = process_time(os.getpid()) - before
    assert 0.02 <= grown < 0.02 + (time.process_time() - own)


def test_of_this_machine() -> None:
    core = min(os.sched_getaffinity(0))
    first = moment(os.getpid(), (core, core), 7)
    last = moment(os.getpid(), (core, core), 9)
    found = usage(first, last)
    assert found.requests == 2 and 0 <= found.non_idle <= found.seconds
    assert 0 <= background(core, 0.05) <= 1
