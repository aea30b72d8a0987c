"""The sweeps, over servers whose answers follow a formula."""

from typing import Any

import click
import pytest

from bench.compare.__main__ import FULL
from bench.compare.load import Load
from bench.compare.parts import (
    PARTS,
    SHARES,
    SWEPT_CONNECTIONS,
    SWEPT_VALUES,
    Part,
    Plan,
    connections,
    latency,
    loads,
    values,
)
from tests.bench.compare_parts import COSTS, row

# Share of its highest rate from which on a server's p99 is above the limit.
KNEES = {"memcached": 0.62, "rw": 0.97, "uring": 2.0, "asyncio": 0.05}


class Bed:
    """Stands for a Testbed."""

    def __init__(self, *servers: str) -> None:
        self.running = dict.fromkeys(servers)
        self.asked: list[tuple[str, Load]] = []
        self.failing = 0
        self.disturbed = 0

    def measure(self, server: str, load: Load, seconds: float) -> dict[str, Any]:
        self.asked.append((server, load))
        if self.failing:
            self.failing -= 1
            raise click.ClickException("on purpose")
        most = COSTS[server][1]
        served = most if load.rate is None else min(load.rate, most)
        disturbed = self.disturbed and len(self.asked) % self.disturbed == 0
        over = load.rate is not None and load.rate > KNEES[server] * most
        made = row(server, 0, connections=load.connections, value=load.value, rate=load.rate)
        del made["round"]
        return {**made, "requests_per_second": served, "p99_us": 501.0 if over or disturbed else 500.0}


def part(bed: Bed, rounds: int = 2) -> Part:
    return Part("part", bed, Plan(rounds, 1.0, connections=32))  # type: ignore[arg-type]


def test_loads_are_shares_of_memcacheds_highest_rate() -> None:
    made = part(Bed("memcached", "rw"))
    loads(made)
    assert {(row["load"], row["rate"]) for row in made.rows} == {
        ("saturation", None),
        ("80 %", 80_000.0),
        ("50 %", 50_000.0),
    }
    assert all(row["connections"] == 32 for row in made.rows)
    assert len(made.rows) == 2 * 2 * 3 == len({(row["server"], row["load"], row["round"]) for row in made.rows})


def test_sweeps_go_over_every_server_and_point() -> None:
    made = part(Bed("memcached", "rw", "asyncio"))
    connections(made)
    assert {(row["server"], row["connections"]) for row in made.rows} == {
        (server, count) for server in ("memcached", "rw", "asyncio") for count in SWEPT_CONNECTIONS
    }
    made = part(Bed("memcached"))
    values(made)
    assert sorted(row["value"] for row in made.rows if row["round"] == 1) == list(SWEPT_VALUES)


@pytest.mark.parametrize(
    ("server", "least", "most"),
    [("memcached", 0.60, 0.62), ("rw", 0.95, 0.97), ("uring", 0.99, 1.2), ("asyncio", 0.03, 0.05)],
)
def test_the_highest_rate_within_the_limit_is_searched(server: str, least: float, most: float) -> None:
    made = part(Bed(server), rounds=1)
    latency(made)
    (limit,) = made.limits
    highest = COSTS[server][1]
    assert least * highest <= limit["requests_per_second"] <= most * highest
    assert {row["share"] for row in made.rows} >= {None, *SHARES}


@pytest.mark.parametrize("disturbed", [7, 9, 11])
@pytest.mark.parametrize(("server", "least", "most"), [("memcached", 0.60, 0.62), ("rw", 0.95, 0.97)])
def test_the_search_bears_that_some_measurements_are_disturbed(
    disturbed: int, server: str, least: float, most: float
) -> None:
    bed = Bed(server)
    bed.disturbed = disturbed
    made = part(bed, rounds=3)
    latency(made)
    highest = COSTS[server][1]
    assert [least * highest <= limit["requests_per_second"] <= most * highest for limit in made.limits] == [True] * 3


def test_a_rate_that_was_not_kept_up_is_not_within_the_limit() -> None:
    made = part(Bed("uring"), rounds=1)
    latency(made)
    assert made.limits[0]["requests_per_second"] <= COSTS["uring"][1] / 0.97


def test_what_fails_is_noted_and_the_others_go_on() -> None:
    bed = Bed("memcached")
    made = part(bed, rounds=1)
    bed.failing = 1
    assert made.measure(0, "memcached", Load(512, value=16)) is None
    assert made.measure(0, "memcached", Load()) is not None
    assert made.failures == ["512 connections, values of 16 bytes: on purpose"]
    assert len(made.rows) == 1


@pytest.mark.parametrize(
    ("load", "window", "others"),
    [
        (Load(), "156", []),
        (Load(512), "19", []),
        (Load(value=16), "156", ["-X", "16"]),
        (Load(value=65536), "8", ["-X", "65536"]),
        (Load(value=1 << 20), "1", ["-X", "1048576"]),
        (Load(rate=1234.5), "156", ["--rate", "1234"]),
    ],
)
def test_what_the_generator_is_told(load: Load, window: str, others: list[str]) -> None:
    told = load.arguments()
    assert told[told.index("-w") + 1] == window
    assert told[told.index("-c") + 1] == str(load.connections)
    assert told[-len(others) :] == others if others else "-X" not in told and "--rate" not in told


def test_every_part_has_a_plan() -> None:
    assert list(FULL) == list(PARTS)
