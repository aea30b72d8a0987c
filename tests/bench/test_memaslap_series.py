"""The generator's statistics against Python's own computation."""

import math
import statistics
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.memaslap.hgrm import write
from bench.memaslap.series import Series

LONGEST = (1 << 43) - 1
TIMES = st.lists(st.one_of(st.integers(1, 10**7), st.integers(1, LONGEST)), min_size=1, max_size=200)


def of(times: list[int]) -> Series:
    series = Series()
    for ns in times:
        series.record(ns)
    return series


@given(TIMES)
def test_exact_are_count_least_most_average_deviation_and_the_powers_of_two(times: list[int]) -> None:
    series = of(times)
    us = [ns / 1000 for ns in times]
    assert (series.count, series.least, series.most) == (len(times), min(times), max(times))
    assert series.average == pytest.approx(statistics.fmean(us))
    if len(times) > 1:
        assert series.deviation() == pytest.approx(statistics.stdev(us), rel=1e-6, abs=max(us) * 1e-6)
    assert sum(series.powers) == len(times)
    for power, count in enumerate(series.powers):
        below = (1 << power) / 2 if power else -1
        assert count == sum(below < ns // 1000 <= 1 << power for ns in times)
    assert not series.powers or series.powers[-1]


@given(TIMES, st.floats(0, 1))
def test_percentiles_and_the_geometric_mean_are_right_to_three_digits(times: list[int], part: float) -> None:
    series = of(times)
    rank = max(math.ceil(part * len(times)), 1)
    assert series.percentile(part) == pytest.approx(sorted(times)[rank - 1], rel=0.001, abs=1)
    assert series.percentile(1.0) == max(times)
    assert series.geometric() == pytest.approx(statistics.geometric_mean([ns / 1000 for ns in times]), rel=0.0006)


@given(TIMES, TIMES)
def test_a_sum_is_what_all_would_be_and_a_difference_what_came_since(first: list[int], second: list[int]) -> None:
    early, late, both = of(first), of(second), of(first + second)
    total = Series()
    total.add(early)
    total.add(late)
    assert (total.count, total.least, total.most, total.powers) == (both.count, both.least, both.most, both.powers)
    assert total.filled() == both.filled()
    assert total.average == pytest.approx(both.average)
    since = both.since(early)
    assert since.filled() == late.filled()
    assert (since.count, since.powers) == (late.count, late.powers)
    assert since.average == pytest.approx(late.average)
    assert since.least == pytest.approx(late.least, rel=0.001, abs=1)
    assert since.most == pytest.approx(late.most, rel=0.001, abs=1)


def test_buckets_are_a_thousandth_wide_and_leave_nothing_out() -> None:
    for power in range(43):
        for ns in {max((1 << power) - 1, 0), 1 << power, (1 << power) + 1, (1 << power) * 3 // 2}:
            ((least, count),) = of([ns]).filled()
            assert count == 1
            assert least <= ns <= least * 1.001
    last = 0
    for least, _ in of(list(range(1, 5000))).filled():
        assert least - last <= max(last / 1000, 1)
        last = least


def test_what_takes_longer_than_hours_counts_as_the_longest() -> None:
    assert of([LONGEST + 1, 1 << 62]).least == LONGEST


def test_of_nothing_everything_is_zero() -> None:
    series = Series()
    assert (series.count, series.least, series.most, series.average) == (0, 0, 0, 0)
    assert (series.geometric(), series.deviation(), series.percentile(0.99)) == (0, 0, 0)
    assert (series.powers, series.filled()) == ([], [])


@settings(max_examples=5)
@given(TIMES)
def test_the_file_is_hdrhistograms(tmp_path_factory: pytest.TempPathFactory, times: list[int]) -> None:
    path = Path(tmp_path_factory.mktemp("hdr"), "f.hgrm")
    write(path, of(times))
    lines = path.read_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [[float(word) for word in line.split()] for line in lines[1:] if line and not line.startswith("#")]
    assert rows[-1][2] == len(times)
    assert rows[-1][0] == pytest.approx(max(times) / 1000, rel=0.001, abs=0.001)
    for (value, part, count, *_), (following, *_) in pairwise(rows):
        assert value <= following
        assert count == pytest.approx(
            sum(ns / 1000 <= value * 1.0011 + 0.001 for ns in times), abs=len(times) * 0.05 + 1
        )
        assert count >= part * len(times) - 1
