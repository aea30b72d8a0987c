"""The steady state of a memcached node, over a million requests: no memory is asked for, nothing grows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIM = Path(__file__).with_name("shim.c")
REQUESTS = 1_000_000
CONNECTIONS = 64

# Runs in a process of its own, with the shim preloaded: it counts what everything in the process allocates, the
# interpreter too, whose small objects come from arenas that it asks the system for.
MEASURED = """
import ctypes, json, sys
from bench.path import Path
from netapp.event.manager import EventManager

shim = ctypes.CDLL(sys.argv[1])
counts = (ctypes.c_long * 6)()
begin, end, tell = shim.shim_begin, shim.shim_end, shim.shim_tell

path = Path(compiled=True, device_checksums=sys.argv[3] == "device")
pool, requests = path.node.pool, int(sys.argv[2])

def state():
    return {"objects": sys.getallocatedblocks(), "slots": pool.live_slots(), "iobufs": pool.live_iobufs(),
            "units carved": pool.counters()["units_carved"]}

for _ in range(2):  # what is made once is made
    path.mix(requests // 10)
    state()
begin()
noticed = bytearray(100_000)
end(counts)
assert any(counts), "the shim is not in the way"
before = state()
path.clients.mix(requests, 1)
begin()
path.run(False)
end(counts)
after = state()
tell()
print(json.dumps({"counts": list(counts), "before": before, "after": after}))
path.close()
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, SHIM, "-ldl"], check=True)
    return made


@pytest.mark.system
@pytest.mark.parametrize("checksums", ["device", "software"])
def test_a_million_requests_without_an_allocation(shim: Path, checksums: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(shim), str(REQUESTS), checksums],
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    counts = dict(zip(("malloc", "calloc", "realloc", "memalign", "mmap", "brk"), report["counts"]))
    assert not any(counts.values()), f"{counts}\n{done.stderr}"
    grown = {name: after - report["before"][name] for name, after in report["after"].items()}
    assert grown["units carved"] == 0
    # Only the last reply on each connection, which its client has not acknowledged, is another one.
    assert all(abs(size) <= CONNECTIONS for size in grown.values()), grown
