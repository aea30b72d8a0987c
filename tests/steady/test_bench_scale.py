"""`python -m bench.scale`: a segment costs the same however many connections there are, and what a connection takes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Bytes a connection that the process grows by; with a reply of 64 bytes that is not acknowledged.
MOST_RESIDENT = {"established": 950, "unacknowledged": 1200, "time_wait": 950}

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", "--connections", "10,3000", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["connections"] == [10, 3000]
    return found


@pytest.mark.parametrize("kind", ["request", "acknowledgment", "text"])
def test_a_segment_costs_the_same_among_many(report: dict[str, Any], kind: str) -> None:
    costs = report["costs"][kind]
    assert all(0 < ns < 100_000 for ns in costs["ns"])
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind, which counts instructions, is not installed")
    assert costs["instructions"][0] > 500
    assert costs["instructions"][1] <= 1.3 * costs["instructions"][0]


@pytest.mark.parametrize("state", MOST_RESIDENT)
def test_memory_of_a_connection(report: dict[str, Any], state: str) -> None:
    found = report["memory"][state]
    # An object of a connection alone takes more than the least.
    assert 300 < found["resident"] <= MOST_RESIDENT[state]
    assert found["pinned"] < (65 if state == "unacknowledged" else 1)
