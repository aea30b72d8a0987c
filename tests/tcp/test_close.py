"""Closing: RFC 9293, 3.6 and figure 5, every way through it."""

import dpkt
import pytest

from netapp.tcp.config import TcpConfig
from netapp.tcp.handler import TcpHandler
from tests.support.stack import MS, SECOND, Recorder, flags_of, stack


def opened(s, **script):
    made = s.listen(7, lambda: Recorder(**script))
    peer = s.peer().open()
    return made[0], peer


def ended(s, handler, error=None):
    s.core.settle()
    assert handler.calls.count("closed") == 1 and handler.calls[-1] == "closed"
    assert handler.error is None if error is None else isinstance(handler.error, error)
    assert handler.connection is None


def test_ours_closes_first():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        fin = peer.one()
        assert flags_of(fin) == "FA" and s.state() == "FIN_WAIT_1"
        peer.acknowledge()
        assert s.state() == "FIN_WAIT_2"
        peer.nothing()
        peer.send("FA")
        assert s.state() == "TIME_WAIT"
        assert (peer.one().ack, handler.calls) == (peer.seq, ["connected", "closed"])
        ended(s, handler)
        s.advance(60 * SECOND - 1)
        assert s.state() == "TIME_WAIT"
        s.advance(1)
        assert s.state() == "CLOSED"
        peer.nothing()
        assert handler.calls.count("closed") == 1


def test_ours_closes_first_and_fin_comes_with_the_acknowledgment():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        peer.get()
        peer.send("FA")
        assert s.state() == "TIME_WAIT"
        assert peer.one().ack == peer.seq
        ended(s, handler)


def test_the_peer_closes_first():
    with stack() as s:
        handler, peer = opened(s)
        peer.send("FA")
        assert peer.one().ack == peer.seq
        assert s.state() == "CLOSE_WAIT" and handler.calls == ["connected", "peer_closed"]
        handler.close()
        assert flags_of(peer.one()) == "FA" and s.state() == "LAST_ACK"
        peer.acknowledge()
        assert s.state() == "CLOSED"
        ended(s, handler)
        peer.nothing()


def test_unless_overridden_peer_closed_closes():
    class Plain(TcpHandler):
        def closed(self, error):
            ends.append(error)

    ends: list[object] = []
    with stack() as s:
        s.tcp.listen(7, Plain)
        peer = s.peer().open()
        peer.send("FA")
        assert flags_of(peer.one()) == "FA" and s.state() == "LAST_ACK"
        peer.acknowledge()
        assert ends == [None]


def test_simultaneous_close():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        fin = peer.one()
        peer.send("FA", ack=fin.seq)
        assert s.state() == "CLOSING"
        assert peer.one().ack == peer.seq
        assert handler.calls == ["connected", "peer_closed"]
        peer.acknowledge()
        assert s.state() == "TIME_WAIT"
        ended(s, handler)
        peer.nothing()


def test_half_closed_by_the_peer_ours_still_sends():
    with stack() as s:
        handler, peer = opened(s)
        peer.send("FA")
        peer.get()
        s.advance(600 * SECOND)
        for i in range(5):
            handler.send(b"%d" % i)
            assert bytes(peer.one().data) == b"%d" % i
            peer.acknowledge()
        handler.close()
        assert flags_of(peer.one()) == "FA"
        peer.acknowledge()
        ended(s, handler)


def test_half_closed_by_us_the_peer_still_sends():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        peer.get()
        peer.acknowledge()
        for i in range(5):
            s.advance(50 * SECOND)
            peer.send("A", b"%d" % i)
        assert handler.data == b"01234"
        assert s.state() == "FIN_WAIT_2"
        peer.get()
        peer.send("FA", b"5")
        assert handler.data == b"012345" and handler.calls[-1] == "closed"
        assert peer.one().ack == peer.seq
        ended(s, handler)


def test_a_silent_peer_in_fin_wait_2_is_given_up():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        peer.get()
        peer.acknowledge()
        s.advance(60 * SECOND - 1)
        assert s.state() == "FIN_WAIT_2"
        s.advance(1)
        assert s.state() == "CLOSED"
        assert flags_of(peer.one()) == "RA"
        ended(s, handler, TimeoutError)


def test_fin_follows_what_is_queued():
    with stack() as s:
        handler, peer = opened(s)
        handler.send(bytes(100_000))
        handler.close()
        assert s.state() == "FIN_WAIT_1"
        fins: list[dpkt.tcp.TCP] = []
        while len(peer.received) < 100_000 or not fins:
            found = peer.get()
            assert found
            fins += [one for one in found if one.flags & 1]
            peer.acknowledge()
        assert len(fins) == 1 and (fins[0].seq + len(fins[0].data) + 1) % 2**32 == peer.ack
        assert fins[0].data, "it rides on the last segment"
        assert s.state() == "FIN_WAIT_2"


def test_text_and_fin_of_one_turn_share_a_segment():
    with stack() as s:
        _, peer = opened(s, receive=lambda self, data: (self.send(b"bye"), self.close()))
        peer.send("PA", b"hello")
        last = peer.one()
        assert (flags_of(last), bytes(last.data)) == ("FPA", b"bye")


def test_a_fin_is_sent_again_until_acknowledged():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        first = peer.one()
        for wait in (200, 400, 800):
            waited, found = s.until_sent()
            assert (waited, len(found), flags_of(found[0]), found[0].seq) == (wait * MS, 1, "FA", first.seq)
        peer.acknowledge()
        assert s.state() == "FIN_WAIT_2"


def test_a_lost_fin_that_nobody_acknowledges_is_given_up():
    for closes_first in (True, False):
        with stack() as s:
            handler, peer = opened(s)
            if not closes_first:
                peer.send("FA")
            handler.close()
            s.advance(400 * SECOND)
            ended(s, handler, TimeoutError)
            assert s.state() == "CLOSED"
            peer.get()


def test_only_the_fin_is_missing():
    """All of the data is acknowledged, the FIN is not."""
    with stack() as s:
        handler, peer = opened(s)
        handler.send(bytes(3000))
        handler.close()
        found = peer.get()
        assert found[-1].flags & 1
        peer.ack -= 1
        peer.acknowledge()
        assert s.state() == "FIN_WAIT_1"
        for _ in range(3):
            peer.acknowledge()
        _, found = s.until_sent()
        assert [(flags_of(one), len(one.data)) for one in found] == [("FA", 0)]
        peer.ack += 1
        peer.acknowledge()
        assert s.state() == "FIN_WAIT_2"


def test_fin_with_a_window_of_zero():
    with stack() as s:
        handler, peer = opened(s)
        peer.acknowledge(window=0)
        handler.close()
        seen = peer.get()
        for _ in range(5):
            seen += s.until_sent()[1]
            peer.acknowledge(window=0, ack=seen[0].seq)
        assert all(flags_of(one) == "FA" for one in seen) and len(seen) == 6
        peer.acknowledge(ack=seen[0].seq + 1)
        assert s.state() == "FIN_WAIT_2"


def test_close_with_queued_data_and_a_window_of_zero():
    with stack() as s:
        handler, peer = opened(s)
        peer.acknowledge(window=0)
        handler.send(b"data")
        handler.close()
        _, found = s.until_sent()
        assert [(bytes(one.data), flags_of(one)) for one in found] == [(b"d", "A")]
        peer.get()
        peer.acknowledge(window=1000, ack=found[0].seq)
        last = peer.one()
        assert (bytes(last.data), flags_of(last)) == (b"data", "FPA")


def test_a_fin_with_a_closed_window_of_ours_is_taken():
    with stack(TcpConfig(receive_window=2000)) as s:
        handler, peer = opened(s)
        handler.pause()
        peer.send("A", bytes(1000))
        peer.send("A", bytes(1000))
        assert peer.get()[-1].win == 0
        peer.send("FA")
        assert peer.one().ack == peer.seq
        assert handler.calls == ["connected"]
        handler.resume()
        s.core.settle()
        assert handler.calls == ["connected", "receive", "peer_closed"]
        assert len(handler.data) == 2000


def test_text_after_the_fin_is_dropped():
    with stack() as s:
        handler, peer = opened(s)
        peer.send("FA")
        peer.get()
        peer.send("A", b"more")
        assert handler.data == b"" and s.counters["dropped_closed"] == 1
        assert s.state() == "CLOSE_WAIT"


def test_the_peers_fin_again():
    with stack() as s:
        handler, peer = opened(s)
        peer.send("FA")
        peer.get()
        peer.send("FA", seq=peer.seq - 1)
        assert peer.one().ack == peer.seq
        assert handler.calls == ["connected", "peer_closed"]


def test_time_wait_answers_a_fin_again_and_starts_anew():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        peer.get()
        peer.send("FA")
        peer.get()
        s.advance(50 * SECOND)
        peer.send("FA", seq=peer.seq - 1)
        assert peer.one().ack == peer.seq
        s.advance(59 * SECOND)
        assert s.state() == "TIME_WAIT"
        s.advance(1 * SECOND)
        assert s.state() == "CLOSED"


def test_time_wait_ends_with_a_reset():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        peer.get()
        peer.send("FA")
        peer.get()
        peer.send("R")
        assert s.state() == "CLOSED"
        ended(s, handler)


def test_closing_twice_and_sending_after_close():
    with stack() as s:
        handler, peer = opened(s)
        handler.close()
        handler.close()
        with pytest.raises(ConnectionError):
            handler.send(b"late")
        assert flags_of(peer.one()) == "FA"
        peer.send("FA")
        peer.get()
        handler.close()
        handler.abort()
        handler.pause()
        handler.resume()
        with pytest.raises(ConnectionError):
            handler.send(b"later")
        ended(s, handler)
        peer.nothing()


@pytest.mark.parametrize("when", ["established", "peer closed", "we closed", "fin wait 2", "data queued"])
def test_abort(when):
    with stack() as s:
        handler, peer = opened(s)
        if when == "peer closed":
            peer.send("FA")
        if when in ("we closed", "fin wait 2"):
            handler.close()
        peer.get()
        if when == "fin wait 2":
            peer.acknowledge()
        if when == "data queued":
            handler.send(bytes(100_000))
            peer.get()
        handler.abort()
        handler.abort()
        reset = peer.one()
        assert flags_of(reset) == "RA"
        # Exactly what the peer expects next, or it is a challenge (RFC 5961, 3.2).
        assert (reset.seq, reset.ack) == (peer.ack, peer.seq)
        assert s.state() == "CLOSED"
        ended(s, handler, ConnectionAbortedError)


def test_data_that_was_not_read_is_handed_up_before_closed():
    with stack() as s:
        handler, peer = opened(s)
        handler.pause()
        handler.close()
        peer.get()
        peer.acknowledge()
        peer.send("FA", b"last words")
        assert s.state() == "TIME_WAIT" and handler.calls == ["connected"]
        handler.resume()
        s.core.settle()
        assert handler.calls == ["connected", "receive", "closed"]
        ended(s, handler)


def test_a_handler_that_resumes_after_time_wait_still_gets_its_data():
    with stack() as s:
        handler, peer = opened(s)
        handler.pause()
        handler.close()
        peer.get()
        peer.send("FA", b"last words")
        s.advance(100 * SECOND)
        assert s.state() == "CLOSED" and handler.calls == ["connected"]
        handler.resume()
        s.core.settle()
        assert handler.data == b"last words"
        ended(s, handler)


def test_shutting_the_stack_down_resets_connections_and_tells_each_handler():
    made = []
    with stack() as s:
        reopens = []

        def again(self, error):
            try:
                s.tcp.connect("10.99.0.1", 80, Recorder)
            except OSError as error:
                reopens.append(error)

        made = s.listen(7, lambda: Recorder(closed=again))
        peers = [s.peer(port=port).open() for port in (1, 2, 3)]
        s.frames()
        s.tcp.destroy()
        s.core.settle()
        frames = s.segments()
        assert [flags_of(one) for one in frames] == ["RA"] * len(peers)
        assert len(reopens) == 3
        assert s.tcp.connections() == []
    assert [handler.calls for handler in made] == [["connected", "closed"]] * 3
    assert all(isinstance(handler.error, ConnectionAbortedError) for handler in made)


def test_abort_in_time_wait_with_unread_data():
    """closed() waits behind what a paused handler has not read; abort() gives that up."""
    with stack() as s:
        handler, peer = opened(s)
        handler.pause()
        handler.close()
        peer.get()
        peer.send("FA", b"hello")
        assert s.state() == "TIME_WAIT" and handler.calls == ["connected"]
        handler.abort()
        ended(s, handler)
        assert handler.calls == ["connected", "closed"] and s.state() == "CLOSED"


def test_shutting_down_tells_who_has_not_read_all_of_a_connection_that_ended():
    with stack() as s:
        handler, peer = opened(s)
        handler.pause()
        peer.send("FPA", b"unread")
        handler.close()
        peer.get()
        peer.send("A")
        assert s.tcp.connections() == [] and handler.calls == ["connected"]
    assert handler.calls == ["connected", "closed"] and handler.error is None
