"""Medians, ranges, ratios round by round, and what a run comes to."""

import time
from collections.abc import Iterator

import pytest

from bench.compare.spread import Spread, grouped, ratio, rounds, spread
from bench.compare.summary import limits, notes, report, stages, summarised
from tests.bench.compare_parts import part, parts, row


def test_a_spread_is_the_median_and_the_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([4.0]) == Spread(4.0, 4.0, 4.0)
    assert spread([]) is None
    assert Spread(2.0, 1.0, 3.0).times(10) == Spread(20.0, 10.0, 30.0)


def test_a_ratio_is_taken_within_a_round() -> None:
    # The machine halved in the last round: both saw it, the ratio does not.
    over = [{"round": 0, "x": 8.0}, {"round": 1, "x": 9.0}, {"round": 2, "x": 4.0}]
    under = [{"round": 2, "x": 2.0}, {"round": 0, "x": 4.0}, {"round": 1, "x": 3.0}]
    assert ratio(over, under, "x") == Spread(2.0, 2.0, 3.0)


def test_a_round_of_one_of_them_only_is_left_out() -> None:
    over = [{"round": 0, "x": 8.0}, {"round": 1, "x": 9.0}]
    assert ratio(over, [{"round": 1, "x": 3.0}], "x") == Spread(3.0, 3.0, 3.0)
    assert ratio(over, [{"round": 7, "x": 3.0}], "x") is None
    assert ratio(over, [{"round": 0, "x": 0.0}], "x") is None


def test_groups_keep_the_order() -> None:
    assert grouped([{"a": 2}, {"a": 1}, {"a": 2}], lambda one: one["a"]) == {2: [{"a": 2}, {"a": 2}], 1: [{"a": 1}]}


def test_every_case_comes_once_a_round_in_another_order() -> None:
    cases = list("abcdefgh")
    found = list(rounds(cases, 4, seed=1))
    by_round = [[case for number, case in found if number == this] for this in range(4)]
    assert all(sorted(one) == cases for one in by_round)
    assert len({tuple(one) for one in by_round}) == 4
    assert list(rounds(cases, 4, seed=1)) == found != list(rounds(cases, 4, seed=2))


def test_a_round_that_would_end_too_late_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def ran(limit: float) -> int:
        nonlocal now
        last = -1
        for number, _ in rounds("ab", 9, seed=1, limit=limit):
            last = number
            now += 5.0
        return last + 1

    assert ran(35.0) == 3  # of 10 s each
    assert ran(40.0) == 4
    assert ran(1.0) == 1


@pytest.fixture
def everything() -> Iterator[dict]:
    yield parts()


def test_the_headline_is_ours_at_saturation(everything: dict) -> None:
    found = report(everything)
    assert found["server"] == "uring"
    assert found["cpu_ratio"] == pytest.approx(8.8 / 3.2)
    assert found["cpu_ratio_range"] == pytest.approx([8.0 / 3.2, 9.6 / 3.2])
    assert found["throughput_ratio"] == pytest.approx(2.5)
    assert found["throughput_ratio_range"] == pytest.approx([2.5, 2.5])
    assert found["notes"] == []


def test_without_io_uring_it_is_the_plain_one() -> None:
    found = report(parts(("memcached", "rw")))
    assert found["server"] == "rw"
    assert found["cpu_ratio"] == pytest.approx(2.2) and found["throughput_ratio"] == pytest.approx(2.0)


def test_rows_say_how_each_compares(everything: dict) -> None:
    rows = summarised("loads", everything["loads"])
    assert [(row["point"], row["server"]) for row in rows[:6]] == [
        ("saturation", "memcached"),
        ("saturation", "rw"),
        ("saturation", "uring"),
        ("saturation", "uncompiled"),
        ("saturation", "asyncio"),
        ("80 %", "memcached"),
    ]
    baseline, asyncio = rows[0], rows[4]
    assert baseline["cpu_ratio"] == baseline["throughput_ratio"] == Spread(1.0, 1.0, 1.0)
    assert asyncio["cpu_ratio"].median == pytest.approx(1 / 8)
    assert asyncio["throughput_ratio"].median == pytest.approx(0.15)
    assert asyncio["rounds"] == 3


def test_points_are_in_order_however_they_were_shuffled() -> None:
    shuffled = part([row("rw", 0, connections=count) for count in (64, 1, 512, 8)])
    assert [row["point"] for row in summarised("connections", shuffled)] == [1, 8, 64, 512]


def test_limits_and_stages(everything: dict) -> None:
    found = {row["server"]: row for row in limits(everything["latency"])}
    assert found["rw"]["requests_per_second"].median == pytest.approx(180_000)
    assert found["rw"]["ratio"].median == pytest.approx(2.0)
    times = stages(everything["breakdown"])
    assert list(times) == ["rw", "uring", "uncompiled"]
    assert times["rw"]["appliance"].median == 500 and times["rw"]["busy"].median == 3500


def test_what_was_not_measured_is_not_said() -> None:
    found = report({"loads": part([row("memcached", 0, load="saturation"), row("asyncio", 0, load="saturation")])})
    assert "cpu_ratio" not in found and "limits" not in found and len(found["rows"]) == 2


def test_a_reader_is_told_what_was_wrong(everything: dict) -> None:
    for name in ("loads", "values"):
        everything[name]["absent"] = {"uring": "the kernel forbids it"}
    everything["latency"]["background"] = 0.25
    everything["connections"]["failures"] = ["512 connections: 3 errors, 0 wrong values"]
    everything["breakdown"]["cores"] = [0, 0]
    everything["values"]["rows"][0]["misses"] = 5
    said = notes(everything)
    assert "loads, values: uring left out: the kernel forbids it" in said
    assert "latency: others took 25% of the server's core before it began" in said
    assert "connections: failed: 512 connections: 3 errors, 0 wrong values" in said
    assert any(note.startswith("breakdown: one CPU only") for note in said)
    assert any(note.startswith("values: ") and "missed" in note for note in said)
