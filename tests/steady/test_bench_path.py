"""`python -m bench.path`: what it prints is a contract, and what a request may cost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.path import measure

ROOT = Path(__file__).resolve().parents[2]
# Instructions a request, the appliance compiled.
MOST_INSTRUCTIONS = {"instructions_per_request": 2500, "instructions_per_request_software_checksum": 3400}
KEYS = {"ns_per_request", "bytes_copied_per_get", *MOST_INSTRUCTIONS}

pytestmark = pytest.mark.system


def test_the_report() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.path", "--json", "--requests", "2000", "--rounds", "3"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert list(report) == ["compiled", "python"]
    for found in report.values():
        assert found.keys() >= KEYS
        assert 0 < found["ns_per_request"] < 1_000_000
        assert all(found[name] is None for name in MOST_INSTRUCTIONS)
        # Values of up to 256 bytes, one in six, are copied.
        assert 0 < found["bytes_copied_per_get"] < 64
    assert report["compiled"]["ns_per_request"] < report["python"]["ns_per_request"]


@pytest.fixture(scope="module")
def counted() -> dict[str, Any]:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind, which counts instructions, is not installed")
    return measure(requests=500, rounds=1, instructions=True, counted_requests=2000)


@pytest.mark.parametrize("name", MOST_INSTRUCTIONS)
def test_instructions_a_request(counted: dict[str, Any], name: str) -> None:
    assert 1000 < counted["compiled"][name] <= MOST_INSTRUCTIONS[name]
    assert counted["python"][name] > counted["compiled"][name]
