"""RFC 9293, 3.8.6: windows, zero windows, silly windows."""

from itertools import pairwise

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import MS, SECOND, Peer, Recorder, Stack, stack


def sending(s: Stack, amount: int, window: int) -> tuple[Recorder, Peer]:
    """Ours has `amount` bytes to send, of which those that fit the window are on their way."""
    made = s.listen()
    peer = s.peer(window=window).open(mss=1000)
    made[0].send(b"x" * amount)
    peer.get()
    return made[0], peer


def closed_window(s: Stack) -> tuple[Recorder, Peer]:
    """The peer's window is full, and stays at zero."""
    handler, peer = sending(s, 5000, 2000)
    assert len(peer.received) == 2000
    peer.window = 0
    peer.send("A")
    peer.nothing()
    return handler, peer


def filled(s: Stack) -> tuple[Recorder, Peer]:
    """Our window is full, and stays at zero while the handler is paused."""
    made = s.listen()
    peer = s.peer().open(scale=0)
    made[0].pause()
    sent = 0
    while sent < s.config.receive_window:
        size = min(1460, s.config.receive_window - sent)
        peer.send("A", b"y" * size)
        sent += size
    s.advance(s.config.delayed_ack)
    assert peer.get()[-1].win == 0
    return made[0], peer


def edge(segment) -> int:
    return (segment.ack + segment.win) % 2**32


def test_shld_14_the_right_edge_does_not_move_back() -> None:
    with stack(TcpConfig(receive_window=20000)) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        latest = edge(peer.syn)
        for size in (1, 1460, 7, 1000, 1460, 1460, 100):
            peer.send("A", b"y" * size)
            s.advance(s.config.delayed_ack)
            for segment in peer.get():
                assert edge(segment) == latest
        made[0].resume()
        assert edge(peer.one()) > latest


def test_must_34_a_window_may_shrink() -> None:
    with stack() as s:
        handler, peer = sending(s, 20000, 8000)
        assert len(peer.received) == 8000
        # All of it was lost, and the window is smaller than what is on its way.
        peer.received, peer.ack = b"", peer.ack - 8000
        peer.send("A", window=1000)
        peer.nothing()
        # The usable window is less than nothing.
        handler.send(b"x" * 2000)
        peer.nothing()
        s.advance(3 * SECOND)
        assert all((segment.seq + len(segment.data) - peer.ack) % 2**32 <= 1000 for segment in s.segments())
        # It opens again, and everything arrives.
        while len(peer.received) < 22000:
            peer.send("A", window=8000)
            if not peer.get():
                s.advance(SECOND)
        assert peer.received == b"x" * 22000 and handler.calls == ["connected"]


def shrunk(s: Stack, window: int) -> tuple[Recorder, Peer]:
    """8,000 bytes are on their way when the window shrinks."""
    handler, peer = sending(s, 20000, 8000)
    peer.received, peer.ack = b"", peer.ack - 8000
    peer.window = window
    peer.send("A")
    peer.nothing()
    return handler, peer


def test_shld_15_then_nothing_new_is_sent() -> None:
    with stack() as s:
        handler, peer = shrunk(s, 2000)
        begun = peer.ack
        handler.send(b"x" * 2000)
        for _ in range(20):
            _, segments = s.until_sent(10 * SECOND)
            assert all((segment.seq + len(segment.data) - begun) % 2**32 <= 8000 for segment in segments)


def test_shld_16_what_is_within_the_window_is_retransmitted() -> None:
    with stack() as s:
        _, peer = shrunk(s, 2000)
        _, [segment] = s.until_sent()
        assert segment.seq == peer.ack and len(segment.data) == 1000
        peer.ack += 1000
        peer.send("A", window=1000)
        _, [segment] = s.until_sent()
        assert segment.seq == peer.ack and len(segment.data) == 1000


def test_shld_17_what_is_beyond_does_not_time_out() -> None:
    with stack() as s:
        handler, peer = shrunk(s, 0)
        begun = s.now
        while s.now - begun < 3 * s.config.give_up:
            assert s.until_sent()[1] and s.state() == "ESTABLISHED"
            peer.send("A")
        assert handler.calls == ["connected"]


def test_must_35_a_window_that_shrinks_to_zero_is_probed() -> None:
    with stack() as s:
        _, peer = shrunk(s, 0)
        for _ in range(5):
            _, segments = s.until_sent()
            assert [(segment.seq, len(segment.data)) for segment in segments] == [(peer.ack, 1)]
            peer.send("A")
        peer.send("A", window=8000)
        assert len(peer.get()) > 0 and len(peer.received) >= 1000


def test_must_36_a_zero_window_is_probed() -> None:
    with stack() as s:
        _, peer = closed_window(s)
        _, [probe] = s.until_sent()
        assert probe.seq == peer.ack and len(probe.data) == 1
        # The answer with an open window may have been lost: the next probe brings another one.
        _, [probe] = s.until_sent()
        assert probe.seq == peer.ack
        peer.send("A", window=5000)
        peer.get()
        assert len(peer.received) == 5000


def test_must_37_as_long_as_probes_are_answered_the_connection_stays() -> None:
    with stack() as s:
        handler, peer = closed_window(s)
        begun = s.now
        while s.now - begun < 10 * s.config.give_up:
            assert s.until_sent()[1] and s.state() == "ESTABLISHED"
            peer.send("A")
        assert s.state() == "ESTABLISHED" and handler.calls == ["connected"]
        peer.send("A", window=5000)
        peer.get()
        assert len(peer.received) == 5000


def test_shld_29_the_first_probe_comes_after_the_time_out() -> None:
    with stack() as s:
        _, _peer = closed_window(s)
        passed, _ = s.until_sent()
        # No round trip took time on this wire.
        assert passed == pytest.approx(s.config.minimum_rto, abs=2 * MS)


def test_shld_30_probes_back_off_exponentially() -> None:
    with stack() as s:
        _, peer = closed_window(s)
        gaps = []
        for _ in range(12):
            passed, _ = s.until_sent()
            gaps.append(passed)
            peer.send("A")
        assert [round(gap / gaps[0]) for gap in gaps[:7]] == [1, 2, 4, 8, 16, 32, 64]
        assert gaps[-1] == pytest.approx(s.config.maximum_rto, rel=0.01)


def test_may_8_our_window_may_stay_closed() -> None:
    with stack(TcpConfig(receive_window=20000)) as s:
        handler, peer = filled(s)
        for _ in range(100):
            s.advance(120 * SECOND)
            peer.send("A", b"z", seq=peer.seq)
            answer = peer.one()
            assert (answer.ack, answer.win) == (peer.seq, 0)
        handler.resume()
        assert peer.one().win > 0 and len(handler.data) == 20000


def test_must_66_a_reset_is_processed_at_a_zero_window() -> None:
    with stack(TcpConfig(receive_window=20000)) as s:
        handler, peer = filled(s)
        peer.send("R")
        assert handler.calls[-1] == "closed" and isinstance(handler.error, ConnectionResetError)


def test_must_66_so_is_an_acknowledgment() -> None:
    with stack(TcpConfig(receive_window=20000)) as s:
        handler, peer = filled(s)
        handler.send(b"to the peer")
        assert peer.one().data == b"to the peer"
        peer.send("A")
        assert handler.connection.queued == 0


def test_must_38_a_sender_avoids_silly_windows() -> None:
    with stack() as s:
        _, peer = sending(s, 100_000, 5000)
        assert len(peer.received) == 5000
        # The window opens by a little at a time.
        for opened in range(50, 950, 50):
            peer.send("A", window=opened)
            peer.nothing()
        peer.send("A", window=1000)
        assert [len(segment.data) for segment in peer.get()] == [1000]


def test_must_38_but_not_for_ever() -> None:
    """3.8.6.2.1: the override time-out."""
    with stack() as s:
        _, peer = sending(s, 100_000, 5000)
        peer.send("A", window=500)
        peer.nothing()
        passed, [segment] = s.until_sent()
        assert 100 * MS <= passed <= SECOND and len(segment.data) == 500


def test_must_39_a_receiver_avoids_silly_windows() -> None:
    """3.8.6.2.2: the right edge moves on by a segment at least."""
    with stack(TcpConfig(receive_window=20000)) as s:
        s.listen()
        peer = s.peer().open()
        edges = [edge(peer.syn)]
        for _ in range(200):
            peer.send("A", b"y" * 100)
            s.advance(s.config.delayed_ack)
            edges += [edge(segment) for segment in peer.get()]
        steps = [after - before for before, after in pairwise(edges) if after != before]
        assert steps and min(steps) >= 1460
