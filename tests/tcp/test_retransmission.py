"""The retransmission time-out: RFC 6298; giving up: RFC 9293, 3.8.3."""

import dpkt
import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import MS, SECOND, flags_of, stack


def established(s, rtt=0, **options):
    """A connection that ours opened, whose handshake took `rtt`."""
    handler, peer = s.connect()
    s.advance(rtt)
    peer.accept(**options)
    return handler, peer


def test_the_first_measurement_makes_the_time_out():
    with stack() as s:
        handler, peer = established(s, rtt=300 * MS)
        handler.send(b"data")
        peer.get()
        waited, found = s.until_sent()
        assert waited == 900 * MS, "SRTT + 4 * RTTVAR = R + 4 * R / 2 (RFC 6298, 2.2)"
        assert bytes(found[0].data) == b"data"


def test_later_measurements_are_smoothed():
    with stack() as s:
        handler, peer = established(s, rtt=400 * MS)
        srtt, rttvar = 400 * MS, 200 * MS
        for rtt in (400, 100, 1000, 400, 50, 800):
            handler.send(b"data")
            peer.get()
            s.advance(min(rtt * MS, srtt + 4 * rttvar - 1))
            peer.acknowledge()
            rtt = min(rtt * MS, srtt + 4 * rttvar - 1)
            rttvar = rttvar * 3 // 4 + abs(srtt - rtt) // 4
            srtt = srtt * 7 // 8 + rtt // 8
        handler.send(b"data")
        peer.get()
        assert s.until_sent()[0] == pytest.approx(srtt + 4 * rttvar, abs=100)


def test_the_time_out_is_at_least_200_ms_and_at_most_60_s():
    with stack() as s:
        handler, peer = established(s, rtt=1 * MS)
        handler.send(b"data")
        peer.get()
        assert s.until_sent()[0] == 200 * MS
    with stack() as s:
        handler, peer = s.connect()
        handler.send(b"data")
        s.advance(900 * MS)
        peer.send("SA", options=[("MSS", 1460)])
        peer.get()
        waits = [s.until_sent()[0] for _ in range(6)]
        assert waits == [n * 2700 * MS for n in (1, 2, 4, 8, 16)] + [60 * SECOND]


def test_before_a_measurement_it_is_one_second():
    with stack() as s:
        s.connect()
        assert s.until_sent()[0] == SECOND


def test_back_off_doubles_and_ends_with_a_new_measurement():
    with stack() as s:
        handler, peer = established(s)
        handler.send(b"lost")
        peer.get()
        assert [s.until_sent()[0] // MS for _ in range(4)] == [200, 400, 800, 1600]
        peer.acknowledge()
        assert s.until_sent(120 * SECOND)[1] == []
        # Karn's algorithm: the retransmission was not measured, the time-out stays backed off (RFC 6298, 3, 5.5).
        handler.send(b"next")
        peer.get()
        assert s.until_sent()[0] == 3200 * MS
        peer.get()
        peer.acknowledge()
        handler.send(b"more")
        assert peer.get()
        peer.acknowledge()
        handler.send(b"data")
        peer.get()
        assert s.until_sent()[0] == 200 * MS, "what went once was measured"


def test_a_retransmission_is_not_measured():
    with stack() as s:
        handler, peer = established(s, rtt=100 * MS)
        handler.send(b"data")
        peer.get()
        waited, _ = s.until_sent()
        assert waited == 300 * MS
        s.advance(500 * MS)
        peer.acknowledge()
        handler.send(b"data")
        peer.get()
        assert s.until_sent()[0] == 600 * MS, "backed off once, and nothing was learnt from 800 ms"


def test_an_acknowledgment_of_new_data_restarts_the_timer():
    with stack() as s:
        handler, peer = established(s)
        handler.send(bytes(2920))
        peer.get()
        peer.ack -= 1460
        s.advance(150 * MS)
        peer.acknowledge()
        waited, found = s.until_sent()
        assert waited >= 200 * MS, "RFC 6298 (5.3)"
        assert found[0].seq == peer.ack


def test_when_all_is_acknowledged_nothing_is_sent_again():
    with stack() as s:
        handler, peer = established(s)
        handler.send(b"data")
        peer.get()
        peer.acknowledge()
        assert s.until_sent(600 * SECOND)[1] == []
        assert not s.counters["timeouts"]


def test_the_peer_is_given_up_once():
    with stack() as s:
        handler, _ = established(s)
        handler.send(b"data")
        begun = s.now
        last: list[dpkt.tcp.TCP] = []
        while handler.connection is not None:
            _, found = s.until_sent()
            last = found or last
        assert isinstance(handler.error, TimeoutError)
        assert handler.calls == ["connected", "closed"]
        assert 120 * SECOND <= s.now - begun <= 121 * SECOND + 60 * SECOND
        assert [flags_of(one) for one in last] == ["RA"]
        assert s.state() == "CLOSED"
        assert s.until_sent(600 * SECOND)[1] == []
        assert handler.calls == ["connected", "closed"]


def test_any_answer_puts_giving_up_off():
    with stack(TcpConfig(give_up=10 * SECOND)) as s:
        handler, peer = established(s)
        handler.send(b"data")
        start = peer.ack
        for _ in range(20):
            s.advance(5 * SECOND)
            peer.get()
            peer.ack = start
            peer.acknowledge()
        assert handler.calls == ["connected"]
        s.advance(130 * SECOND)
        assert handler.calls == ["connected", "closed"]


def test_after_a_time_out_all_that_was_lost_is_sent_again():
    with stack() as s:
        handler, peer = established(s)
        sent = bytes(i & 255 for i in range(14_600))
        handler.send(sent)
        start = peer.ack
        assert len(peer.get()) == 10
        peer.received, peer.ack = b"", start
        waited, found = s.until_sent()
        assert waited == 200 * MS and len(found) == 1, "RFC 5681, 3.1: the loss window is one segment"
        peer.received, peer.ack = bytes(found[0].data), start + 1460
        rounds = 0
        while len(peer.received) < len(sent):
            peer.acknowledge()
            assert peer.get(), "it stands still"
            rounds += 1
        assert peer.received == sent
        assert rounds <= 5, "slow start"


def test_a_spurious_time_out_does_not_send_what_was_acknowledged():
    with stack() as s:
        handler, peer = established(s)
        handler.send(bytes(14_600))
        start = peer.ack
        peer.get()
        s.until_sent()
        peer.ack = start + 14_600
        peer.acknowledge()
        assert s.until_sent(60 * SECOND)[1] == []
        handler.send(b"next")
        assert peer.one().seq == start + 14_600


def test_a_retransmission_on_its_way_outlives_its_acknowledgment():
    """What the device still holds is not freed by the acknowledgment: others send freed memory."""
    with stack() as s:
        handler, peer = established(s)
        handler.send(b"A" * 1000)
        peer.get()
        # The retransmission lies in the ring while the acknowledgment comes.
        s.core.clock.advance(250 * MS)
        s.core.events.turn()
        assert s.end.send(peer.frame("A"))
        for _ in range(5):
            s.core.events.turn()
        handler.send(b"B" * 1000)
        s.core.events.turn()
        found = peer.get()
        assert [bytes(one.data)[:1] for one in found if one.data] == [b"A", b"B"]


def test_retransmission_survives_a_change_of_direction():
    """Acknowledgments of the peer's data carry SND.NXT, whatever is being sent again."""
    with stack() as s:
        handler, peer = established(s)
        handler.send(bytes(4000))
        start = peer.ack
        peer.get()
        s.until_sent()
        peer.ack = start
        peer.send("A", bytes(1460))
        peer.send("A", bytes(1460))
        assert any(one.seq == start + 4000 and not one.data for one in s.segments())
