"""Faults: reproducible, as often as asked for, noticed by checksums, and nothing is kept for ever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from netapp.drivers import device
from netapp.drivers.capture import CaptureDevice
from netapp.drivers.device import Offload
from netapp.drivers.faults import FaultDevice
from netapp.drivers.memory import MemoryWire
from netapp.drivers.python import RawPort
from netapp.event.virtual import VirtualWallClock
from tests.support.pools import core_with_pool

EVERY = device.CHECKSUM | device.TSO4 | device.RX_CHECKSUM | device.RX_TSO4
MS = 1_000_000


@pytest.fixture
def core():
    with core_with_pool() as made:
        yield made


class Faulty:
    """A memory wire with faults at end a: `out` and `back` carry frames through them."""

    def __init__(self, core, features_a=0, features_b=0, capacity=256, **faults):
        self.core = core
        self.wire = MemoryWire(features_a=features_a, features_b=features_b, capacity=capacity)
        self.device = FaultDevice(self.wire.a, **faults)
        self.port = RawPort(self.device.queues[0])

    def out(self, frames, wait=20 * MS):
        """What arrives of the frames that the device transmits."""
        arrived = []
        for frame in frames:
            assert self.port.send(frame)
            arrived += self.wire.b.receive()
        self.core.advance(wait)
        return arrived + self.wire.b.receive()

    def back(self, frames, wait=20 * MS):
        """What arrives of the frames that the device receives."""
        for frame in frames:
            assert self.wire.b.send(frame)
            self.port.poll()
        self.core.advance(wait)
        arrived = [data for data, _ in self.port.received]
        self.port.received.clear()
        return arrived

    def both(self, frames):
        return self.out(frames), self.back(frames)

    def counted(self):
        return {name: value for name, value in self.device.counters().items() if name.startswith("fault_") and value}

    def close(self):
        self.device.close()
        self.wire.close()


def numbered(count, length=60):
    return [i.to_bytes(4, "big") * (length // 4) for i in range(count)]


def test_without_faults_everything_passes(core):
    faulty = Faulty(core)
    frames = numbered(200)
    assert faulty.both(frames) == (frames, frames)
    assert faulty.counted() == {"fault_rx_frames": 200, "fault_tx_frames": 200}
    faulty.close()


def test_the_seed_decides(core):
    def run(seed):
        faulty = Faulty(core, drop=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1, delay=MS, seed=seed)
        result = faulty.both(numbered(300))
        faulty.close()
        return result

    first = run(7)
    assert run(7) == first
    assert run(8) != first
    assert first[0] != first[1], "the two directions have faults of their own"


@pytest.mark.parametrize("fault", ["drop", "duplicate", "reorder", "corrupt"])
@pytest.mark.parametrize("probability", [0.01, 0.3])
def test_probabilities(core, fault, probability):
    faulty = Faulty(core, **{fault: probability})
    count = 5000
    frames = numbered(count)
    out, back = faulty.both(frames)
    counted = faulty.counted()
    # Five standard deviations.
    margin = 5 * (count * probability * (1 - probability)) ** 0.5
    names = {"drop": "dropped", "duplicate": "duplicated", "reorder": "reordered", "corrupt": "corrupted"}
    for lane, arrived in (("tx", out), ("rx", back)):
        times = counted[f"fault_{lane}_{names[fault]}"]
        assert abs(times - count * probability) < margin
        if fault == "drop":
            assert arrived == sorted(set(arrived)) and len(arrived) == count - times
        elif fault == "duplicate":
            assert len(arrived) == count + times and sorted(set(arrived)) == frames
        elif fault == "reorder":
            assert sorted(arrived) == frames and arrived != frames
        else:
            assert len(arrived) == count
            damaged = [(is_, was) for is_, was in zip(arrived, frames) if is_ != was]
            assert len(damaged) == times
            assert all(
                bin(int.from_bytes(is_, "big") ^ int.from_bytes(was, "big")).count("1") == 1 for is_, was in damaged
            )
    faulty.close()
    assert core.pool.live_slots() == 0


def test_a_reordered_frame_is_overtaken_by_one_to_three(core):
    faulty = Faulty(core, reorder=0.05, seed=3)
    arrived = [int.from_bytes(frame[:4], "big") for frame in faulty.out(numbered(2000))]
    late = 0
    for place, number in enumerate(arrived):
        overtaken = sum(1 for other in arrived[:place] if other > number)
        assert overtaken <= 5, "three, and some that were held as well"
        late += overtaken > 0
    assert late == faulty.counted()["fault_tx_reordered"]
    faulty.close()


@pytest.mark.parametrize("outbound", [True, False])
def test_a_held_frame_goes_when_nothing_follows(core, outbound):
    faulty = Faulty(core, reorder=1)
    send = faulty.out if outbound else faulty.back
    assert send([bytes(60)], wait=9 * MS) == []
    assert send([], wait=2 * MS) == [bytes(60)]
    faulty.close()


@pytest.mark.parametrize("outbound", [True, False])
def test_delay_keeps_the_order_and_the_time(core, outbound):
    faulty = Faulty(core, delay=5 * MS)
    frames = numbered(20)
    send = faulty.out if outbound else faulty.back
    for i, frame in enumerate(frames):
        assert send([frame], wait=MS) == ([frames[i - 4]] if i >= 4 else [])
    assert send([], wait=5 * MS) == frames[16:]
    faulty.close()


def test_delayed_frames_are_bounded(core):
    faulty = Faulty(core, delay=1000 * MS, capacity=2048)
    assert sum(faulty.port.send(bytes(60)) for _ in range(1100)) == 1024, "a full ring is back-pressure"
    for _ in range(1100):
        faulty.wire.b.send(bytes(60))
        faulty.port.poll()
    assert faulty.counted()["fault_rx_overflow"] == 1100 - 1024
    core.advance(1001 * MS)
    assert len(faulty.wire.b.receive()) == len(faulty.port.received) == 1024
    faulty.close()


def test_late_frames_wait_for_a_full_ring(core):
    faulty = Faulty(core, delay=MS, capacity=4)
    frames = numbered(10)
    for frame in frames:
        assert faulty.port.send(frame)
    core.advance(2 * MS)
    assert faulty.wire.b.receive() == frames[:4]
    core.advance(MS)
    assert faulty.wire.b.receive() == frames[4:8]
    core.advance(MS)
    assert faulty.wire.b.receive() == frames[8:]
    faulty.close()


def test_a_full_ring_is_passed_on_and_draws_nothing(core):
    faulty = Faulty(core, capacity=2, drop=0.5, corrupt=0.2, seed=5)
    reference = Faulty(core, capacity=256, drop=0.5, corrupt=0.2, seed=5)
    frames = numbered(200)
    expected = reference.out(frames)
    arrived = []
    for frame in frames:
        while not faulty.port.send(frame):
            arrived += faulty.wire.b.receive()
    assert arrived + faulty.wire.b.receive() == expected
    for each in (faulty, reference):
        each.close()


def test_closing_gives_everything_back(core):
    faulty = Faulty(core, reorder=0.5, delay=50 * MS)
    faulty.out(numbered(100, 1400), wait=0)
    faulty.back(numbered(100, 1400), wait=0)
    assert core.pool.live_slots() >= 200
    faulty.close()
    assert core.pool.live_slots() == 0
    assert core.events.idle_time() == -1, "no timer is left"


def tcp(length):
    return (
        Ether(dst="02:00:00:00:00:0a", src="02:00:00:00:00:0b")
        / IP(src="10.0.0.2", dst="10.0.0.1")
        / TCP(sport=1, dport=2)
        / Raw(bytes(range(256)) * (length // 256))
    )


def is_noticed(data, original):
    """Whether a receiver that verifies checksums, addresses and types drops the frame."""
    if data[:14] != original[:14]:
        return True
    frame = Ether(data)
    if IP not in frame or bytes(frame[IP])[:1] != b"\x45":
        return True
    again = frame.copy()
    del again[IP].chksum
    if TCP in again:
        del again[TCP].chksum
    return bytes(again) != data


@pytest.mark.parametrize("partial", [False, True])
def test_corruption_is_noticed_although_the_device_vouched(core, partial):
    faulty = Faulty(core, features_a=EVERY, features_b=EVERY, corrupt=1)
    whole = bytes(tcp(1024))
    if partial:
        # The field holds the pseudo-header's sum.
        data = bytearray(whole)
        total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(26, 34, 2)) + 6 + len(data) - 34
        total = (total & 0xFFFF) + (total >> 16)
        data[50:52] = total.to_bytes(2, "big")
        sent, offload = bytes(data), Offload(1, 0, 54, 0, 34, 16)
    else:
        sent, offload = whole, Offload(2, 0, 0, 0, 0, 0)
    for _ in range(300):
        faulty.wire.b.send(sent, offload)
        faulty.port.poll()
        faulty.port.send(sent, offload)
        faulty.port.received.extend(faulty.wire.b.receive_offloaded())
    arrived = faulty.port.received
    assert len(arrived) == 600
    for data, about in arrived:
        assert about == Offload(0, 0, 0, 0, 0, 0)
        assert data != whole and is_noticed(data, whole)
    faulty.close()


def test_a_large_frame_is_corrupted_as_a_whole(core):
    faulty = Faulty(core, features_a=EVERY, features_b=EVERY, corrupt=1)
    whole = bytes(tcp(40_960))
    offload = Offload(1, 1, 54, 1460, 34, 16)
    faulty.wire.b.send(whole, offload)
    faulty.port.poll()
    ((data, about),) = faulty.port.received
    assert about == Offload(0, 0, 0, 0, 0, 0) and len(data) == len(whole)
    assert faulty.port.send(whole, offload), "what is to be segmented is lost"
    assert faulty.wire.b.receive() == []
    assert faulty.counted()["fault_tx_corrupted"] == 1
    faulty.close()


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 3 * MS),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=60)
def test_any_mixture_keeps_the_account(drop, duplicate, reorder, corrupt, delay, seed):
    with core_with_pool(size=4 << 20) as core:
        faulty = Faulty(
            core,
            drop=drop,
            duplicate=duplicate,
            reorder=reorder,
            corrupt=corrupt,
            delay=delay,
            seed=seed,
            capacity=1024,
        )
        out, back = faulty.both(numbered(60, 1200))
        counters = faulty.device.counters()
        for lane, arrived in (("tx", out), ("rx", back)):
            assert counters[f"fault_{lane}_frames"] == 60
            expected = 60 - counters[f"fault_{lane}_dropped"] + counters[f"fault_{lane}_duplicated"]
            assert len(arrived) == expected
        faulty.close()
        assert core.pool.live_slots() == 0


@pytest.mark.parametrize("capture_inside", [False, True])
def test_wrappers_stack_in_any_order(core, tmp_path, capture_inside):
    wire = MemoryWire()
    clock = VirtualWallClock(core.clock, 0)
    stack: device.Device
    if capture_inside:
        stack = FaultDevice(CaptureDevice(wire.a, tmp_path / "a.pcapng", clock), drop=1)
    else:
        stack = CaptureDevice(FaultDevice(wire.a, drop=1), tmp_path / "a.pcapng", clock)
    port = RawPort(stack.queues[0])
    port.send(bytes(60))
    wire.b.send(bytes(60))
    assert port.receive() == [] and wire.b.receive() == []
    counters = stack.counters()
    assert (counters["fault_tx_dropped"], counters["fault_rx_dropped"]) == (1, 1)
    assert counters["capture_frames"] == 1, "inside it sees the frame received, outside the one sent"
    assert counters["rx_frames"] == 1
    stack.close()
    stack.close()
    wire.close()


@pytest.mark.parametrize("wrong", [{"drop": -0.1}, {"corrupt": 1.1}, {"reorder": float("nan")}])
def test_probabilities_are_checked(core, wrong):
    wire = MemoryWire()
    with pytest.raises(ValueError, match="probability from 0 to 1"):
        FaultDevice(wire.a, **wrong)
    wire.close()
