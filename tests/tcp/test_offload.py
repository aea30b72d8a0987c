"""Checksums and segmentation by the device, and large received frames."""

import pytest

from netapp.drivers.device import CHECKSUM, RX_CHECKSUM, RX_TSO4, TSO4, Offload
from tests.support.stack import MS, flags_of, stack

FEATURES = [0, CHECKSUM, CHECKSUM | TSO4, CHECKSUM | TSO4 | RX_CHECKSUM | RX_TSO4]
TEXT = bytes(i * 7 & 255 for i in range(40_000))


# Stack.segments() verifies every checksum, of IP and TCP.


@pytest.mark.parametrize("features", FEATURES)
def test_what_goes_out_is_right_whoever_sums_and_cuts(features):
    with stack(features=features) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(TEXT)
        made[0].send(b"odd")
        made[0].close()
        sizes = []
        while s.state() == "FIN_WAIT_1":
            found = peer.get()
            assert found, "it stands still"
            sizes += [len(one.data) for one in found]
            peer.acknowledge()
        assert peer.received == TEXT + b"odd"
        assert set(sizes[:-1]) == {1460}
        assert flags_of(found[-1]) == "FPA"


def test_a_device_that_cuts_gets_large_segments():
    with stack(features=CHECKSUM | TSO4) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(TEXT)
        sent = s.counters["segments_out"]
        s.core.settle()
        assert s.counters["segments_out"] == sent + 1, "the initial window in one"
        assert [len(one.data) for one in peer.get()] == [1460] * 10
        for _ in range(20):
            peer.acknowledge()
            peer.get()
        assert peer.received == TEXT


def test_the_peers_mss_is_what_the_device_cuts_by():
    with stack(features=CHECKSUM | TSO4) as s:
        made = s.listen()
        peer = s.peer().open(mss=700)
        made[0].send(TEXT[:7000])
        assert {len(one.data) for one in peer.get()} == {700}


def test_a_segment_of_the_device_is_at_most_an_ip_packet():
    with stack(features=CHECKSUM | TSO4) as s:
        made = s.listen()
        peer = s.peer(window=60_000).open(scale=8)
        made[0].send(bytes(2_000_000))
        for _ in range(60):
            peer.get()
            peer.acknowledge()
        for _ in range(1000):
            if len(peer.received) == 2_000_000:
                break
            peer.get()
            peer.acknowledge()
        assert peer.received == bytes(2_000_000)
        assert s.wire.a.counters()["tx_malformed"] == s.wire.a.counters()["tx_oversized"] == 0
        assert s.counters["retransmitted"] == 0


@pytest.mark.parametrize("features", FEATURES)
def test_retransmissions_and_resets_are_summed_too(features):
    with stack(features=features) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(TEXT[:3000])
        first = peer.get()
        s.advance(300 * MS)
        again = s.segments()
        assert [bytes(one.data) for one in again] == [bytes(first[0].data)]
        made[0].abort()
        assert flags_of(peer.one()) == "RA"
        s.peer(to=99).send("S")
        assert flags_of(s.segments()[0]) == "RA"


def test_a_received_checksum_is_not_looked_at_when_the_device_did():
    with stack(features=RX_CHECKSUM) as s:
        made = s.listen()
        peer = s.peer().open()
        frame = bytearray(peer.frame("PA", b"data"))
        frame[50] ^= 1
        # The other end's frame without a checksum yet: complete for us (CHECKSUM_PARTIAL).
        assert s.end.send(bytes(frame), Offload(1, 0, 0, 0, 34, 16))
        s.core.settle()
        assert made[0].data == b"data"
        peer.seq += 4
        assert s.end.send(peer.frame("PA", b"more"))
        s.core.settle()
        assert made[0].data == b"datamore"


def test_without_the_feature_it_is_looked_at():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        frame = bytearray(peer.frame("PA", b"data"))
        frame[50] ^= 1
        s.send_frame(bytes(frame))
        assert made[0].data == b"" and s.counters["dropped_checksum"] == 1


@pytest.mark.parametrize("features", [RX_CHECKSUM, RX_CHECKSUM | RX_TSO4])
def test_large_frames_come_in(features):
    """As a tap device hands them up, scattered over slots; without the feature the wire cuts them."""
    with stack(features=features) as s:
        made = s.echo()
        peer = s.peer().open()
        frame = peer.frame("PA", TEXT[:30_000])
        offload = Offload(flags=1, gso_type=1, header_length=54, gso_size=1460, csum_start=34, csum_offset=16)
        before = s.core.pool.copied()["tcp"]
        assert s.end.send(frame, offload)
        s.core.settle()
        assert made[0].data == TEXT[:30_000]
        assert s.core.pool.copied()["tcp"] == before
        peer.seq += 30_000
        while len(peer.received) < 30_000:
            assert peer.get(), "it stands still"
            peer.acknowledge()
        assert peer.received == TEXT[:30_000]


def test_a_large_frame_out_of_order_and_beyond_the_window():
    with stack(features=RX_CHECKSUM | RX_TSO4) as s:
        made = s.listen()
        peer = s.peer().open()
        offload = Offload(flags=1, gso_type=1, header_length=54, gso_size=1460, csum_start=34, csum_offset=16)
        for begin in (30_000, 10_000):
            frame = peer.frame("PA", TEXT[begin : begin + 10_000], seq=peer.seq + begin)
            assert s.end.send(frame, offload)
        s.core.settle()
        assert [one.ack for one in peer.get()] == [peer.seq] * 2
        assert s.end.send(peer.frame("PA", TEXT[:35_000], seq=peer.seq), offload)
        s.core.settle()
        assert made[0].data == TEXT
        peer.seq += 40_000
        peer.acknowledge()
        # 65,535 bytes of window, without scaling.
        made[0].pause()
        for begin in range(0, 300_000, 40_000):
            s.end.send(peer.frame("PA", TEXT, seq=peer.seq + begin), offload)
            s.core.settle()
        s.frames()
        assert s.counters["dropped_window"] > 0
        made[0].resume()
        s.core.settle()
        assert made[0].data == TEXT + (TEXT * 8)[: 256 << 10]
