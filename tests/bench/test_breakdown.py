"""`python -m bench.path --breakdown`: its parts are those of the turns, and what it prints is a contract."""

import json
import statistics
import subprocess
import sys
from pathlib import Path as File

import pytest

from bench.path import Path
from netapp.hosted.counter import measuring_clock
from netapp.node.breakdown import Breakdown

ROOT = File(__file__).resolve().parents[2]
PARTS = ["device_in", "network_in", "appliance", "network_out", "device_out", "timers", "loop"]
REQUESTS = 3000


def test_the_parts_are_the_turns() -> None:
    breakdown = Breakdown(measuring_clock())
    path = Path(compiled=True, device_checksums=True, keys=100, breakdown=breakdown)
    of_turns = []
    for _ in range(5):
        breakdown.restart()
        turns = path.mix(REQUESTS)
        report = breakdown.report()
        assert (report["requests"], report["frames_in"], report["frames_out"]) == (REQUESTS,) * 3
        intervals = {name: part["intervals"] / REQUESTS for name, part in report["parts"].items()}
        assert intervals["appliance"] == 1 and intervals["network_in"] == 2
        # One more a turn, which serves 64 requests.
        for name in ("device_in", "network_out", "device_out"):
            assert 1 <= intervals[name] < 1.1
        assert intervals["timers"] < 0.1 and intervals["loop"] < 0.2
        assert list(report["parts"]) == PARTS and all(part["ns"] >= 0 for part in report["parts"].values())
        inside = report["busy_ns"] + report["idle_ns"] + report["measuring_ns"]
        assert abs(inside + report["outside_ns"] + report["sleep_ns"] - report["ns"]) < 10  # rounding
        of_turns.append(inside / turns)
    path.close()
    # Measured from outside a turn is longer by what entering it takes, and by what the machine did there.
    assert max(of_turns) <= 1.001 and statistics.median(of_turns) > 0.9


@pytest.mark.system
def test_the_report() -> None:
    def run(*options: str) -> str:
        command = [sys.executable, "-m", "bench.path", "--breakdown", "--requests", "2000", "--rounds", "3", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
        assert done.stderr == ""
        return done.stdout

    report = json.loads(run("--json"))
    assert list(report) == ["compiled", "python"]
    for found in report.values():
        assert list(found) == [*PARTS, "idle", "sum", "measuring", "turns", "turns_unmeasured"]
        for value in found.values():
            assert value["range"][0] <= value["ns_per_request"] <= value["range"][1]
    assert (
        report["python"]["appliance"]["ns_per_request"]
        > report["compiled"]["appliance"]["ns_per_request"]
        > report["compiled"]["timers"]["ns_per_request"]
    )
    lines = run().splitlines()
    assert lines[0].split() == ["ns", "a", "request", "compiled", "python"] and len(lines) == 13
    assert lines[3].startswith("appliance ") and lines[3].count("%") == 2
