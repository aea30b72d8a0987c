"""The steady state of a memcached node, over a million requests, and of UDP: no memory is asked for, nothing grows."""

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


# Two compiled echoes, one of which began: the datagrams go to and fro.
DATAGRAMS = """
import ctypes, json, sys
from appliances.echo import Echo
from netapp.drivers.device import CHECKSUM, RX_CHECKSUM
from netapp.node.simulation import Simulation

shim = ctypes.CDLL(sys.argv[1])
counts = (ctypes.c_long * 6)()
begin, end, tell = shim.shim_begin, shim.shim_end, shim.shim_tell
features = CHECKSUM | RX_CHECKSUM if sys.argv[3] == "device" else 0

with Simulation() as simulation:
    wire = simulation.wire(features, features)
    nodes = [simulation.node(wire.a, Echo(), "10.99.0.2/24"), simulation.node(wire.b, Echo(), "10.99.0.1/24")]
    with nodes[0].core:
        (socket,) = nodes[0].udp.sockets()
        for length in (1, 100, 1000, 1472):
            socket.send_to(bytes(length), "10.99.0.1", 7)
    def turns(number):
        for _ in range(number):
            simulation.step()
    def state():
        return {"objects": sys.getallocatedblocks(), "slots": sum(node.pool.live_slots() for node in nodes),
                "iobufs": sum(node.pool.live_iobufs() for node in nodes),
                "units carved": sum(node.pool.counters()["units_carved"] for node in nodes)}
    for _ in range(2):
        turns(1000)
        state()
    before, sent = state(), nodes[0].udp.counters()["datagrams_in"]
    begin()
    turns(int(sys.argv[2]))
    end(counts)
    sent = nodes[0].udp.counters()["datagrams_in"] - sent
    after = state()
    tell()
    for node in nodes:
        with node.core:
            for socket in node.udp.sockets():
                socket.close()
    del socket
    simulation.settle()
print(json.dumps({"counts": list(counts), "before": before, "after": after, "datagrams": sent}))
"""


@pytest.mark.system
@pytest.mark.parametrize("checksums", ["device", "software"])
def test_datagrams_without_an_allocation(shim: Path, checksums: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DATAGRAMS, str(shim), "50000", checksums],
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["datagrams"] > 100_000
    counts = dict(zip(("malloc", "calloc", "realloc", "memalign", "mmap", "brk"), report["counts"]))
    assert not any(counts.values()), f"{counts}\n{done.stderr}"
    grown = {name: after - report["before"][name] for name, after in report["after"].items()}
    assert grown["units carved"] == 0
    assert all(abs(size) <= 16 for size in grown.values()), grown


# A compiled echo on a tap, and the host's sockets, whose datagrams are many at a time.
ON_A_TAP = """
import ctypes, json, socket, sys
from appliances.echo import Echo
from tests.support.hosted import HOSTS, OURS, tap_node

shim = ctypes.CDLL(sys.argv[1])
counts = (ctypes.c_long * 6)()
begin, end, tell = shim.shim_begin, shim.shim_end, shim.shim_tell

with tap_node(Echo(), io=sys.argv[3]) as tap, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(10)
    asking.bind((HOSTS, 0))
    asking.connect((OURS, 7))
    room, datagrams, turn = bytearray(2000), [bytes(1400)] * 50, tap.node.events.turn

    def ask(times, datagrams=datagrams):
        for _ in range(times):
            for datagram in datagrams:
                asking.send(datagram)
            ask.asked += len(datagrams)
            while tap.node.udp.counters()["datagrams_in"] < ask.asked:
                turn()
            for datagram in datagrams:
                asking.recv_into(room)
    ask.asked = 0
    ask(1, datagrams[:1])  # the host keeps few of them while it asks for the address

    def state():
        pool = tap.node.pool
        return {"objects": sys.getallocatedblocks(), "slots": pool.live_slots(), "iobufs": pool.live_iobufs(),
                "units carved": pool.counters()["units_carved"]}
    for _ in range(2):
        ask(100)
        state()
    before = state()
    begin()
    ask(int(sys.argv[2]) // 50)
    end(counts)
    after = state()
    tell()
    frames = tap.node.counters()["tap-node"]
print(json.dumps({"counts": list(counts), "before": before, "after": after, "frames": frames}))
"""


@pytest.mark.system
@pytest.mark.parametrize("io", ["rw", "uring"])
def test_frames_of_a_tap_without_an_allocation(shim: Path, io: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_TAP, str(shim), "20000", io],
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["frames"]["rx_frames"] > 30_000 and report["frames"]["tx_frames"] > 30_000
    assert report["frames"]["tx_flattened"] == 0
    if io == "uring":
        assert report["frames"]["submits"] < 10_000
    counts = dict(zip(("malloc", "calloc", "realloc", "memalign", "mmap", "brk"), report["counts"]))
    assert not any(counts.values()), f"{counts}\n{done.stderr}"
    grown = {name: after - report["before"][name] for name, after in report["after"].items()}
    assert grown["units carved"] == 0
    assert all(abs(size) <= 64 for size in grown.values()), grown
