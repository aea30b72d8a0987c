"""`python -m bench.path`: what it prints is a contract, and what a request may cost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.path import instructions

ROOT = Path(__file__).resolve().parents[2]
# Instructions a request, the appliance compiled.
MOST_INSTRUCTIONS = {"device": 2500, "software": 3400}
COUNTS = ("instructions_per_request", "instructions_per_request_software_checksum")

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
        assert found.keys() >= {"ns_per_request", "bytes_copied_per_get", *COUNTS}
        assert found["ns_per_request"] > 0
        assert all(found[name] is None for name in COUNTS)
        # Values of up to 256 bytes, one in six, are copied.
        assert 0 < found["bytes_copied_per_get"] < 64


@pytest.mark.parametrize("device_checksums, name", [(True, "device"), (False, "software")])
def test_instructions_a_request(device_checksums: bool, name: str) -> None:
    found = instructions(compiled=True, device_checksums=device_checksums)
    if found is None:
        pytest.skip("valgrind, which counts instructions, is not installed")
    assert 1000 < found <= MOST_INSTRUCTIONS[name]
