"""RFC 9293, 3.6: closing connections."""

from tests.support.stack import SECOND, Peer, Stack, flags_of, stack


def to_time_wait(s: Stack) -> Peer:
    """A connection that ours closed first."""
    made = s.listen()
    peer = s.peer().open()
    made[0].close()
    assert flags_of(peer.one()) == "FA"
    peer.send("A")
    peer.send("FA")
    assert flags_of(peer.one()) == "A" and s.state() == "TIME_WAIT"
    return peer


def test_must_12_an_application_can_tell_a_close_from_an_abort() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].close()
        peer.get()
        peer.send("FA")
        assert made[0].calls[-1] == "closed" and made[0].error is None
        peer.get()
        peer = s.peer(port=40001).open()
        peer.send("R")
        assert made[1].calls[-1] == "closed" and isinstance(made[1].error, ConnectionResetError)


def test_must_12_an_abort_of_ours_is_told_too() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].abort()
        assert flags_of(peer.one()) == "RA"
        assert isinstance(made[0].error, ConnectionAbortedError)


def test_must_13_time_wait_lasts_twice_the_maximum_segment_lifetime() -> None:
    """Of 30 s, by default."""
    with stack() as s:
        to_time_wait(s)
        assert s.config.time_wait >= 60 * SECOND
        s.advance(s.config.time_wait - SECOND)
        assert s.state() == "TIME_WAIT"
        s.advance(2 * SECOND)
        assert s.state() == "CLOSED"


def test_must_13_a_fin_that_comes_again_begins_it_anew() -> None:
    with stack() as s:
        peer = to_time_wait(s)
        s.advance(s.config.time_wait - SECOND)
        peer.send("FA", seq=peer.seq - 1)
        assert flags_of(peer.one()) == "A"
        s.advance(s.config.time_wait - SECOND)
        assert s.state() == "TIME_WAIT"
        s.advance(2 * SECOND)
        assert s.state() == "CLOSED"


def test_may_2_a_new_syn_is_taken_in_time_wait() -> None:
    with stack() as s:
        old = to_time_wait(s)
        # An old one, of numbers that were used, gets an acknowledgment.
        old.send("S", seq=old.seq - 10)
        assert flags_of(old.one()) == "A" and s.state() == "TIME_WAIT"
        new = s.peer(isn=old.seq + 1000)
        new.send("S")
        syn = new.one()
        assert flags_of(syn) == "SA" and syn.ack == new.seq
        # Beyond every number of the old connection.
        assert 0 < (syn.seq - old.ack) % 2**32 < 2**31
        new.send("A")
        assert s.state() == "ESTABLISHED"
