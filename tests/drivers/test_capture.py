"""Captures are read back by independent readers: dpkt, and tshark where it is installed."""

import json
import os
import shutil
import subprocess
import sys

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from netapp.drivers import device
from netapp.drivers.capture import CaptureDevice
from netapp.drivers.device import Offload
from netapp.drivers.memory import MemoryWire
from netapp.drivers.python import PythonDevice, RawPort
from netapp.event.virtual import VirtualWallClock
from tests.support.pools import core_with_pool

ORIGIN = 1_750_000_000_123_456_789


@pytest.fixture
def core():
    with core_with_pool() as made:
        yield made


def captured(core, path, **options):
    wire = MemoryWire(**options)
    return wire, CaptureDevice(wire.a, path, VirtualWallClock(core.clock, ORIGIN))


def read(path):
    """[(ns, direction, bytes)]: 1 is inbound, 2 outbound."""
    with open(path, "rb") as file:
        frames = []
        reader = dpkt.pcapng.Reader(file)
        assert reader.datalink() == dpkt.pcap.DLT_EN10MB
        data = path.read_bytes()
    at = 0
    while at < len(data):
        kind, length = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4))
        assert length % 4 == 0 and data[at + length - 4 : at + length] == data[at + 4 : at + 8]
        if kind == 6:
            block = dpkt.pcapng.EnhancedPacketBlockLE(data[at : at + length])
            flags = [option.data for option in block.opts if option.code == 2]
            time = block.ts_high << 32 | block.ts_low
            frames.append((time, int.from_bytes(flags[0], "little"), block.pkt_data))
        at += length
    return frames


def test_both_directions_with_times(core, tmp_path):
    path = tmp_path / "a.pcapng"
    wire, capture = captured(core, path)
    port = RawPort(capture.queues[0])
    start = core.clock.time
    sent = [bytes([i]) * (60 + i) for i in range(9)]
    for i, frame in enumerate(sent):
        core.clock.time = start + i * 1001
        if i % 2:
            wire.b.send(frame)
            assert port.receive() == [frame]
        else:
            assert port.send(frame)
            assert wire.b.receive() == [frame]
    counters = capture.counters()
    assert (counters["capture_frames"], counters["capture_lost"]) == (9, 0)
    assert counters["tx_frames"] == 5, "the counters of the device itself are there too"
    capture.close()
    assert read(path) == [(ORIGIN + start + i * 1001, 1 if i % 2 else 2, frame) for i, frame in enumerate(sent)]
    with path.open("rb") as file:
        times = [time for time, _ in dpkt.pcapng.Reader(file)]
    assert times[-1] - times[0] == pytest.approx(8.008e-6, abs=1e-6)
    wire.close()


def test_frames_are_recorded_as_the_device_sees_them(core, tmp_path):
    path = tmp_path / "a.pcapng"
    every = device.CHECKSUM | device.TSO4 | device.RX_CHECKSUM | device.RX_TSO4
    wire, capture = captured(core, path, features_a=every)
    assert capture.features == every and capture.mac == wire.a.mac and capture.mtu == 1500
    big = (
        Ether() / IP(src="10.0.0.1", dst="10.0.0.2", proto=6, len=60_020) / (b"\0" * 12 + b"\x50" + bytes(60_000 - 13))
    )
    data = bytes(big)
    RawPort(capture.queues[0]).send(data, Offload(1, 1, 54, 1400, 34, 16))
    assert len(wire.b.receive()) > 40
    capture.close()
    assert [frame for _, _, frame in read(path)] == [data]
    wire.close()


def test_a_refused_frame_is_not_recorded(core, tmp_path):
    path = tmp_path / "a.pcapng"
    wire, capture = captured(core, path, capacity=2)
    port = RawPort(capture.queues[0])
    assert [port.send(bytes([i]) * 60) for i in range(3)] == [True, True, False]
    assert capture.counters()["capture_frames"] == 2
    capture.close()
    assert len(read(path)) == 2
    wire.close()


def test_nothing_is_lost_however_much_there_is(core, tmp_path):
    path = tmp_path / "a.pcapng"
    wire, capture = captured(core, path)
    port = RawPort(capture.queues[0])
    frame = bytes(1500)
    for _ in range(2000):
        port.send(frame)
        wire.b.receive()
    assert path.stat().st_size > 2 << 20, "it is written while it is recorded"
    capture.close()
    assert len(read(path)) == 2000
    wire.close()


def test_a_loop_that_goes_to_sleep_has_written_all(core, tmp_path):
    path = tmp_path / "a.pcapng"
    wire, capture = captured(core, path)
    RawPort(capture.queues[0])
    wire.a.queue.notify = core.interrupts.raise_interrupt
    core.polling.attach(capture.queues[0])
    core.settle()
    wire.b.send(bytes(60))
    core.settle()
    assert len(read(path)) == 1
    core.polling.detach(capture.queues[0])
    capture.close()
    wire.close()


def test_a_full_disk_is_counted(core):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    wire = MemoryWire()
    with pytest.raises(OSError):
        CaptureDevice(wire.a, "/dev/full", VirtualWallClock(core.clock, ORIGIN))
    wire.close()


def test_a_missing_folder_is_an_error(core, tmp_path):
    with pytest.raises(FileNotFoundError):
        captured(core, tmp_path / "missing" / "a.pcapng")


def test_a_file_that_cannot_grow_loses_frames_and_stays_whole(tmp_path):
    script = f"""
import resource, signal
from pathlib import Path
from netapp.drivers.capture import CaptureDevice
from netapp.drivers.memory import MemoryWire
from netapp.drivers.python import RawPort
from netapp.event.virtual import VirtualWallClock
from tests.support.pools import core_with_pool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with core_with_pool() as core:
    wire = MemoryWire()
    capture = CaptureDevice(wire.a, {str(tmp_path / "a.pcapng")!r}, VirtualWallClock(core.clock, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
    port = RawPort(capture.queues[0])
    for _ in range(4000):
        port.send(bytes(1500))
        wire.b.receive()
    capture.close()
    counters = capture.counters()
    assert counters["capture_frames"] + counters["capture_lost"] == 4000 and counters["capture_lost"], counters
    print(counters["capture_frames"])
    wire.close()
"""
    ran = run_python(script)
    assert len(read(tmp_path / "a.pcapng")) == int(ran) > 0


def run_python(script):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))}
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_capture_around_any_device(core, tmp_path):
    class Echo:
        def __init__(self):
            self.frames = []

        def transmit(self, frame, offload):
            self.frames.append(frame)

        def poll(self, budget):
            frames, self.frames = self.frames, []
            return frames

    capture = CaptureDevice(PythonDevice(Echo()), tmp_path / "a.pcapng", VirtualWallClock(core.clock, ORIGIN))
    port = RawPort(capture.queues[0])
    port.send(bytes(100))
    assert port.receive() == [bytes(100)]
    capture.close()
    assert [direction for _, direction, _ in read(tmp_path / "a.pcapng")] == [2, 1]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it(core, tmp_path):
    path = tmp_path / "a.pcapng"
    wire, capture = captured(core, path)
    port = RawPort(capture.queues[0])
    ping = (
        Ether(src="02:00:00:00:00:0b", dst="02:00:00:00:00:0a") / IP(src="10.0.0.2", dst="10.0.0.1") / ICMP() / b"abc"
    )
    wire.b.send(bytes(ping))
    port.receive()
    port.send(bytes(ping))
    capture.close()
    fields = ["frame.interface_name", "frame.packet_flags_direction", "frame.time_epoch", "icmp.type", "_ws.malformed"]
    command = ["tshark", "-n", "-r", str(path), "-T", "json"]
    for field in fields:
        command += ["-e", field]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Running as user" in ran.stderr or not ran.stderr.strip()
    first, second = (packet["_source"]["layers"] for packet in json.loads(ran.stdout))
    assert first["frame.interface_name"] == second["frame.interface_name"] == ["wire-a"]
    directions = [int(layers["frame.packet_flags_direction"][0], 16) for layers in (first, second)]
    assert directions == [1, 2]
    nanoseconds = ORIGIN + core.clock.time
    assert first["frame.time_epoch"] == [f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"]
    assert first["icmp.type"] == ["8"] and "_ws.malformed" not in first
    wire.close()
