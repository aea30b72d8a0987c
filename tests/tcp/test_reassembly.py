"""Out-of-order data, against a model of bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from netapp.tcp.config import TcpConfig
from tests.support.stack import Recorder, stack

# Connections open at this offset from the peer's initial number; several of them lie around the end of the space.
STARTS = st.sampled_from([1000, 2**32 - 1, 2**32 - 2, 2**32 - 300, 2**31 - 100])
PIECES = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 700), st.integers(0, 255)), min_size=1, max_size=40)


def model(pieces, begin=0, taken=b""):
    """What came first stays; the bytes in order from `begin`, after all `pieces`."""
    known: dict[int, int] = {}
    for start, data in pieces:
        for i, byte in enumerate(data):
            known.setdefault(start + i, byte)
    got = bytearray(taken)
    while begin + len(got) in known:
        got.append(known[begin + len(got)])
    return bytes(got)


@settings(max_examples=150)
@given(start=STARTS, pieces=PIECES, fills=st.booleans())
def test_any_pieces_in_any_order(start, pieces, fills):
    with stack() as s:
        made = s.listen()
        peer = s.peer(isn=start).open()
        sent = []
        for offset, length, seed in pieces:
            data = bytes((seed + i) & 255 for i in range(length))
            peer.send("A", data, seq=peer.seq + offset)
            sent.append((offset, data))
            assert made[0].data == model(sent)
        if fills:
            end = max(offset + len(data) for offset, data in sent)
            for offset in range(0, end, 1000):
                data = bytes(min(1000, end - offset))
                peer.send("A", data, seq=peer.seq + offset)
                sent.append((offset, data))
            assert made[0].data == model(sent)
            assert len(made[0].data) == end
            assert peer.get()[-1].ack == (peer.seq + end) % 2**32
        assert not s.counters["dropped_reassembly"]


@settings(max_examples=60)
@given(start=STARTS, order=st.permutations(range(20)), fin=st.integers(0, 20))
def test_any_order_of_segments_and_fin(start, order, fin):
    with stack() as s:
        made = s.listen()
        peer = s.peer(isn=start).open()
        sent = [bytes([i]) * (50 + 60 * i) for i in range(20)]
        places = [sum(map(len, sent[:i])) for i in range(21)]
        steps = list(order)
        steps.insert(fin, "fin")
        for step in steps:
            if step == "fin":
                peer.send("FA", seq=peer.seq + places[20])
            else:
                peer.send("A", sent[step], seq=peer.seq + places[step])
        assert made[0].data == b"".join(sent)
        assert made[0].calls.count("peer_closed") == 1 and made[0].calls[-1] == "peer_closed"
        assert peer.get()[-1].ack == (peer.seq + places[20] + 1) % 2**32


@settings(max_examples=100)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 6000), st.integers(1, 1400)), max_size=40),
    window=st.integers(1500, 5000),
    paused=st.booleans(),
)
def test_never_more_than_the_window(pieces, window, paused):
    with stack(TcpConfig(receive_window=window)) as s:
        made = s.listen()
        peer = s.peer().open()
        if paused:
            made[0].pause()
        sent = []
        for offset, length in pieces:
            data = bytes((offset + i) & 255 for i in range(length))
            peer.send("A", data, seq=peer.seq + offset)
            sent.append((offset, data))
            # Beyond twice the window nothing is ever kept, whatever moves the window on.
            assert s.core.pool.pinned()["tcp"] + s.core.pool.pinned()["device"] < 40 * (window + 4096)
        made[0].resume()
        s.core.settle()
        got = made[0].data
        assert got == bytes(i & 255 for i in range(len(got)))
        if paused:
            assert len(got) <= window


def test_bytes_that_came_first_stay():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        peer.send("A", b"BBBB", seq=peer.seq + 4)
        peer.send("A", b"xxxxCCCC", seq=peer.seq + 4 + 2)
        peer.send("A", b"AAAAyyyyyy", seq=peer.seq)
        assert made[0].data == b"AAAABBBBxxCCCC"[:14]
        peer.send("A", b"zzzz", seq=peer.seq)
        assert len(made[0].data) == 14


def test_one_segment_over_many_ranges():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for i in range(1, 10, 2):
            peer.send("A", bytes([i]) * 10, seq=peer.seq + 10 * i)
        peer.send("A", b"\xff" * 105, seq=peer.seq + 2)
        assert made[0].data == b""
        peer.send("A", b"\xee" * 4, seq=peer.seq)
        expected = b"\xee" * 2 + b"\xff" * 8
        for i in range(1, 10):
            expected += (bytes([i]) if i % 2 else b"\xff") * 10
        assert made[0].data == expected + b"\xff" * 7
        assert s.counters["out_of_order"] == 6


def test_too_many_ranges_are_dropped_and_counted():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for i in range(1, 50):
            peer.send("A", bytes([i]), seq=peer.seq + 2 * i)
        assert s.counters["dropped_reassembly"] == 49 - 32
        sent = [(2 * i, bytes([i])) for i in range(1, 33)]
        for i in range(50):
            peer.send("A", b"\0\0", seq=peer.seq + 2 * i)
            sent.append((2 * i, b"\0\0"))
        assert made[0].data == model(sent)
        assert s.state() == "ESTABLISHED"


def test_small_pieces_are_copied_together():
    """A byte must not pin a slot of 2 KiB."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for i in range(1, 1001):
            peer.send("A", b"x", seq=peer.seq + i)
        s.frames()
        peer.send("A", b"x", seq=peer.seq + i)  # so that the device's ring gives back what was sent
        pinned = s.core.pool.pinned()
        assert pinned["tcp"] + pinned["device"] <= 3 * 4096
        peer.send("A", b"x")
        assert made[0].data == b"x" * 1001


def test_held_pieces_of_a_paused_handler_are_copied_together():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        for _ in range(1000):
            peer.send("A", b"x")
        pinned = s.core.pool.pinned()
        assert pinned["tcp"] + pinned["device"] <= 3 * 4096
        made[0].resume()
        s.core.settle()
        assert made[0].data == b"x" * 1000


def test_full_segments_are_kept_by_reference():
    with stack() as s:
        made = s.listen(7, lambda: Recorder())
        peer = s.peer().open()
        before = s.core.pool.copied()
        for i in range(1, 10):
            peer.send("A", bytes([i]) * 1460, seq=peer.seq + 1460 * i)
        assert s.core.pool.copied() == before
        peer.send("A", bytes(1460))
        assert len(made[0].data) == 14600


def test_what_waits_goes_with_the_connection():
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for i in range(1, 20):
            peer.send("A", bytes([i]) * 1400, seq=peer.seq + 1500 * i)
        peer.get()
        peer.send("R")
        assert s.state() == "CLOSED"
        assert s.core.pool.pinned()["tcp"] == 0
