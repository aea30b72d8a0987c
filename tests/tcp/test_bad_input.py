"""Whatever comes from the wire: no exception, no growth, and each drop is counted by its reason."""

import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netapp.tcp.config import TcpConfig
from netapp.wire import tcp as wire
from netapp.wire.checksum import checksum
from tests.support.stack import SECOND, Recorder, flags_of, stack

OURS, THEIRS = bytes([10, 99, 0, 2]), bytes([10, 99, 0, 1])
CONFIG = TcpConfig(receive_window=20_000, max_connections=50, backlog=10, syn_received_give_up=5 * SECOND)


def packet(segment):
    """A frame to us with a segment of any bytes."""
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, THEIRS, OURS)
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return b"\x02\0\0\0\0\x0a\x02\0\0\0\0\x0b\x08\0" + header + segment


def summed(segment):
    """The segment with the checksum it should have."""
    segment = segment[:16] + b"\0\0" + segment[18:]
    total = checksum(THEIRS + OURS + b"\0\x06" + len(segment).to_bytes(2, "big") + segment)
    return segment[:16] + total.to_bytes(2, "big") + segment[18:]


def dropped(s):
    return {name: n for name, n in s.counters.items() if name.startswith("dropped_") and n}


@pytest.mark.parametrize("length", range(20))
def test_a_truncated_header(length):
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        whole = peer.frame("PA", b"data")[34:]
        s.send_frame(packet(whole[:length]))
        assert dropped(s) == {"dropped_short": 1}
        peer.nothing()


@pytest.mark.parametrize("words", [0, 1, 4, 7, 15])
def test_a_data_offset_that_does_not_fit(words):
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        segment = bytearray(peer.frame("PA", b"data")[34:])
        segment[12] = words << 4
        s.send_frame(packet(summed(bytes(segment))))
        assert dropped(s) == {"dropped_header": 1}
        peer.nothing()


@pytest.mark.parametrize("place", [0, 4, 13, 17, 20, 23])
def test_a_wrong_checksum(place):
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        segment = bytearray(peer.frame("PA", b"data")[34:])
        segment[place] ^= 1
        s.send_frame(packet(bytes(segment)))
        assert dropped(s) == {"dropped_checksum": 1} and made[0].data == b""
        peer.nothing()


def test_malformed_options_of_a_connection_do_not_matter():
    """Options are read in SYNs only; text after bad ones is text."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        segment = wire.build(
            THEIRS, OURS, peer.port, 7, peer.seq, peer.ack, 0x18, 1000, options=b"\x02\x00\xff\x01", payload=b"data"
        )
        s.send_frame(packet(segment))
        assert made[0].data == b"data"


def into(s, state):
    """A connection in `state`, its peer, and a handler where there is one."""
    if state == "SYN_SENT":
        return s.connect()[1]
    if state == "LISTEN":
        s.listen()
        return s.peer()
    made = s.listen()
    peer = s.peer()
    if state == "SYN_RECEIVED":
        peer.send("S")
        peer.get()
        return peer
    peer.open()
    handler = made[0]
    handler.send(b"unacknowledged" * 300)
    fin: Any = None
    if state in ("CLOSE_WAIT", "LAST_ACK"):
        peer.send("FA")
    if state in ("FIN_WAIT_1", "FIN_WAIT_2", "CLOSING", "TIME_WAIT", "LAST_ACK"):
        handler.close()
        fin = peer.get()[-1]
    if state in ("FIN_WAIT_2", "TIME_WAIT"):
        peer.acknowledge()
    if state in ("CLOSING", "TIME_WAIT"):
        peer.send("FA", ack=peer.ack if state == "TIME_WAIT" else fin.seq)
    peer.get()
    assert s.state() == state
    return peer


STATES = [
    "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING",
    "LAST_ACK", "TIME_WAIT",
]  # fmt: skip
NEAR = st.one_of(st.integers(-3, 3), st.integers(-30_000, 30_000), st.integers(-(2**31), 2**31))
SEGMENT = st.tuples(
    st.integers(0, 255),  # flags
    NEAR,
    NEAR,
    st.integers(0, 65535),
    st.one_of(st.just(b""), st.binary(max_size=40)),
    st.one_of(st.just(b""), st.binary(max_size=60)),
)


@settings(max_examples=40)
@given(segments=st.lists(SEGMENT, min_size=1, max_size=25))
@pytest.mark.parametrize("state", STATES)
def test_any_segments_in_any_state(state, segments):
    with stack(CONFIG) as s:
        peer = into(s, state)
        for flags, seq, ack, window, options, text in segments:
            options = options[: len(options) // 4 * 4]
            segment = wire.build(
                THEIRS, OURS, peer.port, peer.to, (peer.seq + seq) % 2**32, (peer.ack + ack) % 2**32, flags, window,
                options=options, payload=text,
            )  # fmt: skip
            s.send_frame(packet(segment))
            s.frames()
        # However it was left, it comes to an end.
        [one.close() for one in s.tcp.connections() if one.state_name == "ESTABLISHED"]
        s.advance(600 * SECOND)
        s.frames()
        s.advance(3600 * SECOND)
        s.frames()
        left = {one.state_name for one in s.tcp.connections()}
        assert left <= {"CLOSE_WAIT"}, left


@settings(max_examples=80)
@given(data=st.binary(max_size=120), sums=st.booleans())
def test_any_bytes(data, sums):
    with stack(CONFIG) as s:
        s.listen()
        s.peer().open()
        if sums and len(data) >= 20:
            data = summed(data[:12] + bytes([0x50 | data[12] & 15]) + data[13:])
        s.send_frame(packet(data))
        s.frames()
        assert s.state() in ("ESTABLISHED", "CLOSED")


def test_flipped_bits():
    """Of a whole conversation: most are dropped by their checksums, all that is taken is right."""
    choose = random.Random(5)
    with stack(CONFIG) as s:
        made = s.echo()
        peer = s.peer().open()
        text = b"the right text"
        for i in range(600):
            frame = bytearray(peer.frame("PA", text))
            frame[choose.randrange(len(frame))] ^= 1 << choose.randrange(8)
            assert s.end.send(bytes(frame))
            if i % 10 == 0:
                s.send_frame(peer.frame("PA", text))
                peer.seq += len(text)
                peer.get()
                peer.acknowledge()
        s.core.settle()
        assert {made[0].data[i : i + len(text)] for i in range(0, len(made[0].data), len(text))} == {text}
        assert s.counters["dropped_checksum"] > 250
        s.frames()


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_leaves_nothing(seed):
    """Random segments of many connections, in all states, with right checksums: memory stays bounded."""
    choose = random.Random(seed)
    with stack(CONFIG, pool=16 << 20) as s:
        made = s.echo()
        known: dict[int, tuple[int, int]] = {}
        most = 0
        for _ in range(1500):
            port = choose.randrange(1, 80)
            seq, ack = known.get(port, (choose.getrandbits(32), 0))
            flags = choose.choice([0x02, 0x10, 0x10, 0x18, 0x18, 0x11, 0x04, 0x14, 0x12, choose.getrandbits(8)])
            seq += choose.choice([0, 0, 0, 0, 0, 1, -1, 100, choose.randrange(30_000)])
            ack += choose.choice([0, 0, 0, 0, 1, -1, choose.getrandbits(32)])
            text = bytes(choose.choice([0, 0, 1, 1, 100, 1400]))
            segment = wire.build(
                THEIRS, OURS, port, 7, seq % 2**32, ack % 2**32, flags, choose.choice([0, 1, 1000, 65535]),
                payload=text if flags != 2 else b"",
            )  # fmt: skip
            s.send_frame(packet(segment))
            for answer in s.segments():
                known[answer.dport] = (answer.ack, (answer.seq + len(answer.data) + bool(answer.flags & 3)) % 2**32)
            if choose.random() < 0.1:
                s.advance(choose.randrange(SECOND))
            assert len(s.tcp.connections()) <= 50
            most = max(most, s.core.pool.live_slots())
        assert most < 50 * 40
        assert made
        s.advance(200 * SECOND)
        s.frames()


def test_a_flood_of_tiny_segments_does_not_pin_memory():
    with stack(TcpConfig(receive_window=60_000)) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        for i in range(3000):
            assert s.end.send(peer.frame("A", b"x", seq=peer.seq + i + (i > 1500)))
            if i % 500 == 0:
                s.frames()
        s.frames()
        peer.acknowledge()
        pinned = s.core.pool.pinned()
        assert pinned["tcp"] + pinned["device"] < 100_000
        assert s.core.pool.live_iobufs() < 100


def test_a_flood_of_syns_is_bounded_and_passes():
    with stack(TcpConfig(backlog=20)) as s:
        made = s.listen()
        for i in range(500):
            s.send_frame(packet(wire.build(THEIRS, OURS, 1000 + i, 7, i, 0, 2, 1000)))
            s.frames()
        assert len(s.tcp.connections()) == 20
        assert s.counters["dropped_backlog"] == 480
        s.advance(40 * SECOND)
        s.frames()
        assert s.tcp.connections() == []
        s.peer().open()
        assert len(made) == 1


def test_each_drop_has_its_reason():
    """Every segment is taken, or counted as dropped exactly once."""
    choose = random.Random(11)
    with stack(CONFIG) as s:
        made = s.listen()
        peer = s.peer().open()
        for _ in range(500):
            before = sum(dropped(s).values())
            taken = len(made[0].data)
            seq = peer.seq + choose.choice([-1, -100, 40_000, 1 << 30])
            s.send_frame(peer.frame("PA", b"x", seq=seq))
            assert sum(dropped(s).values()) == before + 1
            assert len(made[0].data) == taken
            s.frames()
        assert set(dropped(s)) == {"dropped_sequence"}


def test_urgent_data_is_data():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        peer.send("UPA", b"urgent", urgptr=3)
        assert made[0].data == b"urgent"


def test_flags_of_the_future_are_ignored():
    """ECE, CWR and the reserved bits (RFC 9293, 3.1: must be ignored)."""
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("SEC", options=[("MSS", 1460)], reserved=7)
        answer = peer.one()
        assert flags_of(answer) == "SA"
        peer.send("AEC", b"data", reserved=7)
        assert made[0].data == b"data" and isinstance(made[0], Recorder)
