"""`python -m bench.soak`: a full cache takes the memory that -m says, hits as often as Debian's memcached, and never
keeps a request waiting. `make soak` runs all of it, `make test` a short form."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.debian import NotFetched, fetched
from bench.soak import CLIENTS, LIMIT, LOOKS, Soak, own, replay
from bench.trace import Trace
from tests.memcached.debian import debian
from tests.support.namespaces import network_namespace

ROOT = Path(__file__).resolve().parents[2]
MOST_OFF = 0.05  # of -m
MOST_POINTS = 3

pytestmark = pytest.mark.system


def run(gets: int, keys: int, memory: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak", "--requests", f"{gets}", "--keys", f"{keys}", "-m", f"{memory}", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def check(gets: int, keys: int, memory: int) -> None:
    report = run(gets, keys, memory)
    found = report["memory"]
    assert report["evictions"] > report["items"]  # it was full for long
    assert (1 - MOST_OFF) * found["limit"] <= found["least"] <= found["most"] <= (1 + MOST_OFF) * found["limit"], found
    assert report["latency"]["own"] == [], report["latency"]
    assert 60 < 100 * report["hit_ratio"] < 90
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))
    with network_namespace(), debian(11311, "-m", f"{memory}") as port:
        debians = replay(Trace(keys), port, gets)
    assert abs(debians["hit_ratio"] - report["hit_ratio"]) * 100 <= MOST_POINTS, (debians, report)


def test_a_full_cache() -> None:
    check(300_000, 500_000, 64)


@pytest.mark.soak
def test_a_full_cache_over_ten_million_gets() -> None:
    check(10_000_000, 2_000_000, 256)


def _spin() -> None:
    end = time.thread_time_ns() + 3 * LIMIT
    while time.thread_time_ns() < end:
        pass


def _sleep() -> None:
    time.sleep(3 * LIMIT / 1e9)


@pytest.mark.parametrize("held_up", [_spin, _sleep])
def test_whose_time_it_was_that_a_request_took(held_up: Callable[[], None]) -> None:
    """The thread of a turn that sleeps does not run, as when the machine runs something else."""
    soak = Soak(Trace(1000), 4)
    with soak.node.core:
        soak.node.events.spawn(held_up)
    soak.soak(LOOKS * CLIENTS)
    soak.close()
    outliers = soak.watch.outliers[:CLIENTS]
    assert len(outliers) == CLIENTS and all(outlier["ns"] >= 3 * LIMIT for outlier in outliers)
    assert {own(outlier) for outlier in outliers} == {held_up is _spin}


def test_what_the_trace_asks() -> None:
    count, keys = 200_000, 1000
    chances = [1 / rank**0.99 for rank in range(1, keys + 1)]
    drawn = Counter(Trace(keys).next_keys(count))
    assert set(drawn) <= set(range(keys))
    for first, last in ((0, 1), (1, 2), (2, 10), (10, 100), (100, keys)):
        expected = count * sum(chances[first:last]) / sum(chances)
        assert sum(drawn[key] for key in range(first, last)) == pytest.approx(expected, rel=0.03)
    trace = Trace(200_000)
    lengths = sorted(map(trace.value_length, range(trace.keys)))
    assert sum(lengths) / len(lengths) == pytest.approx(1024, rel=0.05)
    assert lengths[100_000] == pytest.approx(1024 / 2.718281828 ** (1.8**2 / 2), rel=0.03)
    assert 1 << 17 < lengths[-1] <= 1 << 20
    assert Trace(keys).next_keys(100) == Trace(keys).next_keys(100) != Trace(keys, seed=2).next_keys(100)
