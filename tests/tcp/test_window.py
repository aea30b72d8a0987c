"""Flow control: RFC 9293, 3.8.6; window scaling: RFC 7323, 2."""

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import MS, SECOND, flags_of, stack

SMALL = TcpConfig(receive_window=8000)


def edge(segment, scale=0):
    return (segment.ack + (segment.win << scale)) % 2**32


# --- ours receives


def test_a_paused_handler_gets_nothing_until_resumed():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        peer.send("PA", b"one")
        peer.send("PA", b"two")
        assert made[0].data == b""
        made[0].resume()
        s.core.settle()
        assert made[0].data == b"onetwo"
        assert made[0].calls == ["connected", "receive"]


def test_the_window_shrinks_while_paused_and_its_right_edge_stays():
    with stack(SMALL) as s:
        made = s.listen()
        peer = s.peer().open()
        begin = peer.seq
        made[0].pause()
        right = begin + 8000
        for _ in range(8):
            peer.send("PA", bytes(1000))
            s.advance(50 * MS)
            for segment in peer.get():
                assert edge(segment) == right
        assert segment.win == 0
        peer.send("A", b"x", seq=peer.seq)
        refused = peer.one()
        assert (refused.win, refused.ack) == (0, begin + 8000)
        assert s.counters["dropped_window"] == 1
        made[0].resume()
        update = peer.one()
        assert (update.ack, update.win, flags_of(update)) == (begin + 8000, 8000, "A")
        assert len(made[0].data) == 8000


@pytest.mark.parametrize("scale", [None, 0, 5])
@pytest.mark.parametrize("size", [1, 13, 1460])
def test_the_right_edge_never_moves_back(scale, size):
    with stack(TcpConfig(receive_window=100_000)) as s:
        made = s.listen()
        peer = s.peer().open(scale=scale)
        ours = 1 if scale is not None else 0
        furthest = peer.seq + peer.syn.win
        for i in range(60):
            if i % 20 == 10:
                made[0].pause()
            if i % 20 == 0:
                made[0].resume()
            peer.send("PA", bytes(size))
            if i % 3:
                s.advance(50 * MS)
            for segment in peer.get():
                # RFC 7323, 2.4: the field counts in steps of the scale, and what is below one is cut off.
                assert edge(segment, ours) >= furthest - ((1 << ours) - 1)
                furthest = max(furthest, edge(segment, ours))


def test_a_window_beyond_16_bits_is_scaled():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(scale=0)
        assert peer.syn.win == 65535, "the window of a SYN is not scaled"
        peer.send("A", bytes(1460))
        peer.send("A", bytes(1460))
        assert peer.one().win == (256 << 10) >> 3
        for _ in range(100):
            peer.send("A", bytes(1460))
        assert len(made[0].data) == 102 * 1460
        assert not s.counters["dropped_window"]


def test_without_the_option_the_window_has_16_bits():
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        peer.send("A", bytes(1460))
        peer.send("A", bytes(1460))
        assert peer.one().win == 65535


def test_text_beyond_the_window_is_cut_off():
    with stack(SMALL) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        for _ in range(7):
            peer.send("A", bytes(1000))
        peer.send("A", b"a" * 1400)
        peer.get()
        made[0].resume()
        s.core.settle()
        assert made[0].data == bytes(7000) + b"a" * 1000
        assert s.counters["dropped_window"] == 1


def test_small_steps_are_not_offered():
    """RFC 9293, 3.8.6.2.2: silly windows are avoided by the receiver."""
    with stack(SMALL) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        for _ in range(5):
            peer.send("A", bytes(1308))
        s.advance(50 * MS)
        peer.get()
        made[0].resume()
        assert peer.one().win == 8000, "an update, once it is worth it"
        made[0].pause()
        peer.send("A", bytes(100))
        made[0].resume()
        peer.nothing()
        s.advance(50 * MS)
        assert peer.one().win == 7900


def test_an_acknowledgment_with_the_windows_last_number_is_taken():
    with stack(SMALL) as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(b"data")
        peer.get()
        # All of the window but its first bytes arrived.
        for i in range(1, 8):
            peer.send("A", bytes(1000), seq=peer.seq + i * 1000, ack=peer.ack - 4)
        peer.get()
        peer.send("A", seq=peer.seq + 8000)
        assert made[0].connection.queued == 0
        peer.nothing()


# --- ours sends


def test_the_peers_window_is_respected():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=5000).open()
        made[0].send(bytes(50_000))
        assert sum(len(one.data) for one in peer.get()) <= 5000
        peer.acknowledge(window=2000)
        assert sum(len(one.data) for one in peer.get()) <= 2000


def test_the_peers_window_is_scaled_but_that_of_its_syn():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=100).open(scale=6)
        made[0].send(bytes(50_000))
        assert 3200 < sum(len(one.data) for one in peer.get()) <= 6400


def test_a_shift_above_14_is_14():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=1).open(scale=200)
        made[0].send(bytes(100_000))
        assert 14_600 <= sum(len(one.data) for one in peer.get()) <= 16384


def test_a_window_of_zero_is_probed_with_back_off():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=0).open()
        made[0].send(bytes(10_000))
        times = []
        for _ in range(9):
            waited, found = s.until_sent()
            assert [len(one.data) for one in found] == [1] and found[0].seq == peer.ack
            times.append(waited // MS)
            peer.acknowledge(window=0)
        assert times == [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200]
        for _ in range(20):
            assert s.until_sent()[0] == 60 * SECOND
            peer.acknowledge()
        assert made[0].calls == ["connected"], "while the peer answers it is not given up"
        assert s.counters["window_probes"] == 29
        peer.acknowledge(window=60_000)
        assert peer.get()[0].seq == peer.ack - 10_000
        assert peer.received == bytes(10_000)
        assert s.until_sent()[0] < 300 * MS, "the time-out is that of the round trip again"


def test_a_peer_that_does_not_answer_probes_is_given_up():
    with stack() as s:
        made = s.listen()
        s.peer(window=0).open()
        made[0].send(b"data")
        begun = s.now
        while not made[0].error:
            s.until_sent()
        assert isinstance(made[0].error, TimeoutError)
        assert 120 * SECOND <= s.now - begun <= 200 * SECOND


def test_a_probe_that_is_taken_counts():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=0).open()
        made[0].send(b"abc")
        for expected in (b"a", b"b", b"c"):
            _, found = s.until_sent()
            assert bytes(found[0].data) == expected
            peer.ack += 1
            peer.acknowledge()
        assert made[0].connection.queued == 0
        assert s.until_sent(300 * SECOND)[1] == []


def test_a_window_that_reopens_below_a_segment_is_used():
    """A peer whose buffer is small must not wait for ever: RFC 9293, 3.8.6.2.1, the override time-out."""
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=14_600).open()
        made[0].send(bytes(14_600 + 3000))
        assert sum(len(one.data) for one in peer.get()) == 14_600
        peer.acknowledge(window=0)
        peer.nothing()
        peer.acknowledge(window=500)
        peer.nothing()
        for left in (2500, 2000, 1500):
            waited, found = s.until_sent()
            assert waited <= SECOND
            assert [len(one.data) for one in found] == [500]
            peer.ack += 500
            peer.acknowledge(window=500)
            assert made[0].connection.queued == left


def test_small_parts_of_a_large_window_are_not_sent():
    """RFC 9293, 3.8.6.2.1: silly windows are avoided by the sender."""
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=10_000).open()
        made[0].send(bytes(20_000))
        sizes = [len(one.data) for one in peer.get()]
        assert sizes == [1460] * 6
        peer.ack = peer.ack  # all of it
        peer.acknowledge(window=1600)
        assert [len(one.data) for one in peer.get()] == [1460]


def test_a_tiny_peer_gets_half_its_window():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=1000).open()
        made[0].send(bytes(3000))
        assert [len(one.data) for one in peer.get()] == [1000]


def test_a_window_that_shrinks_over_data_on_its_way():
    """RFC 9293, 3.8.6 (SHLD-15, SHLD-16): nothing new is sent, and the deadlock is broken."""
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=10_000).open()
        start = peer.ack
        made[0].send(bytes(9000))
        peer.get()
        peer.ack = start
        peer.acknowledge(window=0)
        peer.nothing()
        # The segments were lost. The time-out comes, then probes, and it goes on when the window opens.
        waited, found = s.until_sent()
        assert found and all(len(one.data) == 1 and one.seq == start for one in found)
        assert waited <= SECOND
        peer.received = b""
        peer.ack = start
        peer.acknowledge(window=10_000)
        while len(peer.received) < 9000:
            assert peer.get(), "it stands still"
            peer.acknowledge(window=10_000)


def test_an_older_segment_does_not_change_the_window():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=0).open()
        peer.send("A", b"first")
        peer.get()
        # An old one, sent before "first" arrived.
        peer.send("A", b"", seq=peer.seq - 5, window=50_000)
        made[0].send(bytes(1000))
        assert [len(one.data) for one in peer.get()] in ([], [0])
        peer.acknowledge(window=50_000)
        assert [len(one.data) for one in peer.get()] == [1000]


def test_our_acknowledgments_stay_within_a_window_of_zero():
    """Else two sides that probe each other would drop each other's acknowledgments, and answer them, for ever."""
    with stack(SMALL) as s:
        made = s.listen()
        peer = s.peer(window=0).open()
        made[0].send(bytes(100))
        s.until_sent()
        peer.send("A", b"data", ack=peer.ack)
        s.advance(50 * MS)
        answer = peer.get()
        assert answer and all(len(one.data) or one.seq == peer.ack for one in answer)


def test_bare_acknowledgments_out_of_the_window_are_not_answered_without_end():
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        answered = 0
        for _ in range(300):
            peer.send("A", seq=peer.seq + 1_000_000)
            answered += len(peer.get())
        assert answered == 10
        s.advance(5 * SECOND)
        peer.send("A", seq=peer.seq + 1_000_000)
        assert len(peer.get()) == 1
        for _ in range(3):
            peer.send("A", seq=peer.seq - 1)
            assert len(peer.get()) == 1, "a keep-alive is answered"


def test_the_largest_window_of_the_peer_may_be_that_of_its_syn():
    """RFC 5961, 5.2: an acknowledgment that is older by no more than MAX.SND.WND is a late one, no challenge."""
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=4000)
        peer.send("S", window=60_000)
        peer.one()
        peer.send("A")
        made[0].send(bytes(4000))
        peer.get()
        peer.acknowledge()
        peer.send("A", ack=peer.ack - 10_000)
        peer.nothing()
        peer.send("A", ack=peer.ack - 61_000)
        assert s.counters["challenge_acks"] == 1
