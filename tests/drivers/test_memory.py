"""The memory wire: what one end transmits arrives at the other, with the offloads that it lacks done by the wire."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from netapp.drivers import device
from netapp.drivers.device import Offload
from netapp.drivers.memory import MemoryWire
from netapp.drivers.python import RawPort
from netapp.ebb.core import BUFFER_POOL, EbbNamespace
from netapp.iobuf.chain import Chain
from netapp.iobuf.pool import BufferPool
from tests.support.pools import core_with_pool

ALL = device.CHECKSUM | device.TSO4 | device.USO | device.RX_CHECKSUM | device.RX_TSO4 | device.RX_USO
PARTIAL, VALID, TCPV4, UDP_L4 = 1, 2, 1, 5


@pytest.fixture
def core():
    with core_with_pool() as made:
        yield made


def payload(length: int) -> bytes:
    return bytes((i * 7 + i // 251) % 256 for i in range(length))


def tcp_frame(length: int, flags: str = "PA", tagged: bool = False, **fields) -> Packet:
    link = Ether(dst="02:00:00:00:00:0b", src="02:00:00:00:00:0a")
    if tagged:
        link = link / Dot1Q(vlan=7)
    segment = TCP(sport=4000, dport=7, seq=2**32 - 700, ack=9, flags=flags, options=[("Timestamp", (1, 2))])
    return link / IP(src="10.0.0.1", dst="10.0.0.2", id=65534, **fields) / segment / Raw(payload(length))


def with_partial_checksum(frame: Packet, gso_size: int = 0) -> tuple[bytes, Offload]:
    """As a stack hands it to a device that completes checksums: the field holds the sum of the pseudo-header."""
    data = bytearray(bytes(frame))
    transport = data.index(bytes(frame[TCP] if TCP in frame else frame[UDP])[:12])
    at = 16 if TCP in frame else 6
    pseudo = data[transport - 8 : transport] + bytes([0, 6 if TCP in frame else 17])
    pseudo += (len(data) - transport).to_bytes(2, "big")
    total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, len(pseudo), 2))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    data[transport + at : transport + at + 2] = total.to_bytes(2, "big")
    header = len(data) - len(frame[Raw].load)
    kind = TCPV4 if TCP in frame else UDP_L4
    return bytes(data), Offload(PARTIAL, kind if gso_size else 0, header, gso_size, transport, at)


def checked(data: bytes) -> Packet:
    """The frame as scapy sees it; its checksums are those that scapy computes."""
    frame = Ether(data)
    again = frame.copy()
    for layer in (IP, TCP, UDP):
        if layer in again:
            del again[layer].chksum
    assert bytes(again) == data
    return frame


@given(st.lists(st.integers(14, 1514), min_size=1, max_size=20), st.booleans())
@settings(max_examples=50)
def test_frames_arrive_as_sent_in_order(lengths, forth):
    with core_with_pool(size=4 << 20) as core:
        wire = MemoryWire()
        sender, receiver = (wire.a, wire.b) if forth else (wire.b, wire.a)
        frames = [payload(length) for length in lengths]
        port = RawPort(receiver.queue)
        for frame in frames:
            assert sender.send(frame)
        assert port.receive() == frames
        assert receiver.counters()["rx_bytes"] == sender.counters()["tx_bytes"] == sum(lengths)
        wire.close()
        assert core.pool.live_slots() == 0


def test_raw_frames_need_no_node_at_either_end(core):
    wire = MemoryWire()
    wire.a.send(b"x" * 60)
    wire.b.send(b"y" * 61)
    assert wire.a.receive() == [b"y" * 61]
    assert wire.b.receive() == [b"x" * 60]
    assert core.pool.live_slots() == 0, "frames that were received are given back without closing"
    wire.close()


def test_a_chain_that_is_sent_is_emptied(core):
    wire = MemoryWire()
    chain = Chain(payload(1000))
    chain.append(payload(400))
    wire.a.send(chain)
    assert len(chain) == 0
    assert wire.b.receive() == [payload(1000) + payload(400)]
    wire.close()


def test_no_byte_counts_as_copied(core):
    wire = MemoryWire()
    port = RawPort(wire.b.queue)
    wire.a.send(payload(1400))
    assert len(port.receive()) == 1
    assert not any(core.pool.copied().values())
    wire.close()


def test_a_full_ring_refuses_and_loses_nothing(core):
    wire = MemoryWire(capacity=4)
    frames = [bytes([i]) * 60 for i in range(6)]
    assert [wire.a.send(frame) for frame in frames] == [True] * 4 + [False] * 2
    assert wire.a.counters()["tx_full"] == 2
    chain = Chain(payload(300))
    assert not wire.a.send(chain)
    assert len(chain) == 300, "a refused frame is unchanged"
    chain.clear()
    assert wire.b.receive() == frames[:4]
    assert wire.a.send(frames[4])
    assert wire.b.receive() == frames[4:5]
    wire.close()


def test_room_in_a_full_ring_wakes_the_sender(core):
    wire = MemoryWire(capacity=2)
    raised: list[object] = []
    port = RawPort(wire.a.queue)
    wire.a.queue.notify = raised.append
    assert not port.enable_interrupts()
    assert [wire.a.send(b"x" * 60) for _ in range(3)] == [True, True, False]
    wire.b.receive()
    assert raised == [wire.a.queue]
    assert port.enable_interrupts(), "there is room now"
    wire.close()


def test_interrupts_are_raised_only_while_enabled(core):
    wire = MemoryWire()
    raised: list[object] = []
    wire.b.queue.notify = raised.append
    port = RawPort(wire.b.queue)
    wire.a.send(b"x" * 60)
    assert raised == []
    assert port.enable_interrupts(), "a frame waits: no interrupt will tell"
    port.receive()
    assert not port.enable_interrupts()
    wire.a.send(b"y" * 60)
    assert raised == [wire.b.queue]
    wire.close()


@pytest.mark.parametrize(("length", "tag", "fits"), [(1514, False, True), (1515, False, False), (1518, True, True)])
def test_the_mtu_is_kept(core, length, tag, fits):
    wire = MemoryWire(mtu=1500)
    frame = bytes(12) + (b"\x81\0\0\x07\x08\0" if tag else b"\x08\0")
    wire.a.send(frame + bytes(length - len(frame)))
    assert len(wire.b.receive()) == fits
    assert wire.a.counters()["tx_oversized"] == (not fits)
    wire.close()


def test_an_exhausted_pool_drops_and_counts():
    with core_with_pool(size=64 * 4096, reserve=0):
        wire = MemoryWire()
        sent = [bytes([i]) * 1400 for i in range(3)]
        sender = RawPort(wire.a.queue)  # unlike wire.a.send, it gives slots back when it looks again
        for frame in sent:
            sender.send(frame)
        hoard: list[Chain] = []
        with pytest.raises(MemoryError):
            while True:
                hoard.append(Chain())
                hoard[-1].write(bytes(2048))
        port = RawPort(wire.b.queue)
        assert port.receive() == []
        assert wire.b.counters()["rx_no_slots"] == 3
        hoard.clear()
        sender.send(sent[0])
        assert port.receive() == [sent[0]]
        wire.close()


def test_nobody_receives(core):
    wire = MemoryWire()
    port = RawPort(wire.b.queue)
    port.close()
    wire.a.send(b"x" * 60)
    assert port.poll() == 1
    assert wire.b.counters()["rx_no_receiver"] == 1
    wire.close()


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("length", [1, 2, 1441, 1448])
def test_the_wire_completes_checksums(core, length, tagged):
    wire = MemoryWire(features_a=device.CHECKSUM)
    data, offload = with_partial_checksum(tcp_frame(length, tagged=tagged))
    wire.a.send(data, offload)
    ((arrived, about),) = wire.b.receive_offloaded()
    assert about == Offload(0, 0, 0, 0, 0, 0)
    assert arrived != data
    assert checked(arrived)[Raw].load == payload(length)
    wire.close()


def test_udp_checksum_of_zero_is_sent_as_ones(core):
    wire = MemoryWire(features_a=device.CHECKSUM)
    frame = Ether(dst="02:00:00:00:00:0b") / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2)
    data, _ = with_partial_checksum(frame / Raw(bytes(2)))
    rest = sum(int.from_bytes(data[i : i + 2], "big") for i in range(34, len(data), 2))
    data, offload = with_partial_checksum(frame / Raw((-rest % 65535).to_bytes(2, "big")))
    wire.a.send(data, offload)
    (arrived,) = wire.b.receive()
    assert arrived[40:42] == b"\xff\xff"
    wire.close()


def test_an_end_with_checksum_offload_gets_them_as_they_are(core):
    wire = MemoryWire(features_a=ALL, features_b=ALL)
    data, offload = with_partial_checksum(tcp_frame(1000))
    wire.a.send(data, offload)
    assert wire.b.receive_offloaded() == [(data, offload)]
    data, offload = with_partial_checksum(tcp_frame(40_000), gso_size=1448)
    wire.a.send(data, offload)
    assert wire.b.receive_offloaded() == [(data, offload)]
    valid = Offload(VALID, 0, 0, 0, 0, 0)
    wire.a.send(bytes(tcp_frame(5)), valid)
    assert wire.b.receive_offloaded()[0][1] == valid
    wire.close()


def test_nobody_vouches_at_an_end_without_checksum_offload(core):
    wire = MemoryWire(features_a=ALL)
    wire.a.send(bytes(tcp_frame(5)), Offload(VALID, 0, 0, 0, 0, 0))
    assert wire.b.receive_offloaded()[0][1] == Offload(0, 0, 0, 0, 0, 0)
    wire.close()


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("vouched", [False, True])
@pytest.mark.parametrize("length", [1, 1448, 1449, 2896, 20_001, 65_400])
def test_segmentation(core, length, tagged, vouched):
    wire = MemoryWire(features_a=ALL, features_b=device.RX_CHECKSUM if vouched else 0)
    whole = tcp_frame(length, flags="FPAC", tagged=tagged)
    wire.a.send(*with_partial_checksum(whole, gso_size=1448))
    arrived = wire.b.receive_offloaded()
    segments = [checked(data) for data, _ in arrived]
    count = (length + 1447) // 1448
    assert len(segments) == count
    assert b"".join(segment[Raw].load for segment in segments) == payload(length)
    assert all(about == Offload(VALID if vouched else 0, 0, 0, 0, 0, 0) for _, about in arrived)
    for i, segment in enumerate(segments):
        flags = "A" + ("C" if i == 0 else "") + ("FP" if i == count - 1 else "")
        expected = tcp_frame(0, flags=flags, tagged=tagged)
        expected[IP].id = (65534 + i) % 65536
        expected[TCP].seq = (2**32 - 700 + i * 1448) % 2**32
        expected = expected / Raw(payload(length)[i * 1448 : (i + 1) * 1448])
        assert bytes(segment) == bytes(expected)
    assert wire.b.counters()["rx_segments"] == count
    wire.close()


def udp_frame(data: bytes, tagged: bool = False, **fields) -> Packet:
    link = Ether(dst="02:00:00:00:00:0b", src="02:00:00:00:00:0a")
    if tagged:
        link = link / Dot1Q(vlan=7)
    return link / IP(src="10.0.0.1", dst="10.0.0.2", **{"id": 65534, **fields}) / UDP(sport=4000, dport=7) / Raw(data)


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("vouched", [False, True])
@pytest.mark.parametrize("length", [1, 1200, 1201, 2400, 20_001, 65_400])
def test_segmentation_of_udp(core, length, tagged, vouched):
    wire = MemoryWire(features_a=ALL, features_b=device.RX_CHECKSUM if vouched else 0)
    wire.a.send(*with_partial_checksum(udp_frame(payload(length), tagged), gso_size=1200))
    arrived = wire.b.receive_offloaded()
    assert all(about == Offload(VALID if vouched else 0, 0, 0, 0, 0, 0) for _, about in arrived)
    count = (length + 1199) // 1200
    assert len(arrived) == count
    for i, (data, _) in enumerate(arrived):
        expected = udp_frame(payload(length)[i * 1200 : (i + 1) * 1200], tagged, id=(65534 + i) % 65536)
        assert bytes(checked(data)) == bytes(expected)
    assert wire.b.counters()["rx_segments"] == count
    wire.close()


@pytest.mark.parametrize(("features", "count"), [(device.RX_USO, 1), (device.RX_TSO4, 3)])
def test_who_takes_large_udp_frames_gets_them_whole(core, features, count):
    wire = MemoryWire(features_a=ALL, features_b=features | device.RX_CHECKSUM)
    wire.a.send(*with_partial_checksum(udp_frame(payload(3000)), gso_size=1200))
    assert len(wire.b.receive()) == count
    wire.close()


def test_segments_keep_to_the_budget(core):
    wire = MemoryWire(features_a=ALL)
    port = RawPort(wire.b.queue)
    wire.a.send(*with_partial_checksum(tcp_frame(14_480), gso_size=1448))
    assert [port.poll(4), port.poll(4), port.poll(4), port.poll(4)] == [4, 4, 2, 0]
    wire.close()


@pytest.mark.parametrize(
    "offload",
    [
        Offload(PARTIAL, 0, 66, 0, 60_000, 16),
        Offload(PARTIAL, 0, 66, 0, 34, 65_535),
        Offload(PARTIAL, TCPV4, 66, 0, 34, 16),
        Offload(PARTIAL, 4, 66, 1448, 34, 16),
        Offload(0, TCPV4, 66, 1448, 34, 16),
        Offload(PARTIAL, UDP_L4, 42, 1200, 34, 6),
    ],
)
def test_offloads_that_do_not_fit_are_dropped(core, offload):
    wire = MemoryWire(features_a=ALL)
    wire.a.send(bytes(tcp_frame(1000)), offload)
    assert wire.b.receive() == []
    assert wire.a.counters()["tx_malformed"] == 1
    wire.close()


@given(st.binary(min_size=0, max_size=200), st.integers(0, 70_000), st.sampled_from([TCPV4, UDP_L4]))
@settings(max_examples=200)
def test_nonsense_to_segment_harms_nobody(head, length, kind):
    with core_with_pool(size=4 << 20):
        wire = MemoryWire(features_a=ALL)
        wire.a.send(head + bytes(length), Offload(PARTIAL, kind, 54, 1000, 34, 16))
        arrived = wire.b.receive()
        assert all(len(data) <= 1514 for data in arrived)
        wire.close()


def test_two_cores_never_free_each_others_slots():
    namespace = EbbNamespace(cores=2)
    pools = [BufferPool(), BufferPool()]
    namespace.install(BUFFER_POOL, lambda core, ebb_id: pools[core.index])
    first, second = namespace.cores
    wire = MemoryWire()
    with second:
        port = RawPort(wire.b.queue)
    with first:
        wire.a.send(payload(1400))
    with second:
        assert port.receive() == [payload(1400)]
    assert pools[0].live_slots() == 1, "the sender has not looked yet"
    assert pools[1].live_slots() == 0
    with first:
        assert wire.a.receive() == []
    assert pools[0].live_slots() == 0
    wire.close()


def test_a_closed_end_takes_everything_back(core):
    wire = MemoryWire()
    wire.a.send(payload(1000))
    wire.b.send(payload(1000))
    wire.a.close()
    wire.a.close()
    assert wire.b.receive() == []
    assert wire.b.send(payload(100))
    assert wire.b.counters()["tx_link_down"] == 1
    assert wire.a.send(payload(100))
    wire.b.close()
    assert core.pool.live_slots() == 0


@pytest.mark.parametrize(
    "wrong",
    [{"capacity": 0}, {"capacity": 100}, {"mtu": 20}, {"features_a": device.TSO4}, {"features_b": device.RX_USO}],
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError):
        MemoryWire(**wrong)
