"""Congestion control and loss recovery: RFC 5681, RFC 6582, RFC 3042, RFC 6928."""

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import MS, SECOND, stack

MSS = 1460


class Sender:
    """Ours sends without end, and this acknowledges as it likes. Segments are numbered from 0."""

    def __init__(self, s, total=1000 * MSS, **options):
        self.s = s
        self.made = s.listen()
        self.peer = s.peer(window=50_000).open(scale=8, **options)
        self.base = self.peer.ack
        self.made[0].send(bytes(total))

    def sent(self):
        """The numbers of the segments that went out since last asked."""
        found = [((one.seq - self.base) % 2**32 // MSS, len(one.data)) for one in self.s.segments()]
        assert all(length <= MSS for _, length in found)
        return [number for number, _ in found]

    def acknowledge(self, number):
        """All before segment `number`."""
        self.peer.send("A", ack=self.base + number * MSS)
        return self.sent()


@pytest.mark.parametrize(("mss", "segments"), [(1460, 10), (536, 10), (64, 10)])
def test_the_initial_window_is_ten_segments(mss, segments):
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=mss)
        made[0].send(bytes(100_000))
        assert len(peer.get()) == segments


def test_the_initial_window_of_long_segments_is_14600_bytes():
    with stack(mtu=9000) as s:
        made = s.listen()
        peer = s.peer().open(mss=8960)
        made[0].send(bytes(100_000))
        assert [len(one.data) for one in peer.get()] == [8960, 8960]


def test_slow_start_doubles_the_window():
    with stack() as s:
        sender = Sender(s)
        acknowledged, flight = 0, len(sender.sent())
        for expected in (20, 40, 80):
            new = 0
            for _ in range(flight // 2):
                acknowledged += 2
                new += len(sender.acknowledge(acknowledged))
            flight = new
            assert flight == expected


def test_an_acknowledgment_of_much_counts_two_segments():
    with stack() as s:
        sender = Sender(s)
        assert len(sender.sent()) == 10
        assert len(sender.acknowledge(10)) == 12  # RFC 3465, 2.2: L = 2


def test_the_third_duplicate_is_a_loss():
    with stack() as s:
        sender = Sender(s)
        assert sender.sent() == list(range(10))
        assert sender.acknowledge(0) == [10], "RFC 3042: limited transmit"
        assert sender.acknowledge(0) == [11]
        assert sender.acknowledge(0) == [0], "RFC 5681, 3.2: fast retransmit, without waiting for the time-out"
        assert s.counters["fast_retransmits"] == 1
        # ssthresh is 5 segments, half of 10 (RFC 5681, 3.2, step 2); cwnd 8, and one more with each further duplicate.
        assert [sender.acknowledge(0) for _ in range(6)] == [[], [], [], [], [12], [13]]
        assert sender.acknowledge(14) in ([14], [14, 15]), "deflated: no burst"
        assert s.counters["timeouts"] == 0


def test_each_further_loss_is_repaired_by_a_partial_acknowledgment():
    with stack() as s:  # RFC 6582, 3.2, step 5
        sender = Sender(s)
        sender.sent()
        for _ in range(3):
            resent = sender.acknowledge(0)
        assert resent == [0]
        for lost in (3, 5, 8):
            assert lost in sender.acknowledge(lost)
        assert s.counters["fast_retransmits"] == 1 and s.counters["timeouts"] == 0
        sender.acknowledge(16)
        # Recovery is over: it grows by congestion avoidance.
        assert s.counters["retransmitted"] == 4


def test_after_recovery_the_window_is_half():
    with stack() as s:
        sender = Sender(s)
        top = 10 + len(sender.sent()) - 10
        acknowledged = 0
        for _ in range(5):
            acknowledged += 2
            top += len(sender.acknowledge(acknowledged))
        flight = top - acknowledged
        assert flight == 20
        for _ in range(3):
            top += len([n for n in sender.acknowledge(acknowledged) if n >= top])
        half = (top - acknowledged) // 2
        acknowledged = top
        more = sender.acknowledge(acknowledged)
        top += len(more)
        # RFC 6582: at most one segment beyond the flight, at once; then it opens to ssthresh and no more.
        assert len(more) <= 2
        for _ in range(30):
            acknowledged += 1
            top += len(sender.acknowledge(acknowledged))
            if top - acknowledged > half + 2:
                break
        assert half <= top - acknowledged <= half + 2


def test_congestion_avoidance_adds_a_segment_a_round():
    with stack() as s:
        sender = Sender(s)
        sender.sent()
        for _ in range(3):
            sender.acknowledge(0)
        top = 12
        sender.acknowledge(12)
        acknowledged = 12
        sizes = []
        top = max(top, acknowledged + 1)
        for _ in range(60):
            acknowledged += 1
            new = sender.acknowledge(acknowledged)
            if new:
                top = max(new) + 1
            sizes.append(top - acknowledged)
        # From ssthresh (6) on: one more in 6, 7, 8, … acknowledgments.
        assert 6 <= sizes[10] <= 8
        assert sizes[-1] - sizes[10] in (4, 5, 6, 7)


def test_duplicates_in_recovery_do_not_begin_another():
    with stack() as s:
        sender = Sender(s)
        sender.sent()
        for _ in range(30):
            sender.acknowledge(0)
        assert s.counters["fast_retransmits"] == 1


def test_after_a_time_out_old_duplicates_do_not_retransmit():
    with stack() as s:  # RFC 6582, 4.2, "recover"
        sender = Sender(s)
        sender.sent()
        s.advance(200 * MS)
        assert sender.sent() == [0]
        for _ in range(6):
            sender.acknowledge(0)
        assert s.counters["fast_retransmits"] == 0
        assert s.counters["timeouts"] == 1


def test_a_time_out_leaves_one_segment_and_halves_the_threshold():
    with stack() as s:
        sender = Sender(s)
        sender.sent()
        s.advance(200 * MS)
        assert sender.sent() == [0]
        assert sender.acknowledge(1) == [1, 2], "slow start"
        assert sender.acknowledge(3) == [3, 4, 5], "RFC 3465, 2.3: L = 1"
        assert sender.acknowledge(6) == [6, 7, 8, 9]
        assert sender.acknowledge(10) == [10, 11, 12, 13, 14]
        # ssthresh is 5 segments: from here on it is congestion avoidance.
        assert sender.acknowledge(15) == [15, 16, 17, 18, 19, 20]
        assert len(sender.acknowledge(21)) == 7


def test_a_window_that_is_not_used_does_not_grow():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=60_000).open()
        for _ in range(50):
            made[0].send(bytes(1000))
            peer.get()
            peer.acknowledge()
        made[0].send(bytes(60_000))
        assert len(peer.get()) == 10


def test_after_an_idle_time_the_window_is_the_initial_one():
    with stack() as s:  # RFC 5681, 4.1
        sender = Sender(s, total=120 * MSS)
        top = len(sender.sent())
        acknowledged = 0
        while acknowledged < 120:
            acknowledged = min(acknowledged + 2, top)
            top += len(sender.acknowledge(acknowledged))
        sender.made[0].send(bytes(30 * MSS))
        assert len(sender.sent()) == 30, "not idle yet"
        sender.acknowledge(150)
        s.advance(10 * SECOND)
        sender.made[0].send(bytes(60 * MSS))
        assert len(sender.sent()) == 10


def test_limited_transmit_needs_room_in_the_peers_window():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=10 * MSS).open()
        made[0].send(bytes(30 * MSS))
        start = peer.ack
        peer.get()
        peer.ack = start
        peer.acknowledge()
        peer.acknowledge()
        assert s.segments() == []
        peer.acknowledge()
        assert [one.seq for one in s.segments()] == [start]


def test_what_is_no_duplicate():
    """RFC 5681, 2: text, another window, or nothing outstanding."""
    with stack() as s:
        sender = Sender(s)
        sender.sent()
        for i in range(5):
            sender.peer.send("A", b"text", ack=sender.base)
            sender.peer.send("A", ack=sender.base, window=49_000 - i)
        assert s.counters["duplicate_acks"] == 0 and s.counters["fast_retransmits"] == 0
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for _ in range(5):
            peer.acknowledge()
        assert s.counters["duplicate_acks"] == 0


def test_out_of_order_segments_are_acknowledged_one_by_one():
    """Though they come in one turn: the peer counts three duplicates (RFC 5681, 4.2)."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        s.send_frame(*[peer.frame("A", bytes([i]) * 100, seq=peer.seq + 100 * i) for i in range(1, 6)])
        assert [one.ack for one in peer.get()] == [peer.seq] * 5
        peer.send("A", bytes(100))
        peer.seq += 500
        assert peer.one().ack == peer.seq, "at once, when the gap is filled"
        assert made[0].data == b"".join(bytes([i]) * 100 for i in range(6))


def test_a_lost_fin_is_repaired_with_the_data():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(bytes(5 * MSS))
        made[0].close()
        start = peer.ack
        assert len(peer.get()) in (5, 6)
        peer.ack = start
        for _ in range(3):
            peer.acknowledge()
        peer.get()
        peer.ack = start + 5 * MSS
        peer.acknowledge()
        found = s.until_sent()[1]
        assert found and found[-1].flags & 1
        peer.ack = start + 5 * MSS + 1
        peer.acknowledge()
        assert s.state() == "FIN_WAIT_2"


def test_two_gibibytes_on_fast_retransmit_still_works():
    """Sequence numbers half the space away must not look newer."""
    with stack(TcpConfig(send_limit=1 << 30), features=3) as s:
        made = s.listen()
        peer = s.peer(window=65535).open(scale=14)
        chunk = bytes(1 << 25)
        connection = made[0].connection
        total = 0
        while total < (1 << 31) + (1 << 26):
            made[0].send(chunk)
            total += len(chunk)
            while connection.queued:
                s.core.events.turn()
                peer.ack = (peer.ack + _drain(s)) % 2**32
                s.end.send(peer.frame("A"))
        made[0].send(bytes(20 * MSS))
        s.core.settle()
        s.end.receive()
        for _ in range(3):
            peer.acknowledge()
        assert s.counters["fast_retransmits"] == 1
        del connection


def _drain(s):
    return sum(len(frame) - 54 for frame in s.end.receive())
