"""RFC 9293, 3.8.1 to 3.8.3: retransmission, congestion control, giving up."""

from itertools import pairwise
from typing import Any

import pytest

from netapp.ebb.core import CONGESTION_CONTROL
from netapp.tcp.config import TcpConfig
from netapp.tcp.congestion.control import CongestionControl
from tests.support.stack import MS, SECOND, Peer, Recorder, Stack, connection_of, flags_of, stack


def opened_after(s: Stack, rtt: int, **options: Any) -> tuple[Recorder, Peer]:
    """A connection whose handshake took `rtt` nanoseconds."""
    made = s.listen()
    peer = s.peer(**options)
    peer.send("S", options=[("MSS", 1460)])
    peer.syn = peer.one()
    s.advance(rtt)
    peer.send("A")
    return made[0], peer


def timeout(s: Stack, peer: Peer) -> float:
    """Milliseconds until the next segment, which is the one at SND.UNA once more."""
    passed, [segment] = s.until_sent()
    assert segment.seq == peer.ack - len(segment.data) or segment.data == b""
    return passed / MS


def test_must_18_the_time_out_follows_round_trip_times() -> None:
    """RFC 6298, 2: SRTT + 4 * RTTVAR."""
    with stack(TcpConfig(minimum_rto=MS)) as s:
        handler, peer = opened_after(s, 100 * MS)
        # (2.2): R = 100, so SRTT = 100 and RTTVAR = 50.
        handler.send(b"a")
        peer.one()
        assert timeout(s, peer) == pytest.approx(300, abs=3)
    with stack(TcpConfig(minimum_rto=MS)) as s:
        handler, peer = opened_after(s, 100 * MS)
        handler.send(b"a")
        peer.one()
        s.advance(140 * MS)
        peer.send("A")
        # (2.3): R' = 140, so RTTVAR = 3/4 * 50 + 1/4 * 40 = 47.5 and SRTT = 7/8 * 100 + 1/8 * 140 = 105.
        handler.send(b"b")
        peer.one()
        assert timeout(s, peer) == pytest.approx(105 + 4 * 47.5, abs=3)


def test_must_18_karns_algorithm() -> None:
    with stack(TcpConfig(minimum_rto=MS)) as s:
        handler, peer = opened_after(s, 100 * MS)
        handler.send(b"a")
        peer.one()
        assert timeout(s, peer) == pytest.approx(300, abs=3)
        # Nobody knows which of the two this acknowledges: no measurement, the time-out stays doubled.
        s.advance(MS)
        peer.send("A")
        handler.send(b"b")
        peer.one()
        assert timeout(s, peer) == pytest.approx(600, abs=3)
        # One that was sent once is measured.
        peer.send("A")
        handler.send(b"c")
        peer.one()
        s.advance(100 * MS)
        peer.send("A")
        handler.send(b"d")
        peer.one()
        assert timeout(s, peer) < 300


def test_must_19_exponential_back_off() -> None:
    with stack() as s:
        handler, peer = opened_after(s, 100 * MS)
        handler.send(b"a")
        peer.one()
        assert [round(timeout(s, peer) / 300) for _ in range(6)] == [1, 2, 4, 8, 16, 32]


def flight(peer: Peer) -> int:
    """Segments that ours sends now."""
    return sum(len(segment.data) == 1000 for segment in peer.get())


def test_must_19_slow_start() -> None:
    """RFC 5681, 3.1: a segment more for each that is acknowledged."""
    with stack() as s:
        handler, peer = opened_after(s, 100 * MS, window=65535)
        handler.send(b"x" * 200_000)
        first = peer.get()
        size = len(first[0].data)
        # RFC 6928: ten segments to begin with.
        assert len(first) == 10
        at = peer.ack - sum(len(segment.data) for segment in first)
        for acknowledged in range(1, 6):
            at += 2 * size
            peer.send("A", ack=at)
            assert sum(len(segment.data) for segment in peer.get()) == 4 * size, acknowledged


def test_must_19_congestion_avoidance() -> None:
    """RFC 5681, 3.1: beyond ssthresh a segment more a round trip."""
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=65535).open(mss=1000)
        made[0].send(b"x" * 1_000_000)
        assert flight(peer) == 10
        # A time-out: ssthresh is half of what was on its way, the window one segment.
        _, [segment] = s.until_sent()
        assert len(segment.data) == 1000
        peer.received = b""
        una = segment.seq
        sizes: list[int] = []
        for _ in range(9):
            # A round trip: all that is on its way is acknowledged, segment by segment.
            sent = 1 if not sizes else sizes[-1]
            fresh = 0
            for _ in range(sent):
                una += 1000
                peer.send("A", ack=una)
                fresh += flight(peer)
            sizes.append(fresh)
        assert sizes[:2] == [2, 4]
        # ssthresh is 5 segments; from there it goes by one.
        growth = [after - before for before, after in pairwise(sizes[2:])]
        assert all(step in (0, 1) for step in growth) and sum(growth) >= len(growth) - 1


def test_may_18_another_congestion_control() -> None:
    """Without any: what fits the peer's window is sent at once."""
    with stack() as s:
        s.core.namespace.destroy(CONGESTION_CONTROL)
        s.core.namespace.install(CONGESTION_CONTROL, lambda core, ebb_id: CongestionControl())
        made = s.listen()
        peer = s.peer(window=60000).open(mss=1000)
        made[0].send(b"x" * 60000)
        assert flight(peer) == 60


def sendings(s: Stack, limit: int = 1000 * SECOND) -> list[float]:
    """When ours sends, in seconds from now, while nobody answers."""
    begun = s.now
    found = []
    while s.now - begun < limit:
        _, segments = s.until_sent(begun + limit - s.now)
        if segments and not flags_of(segments[0]).startswith("R"):
            found.append((s.now - begun) / SECOND)
    return found


def test_shld_11_a_connection_is_not_given_up_within_100_s() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(b"x")
        peer.one()
        begun = s.now
        while s.until_sent(10 * SECOND) and made[0].calls[-1] != "closed":
            assert s.now - begun < 1000 * SECOND
        assert s.now - begun >= 100 * SECOND
        assert isinstance(made[0].error, TimeoutError)


def test_must_22_a_syn_is_retransmitted_and_given_up() -> None:
    with stack() as s:
        handler = Recorder()
        s.tcp.connect("10.99.0.1", 80, lambda: handler)
        [syn] = s.segments()
        times = sendings(s)
        assert flags_of(syn) == "S"
        gaps = [after - before for before, after in zip([0.0, *times], times)]
        assert gaps[:6] == [pytest.approx(2**n, rel=0.01) for n in range(6)]
        # The application hears of it.
        assert handler.calls == ["closed"] and isinstance(handler.error, TimeoutError)


def test_must_22_so_is_the_answer_to_a_syn() -> None:
    with stack() as s:
        s.listen()
        peer = s.peer()
        peer.send("S")
        first = peer.one()
        times = sendings(s)
        assert flags_of(first) == "SA" and times[:3] == [pytest.approx(2**n - 1, rel=0.01) for n in (1, 2, 3)]
        assert s.state() == "CLOSED"


def test_must_23_a_syn_is_retransmitted_for_three_minutes() -> None:
    with stack() as s:
        handler = Recorder()
        s.tcp.connect("10.99.0.1", 80, lambda: handler)
        s.segments()
        s.advance(179 * SECOND)
        s.frames()
        assert handler.calls == [] and s.state() == "SYN_SENT"
        s.advance(200 * SECOND)
        assert handler.calls == ["closed"]


class Delayed(Recorder):
    """Writes down when it is told that something is not delivered."""

    def delivery_delayed(self) -> None:
        self._called("delivery_delayed")


def undelivered(s: Stack) -> tuple[Recorder, Peer]:
    """Ours has sent something that nobody answers."""
    made = s.listen(factory=Delayed)
    peer = s.peer().open()
    made[0].send(b"x")
    peer.one()
    return made[0], peer


def test_must_20_at_r1_ip_is_told() -> None:
    """It asks whether the next hop is still there."""
    with stack() as s:
        undelivered(s)
        copies, asked = 0, 0
        while not asked and s.now < 100 * SECOND:
            s.advance(100 * MS)
            for frame in s.end.receive():
                is_arp = frame[12:14] == b"\x08\x06"
                asked += is_arp
                copies += not is_arp
        assert asked and copies >= 3


def test_must_20_at_r2_the_connection_ends() -> None:
    with stack() as s:
        handler, _ = undelivered(s)
        begun = s.now
        sendings(s)
        assert handler.calls == ["connected", "delivery_delayed", "closed"]
        assert isinstance(handler.error, TimeoutError) and s.now > begun


@pytest.mark.parametrize("seconds", [5, 60, 900])
def test_must_21_an_application_can_set_r2(seconds: int) -> None:
    with stack() as s:
        handler, _ = undelivered(s)
        connection_of(handler).user_timeout = seconds * SECOND
        begun = s.now
        while handler.calls[-1] != "closed" and s.now - begun < 2000 * SECOND:
            s.until_sent(SECOND // 2)
        assert (s.now - begun) / SECOND == pytest.approx(seconds, abs=2)
        assert isinstance(handler.error, TimeoutError)


def test_shld_9_between_r1_and_r2_the_application_is_told() -> None:
    with stack() as s:
        handler, peer = undelivered(s)
        while handler.calls[-1] == "connected":
            assert s.until_sent(100 * SECOND)[1]
        assert handler.calls[-1] == "delivery_delayed" and s.state() == "ESTABLISHED"
        # It may yet arrive.
        peer.send("A")
        assert connection_of(handler).queued == 0


def test_shld_10_r1_is_three_retransmissions() -> None:
    with stack() as s:
        handler, _ = undelivered(s)
        copies = 0
        while handler.calls[-1] == "connected":
            copies += len(s.until_sent(100 * SECOND)[1])
        assert copies >= 3
