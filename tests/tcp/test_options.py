"""What an application asks of one connection: Nagle, keep-alive, user time-out, urgent data. Most of it is in
tests/packets/scripts/{nagle,keepalive,user_timeout,urgent}."""

import logging

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import MS, SECOND, Recorder, connection_of, flags_of, stack


def test_an_option_is_of_one_connection():
    with stack() as s:
        made = s.listen()
        peers = [s.peer(port=port).open() for port in (1001, 1002)]
        made[0].connection.nagle = True
        made[0].connection.user_timeout = SECOND
        made[0].connection.keepalive(SECOND, SECOND, 2)
        assert [one.connection.nagle for one in made] == [True, False]
        assert [one.connection.user_timeout for one in made] == [SECOND, 0]
        s.advance(SECOND)
        assert [flags_of(one) for one in peers[0].get()] == ["A"]
        peers[1].nothing()
        # Asked for or not, the other is as it was: small segments do not wait.
        made[1].send(b"small")
        made[1].send(b"er")
        assert b"".join(one.data for one in peers[1].get()) == b"smaller"


@pytest.mark.parametrize("arguments", [(SECOND, 0, 9), (SECOND, SECOND, 1), (SECOND, SECOND, 0)])
def test_keep_alives_that_mean_nothing_are_refused(arguments):
    with stack() as s:
        made = s.listen()
        s.peer().open()
        with pytest.raises(ValueError, match="a count of at least 2"):
            made[0].connection.keepalive(*arguments)
        with pytest.raises(ValueError, match="no user time-out"):
            made[0].connection.user_timeout = -1


def test_a_peer_that_vanished_is_found():
    with stack() as s:
        made = s.listen()
        s.peer().open()
        made[0].connection.keepalive(10 * SECOND, SECOND, 3)
        s.advance(12 * SECOND)
        assert made[0].calls == ["connected"]
        s.advance(SECOND)
        assert made[0].calls == ["connected", "closed"] and isinstance(made[0].error, TimeoutError)


def test_urgent_data_is_told_while_paused_and_before_receive():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        told = []
        made[0].script["urgent"] = lambda self, left: told.append(left)
        made[0].pause()
        peer.send("UA", b"urgent, and not", urgptr=6)
        assert told == [6] and made[0].calls == ["connected", "urgent"]
        made[0].resume()
        s.core.settle()
        # The mark lies between two receive().
        assert made[0].calls == ["connected", "urgent", "receive", "receive"] and made[0].data == b"urgent, and not"


def test_receive_sees_the_mark():
    with stack() as s:
        seen = []
        made = s.listen(7, lambda: Recorder(receive=lambda self, data: seen.append(self.connection.urgent_left)))
        peer = s.peer().open()
        peer.send("UA", b"12345", urgptr=8)
        peer.send("A", b"678more")
        assert seen == [3, 0, 0] and made[0].data == b"12345678more"


def test_a_mark_that_passed_does_not_come_back():
    """RCV.UP is forgotten: 2**31 bytes later it would seem to lie ahead."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        peer.send("UA", b"urgent", urgptr=6)
        assert made[0].connection.urgent_left == 0
        for _ in range(5):
            peer.send("A", b"more")
        assert made[0].connection.urgent_left == 0 and made[0].calls.count("urgent") == 1


def test_an_exception_out_of_urgent_resets_the_connection(caplog):
    with stack() as s, caplog.at_level(logging.CRITICAL):
        made = s.listen(7, lambda: Recorder(urgent=lambda self, left: 1 // 0))
        peer = s.peer().open()
        peer.send("UA", b"urgent", urgptr=6)
        assert "R" in flags_of(peer.get()[-1])
        assert isinstance(made[0].error, ConnectionAbortedError) and s.counters["callback_exceptions"] == 1


def test_urgent_data_needs_an_open_connection():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].close()
        with pytest.raises(ConnectionError):
            made[0].connection.send_urgent(b"late")
        assert not any("U" in flags_of(one) for one in peer.get())


def test_urgent_data_before_the_handshake():
    with stack() as s:
        handler, peer = s.connect()
        handler.connection.send_urgent(b"urgent")
        peer.send("SA")
        found = peer.get()
        assert b"".join(one.data for one in found) == b"urgent"
        assert all(flags_of(one).count("U") for one in found if one.data) and found[-1].urp == 6


def test_a_user_time_out_below_the_first_time_out():
    with stack() as s:
        made = s.listen()
        s.peer().open()
        made[0].connection.user_timeout = 50 * MS
        made[0].send(b"lost")
        s.advance(SECOND)
        assert isinstance(made[0].error, TimeoutError)


def test_an_acknowledgment_does_not_wait_for_more_than_half_a_second():
    with pytest.raises(ValueError, match="at most 500 ms"):
        TcpConfig(delayed_ack=501 * MS)


def test_nothing_is_urgent_once_it_is_lost() -> None:
    """A mark in data that a reset took away before receive() had it."""
    seen: list[int] = []
    with stack() as s:
        made = s.listen(7, lambda: Recorder(closed=lambda self, error: seen.append(connection_of(self).urgent_left)))
        peer = s.peer().open()
        made[0].pause()
        peer.send("AU", b"hello world", urgptr=5)
        peer.get()
        assert connection_of(made[0]).urgent_left == 5
        peer.send("R")
        s.frames()
        assert seen == [0]


def test_times_that_the_clock_cannot_count_are_refused() -> None:
    with stack() as s:
        made = s.listen()
        s.peer().open()
        with pytest.raises(ValueError, match="no user time-out"):
            connection_of(made[0]).user_timeout = 2**64 - 1
        for arguments in ((2**64 - 1,), (SECOND, 2**64 - 1)):
            with pytest.raises(ValueError, match="times below"):
                connection_of(made[0]).keepalive(*arguments)
        assert connection_of(made[0]).user_timeout == 0
