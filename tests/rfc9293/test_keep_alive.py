"""RFC 9293, 3.8.4: keep-alives."""

import pytest

from tests.support.stack import SECOND, Peer, Recorder, Stack, connection_of, flags_of, stack

HOUR = 3600 * SECOND


def idle_after(s: Stack, seconds: int) -> tuple[Recorder, Peer]:
    """A connection whose peer is probed after that time of silence, and then every other second."""
    made = s.listen()
    peer = s.peer().open()
    connection_of(made[0]).keepalive(seconds * SECOND, 2 * SECOND, 4)
    return made[0], peer


def test_may_5_an_idle_peer_is_probed() -> None:
    with stack() as s:
        _, peer = idle_after(s, 10)
        passed, [probe] = s.until_sent()
        assert passed == pytest.approx(10 * SECOND, rel=0.01)
        # What is not in the peer's window it has to answer.
        assert probe.seq == peer.ack - 1 and probe.ack == peer.seq and flags_of(probe) == "A"
        peer.send("A")
        assert s.until_sent()[0] == pytest.approx(10 * SECOND, rel=0.01)


def test_must_24_an_application_turns_them_on_and_off() -> None:
    with stack() as s:
        handler, peer = idle_after(s, 10)
        other = s.peer(port=40001).open()
        _, [probe] = s.until_sent()
        assert probe.dport == peer.port
        peer.send("A")
        connection_of(handler).keepalive(0)
        assert s.until_sent(10 * HOUR)[1] == []
        assert other.get() == [] and len(s.tcp.connections()) == 2


def test_must_25_without_that_there_are_none() -> None:
    with stack() as s:
        made = s.listen()
        s.peer().open()
        s.connect()[1].accept()
        assert s.until_sent(240 * HOUR)[1] == []
        assert made[0].calls == ["connected"] and len(s.tcp.connections()) == 2


def test_must_26_none_is_sent_while_the_peer_is_heard() -> None:
    with stack() as s:
        handler, peer = idle_after(s, 10)
        for number in range(20):
            s.advance(7 * SECOND)
            # An acknowledgment, or data.
            peer.send("A", b"x" * (number % 2))
            s.advance(s.config.delayed_ack)
            assert all(segment.seq == peer.ack and segment.ack == peer.seq for segment in peer.get())
        # Ours alone does not count: the peer is asked.
        s.advance(9 * SECOND)
        peer.get()
        _, [probe] = s.until_sent(2 * SECOND)
        assert probe.seq == peer.ack - 1
        assert handler.calls[-1] != "closed"


def test_must_26_nor_while_data_is_outstanding() -> None:
    with stack() as s:
        handler, peer = idle_after(s, 3)
        handler.send(b"data")
        first = peer.one()
        begun = s.now
        while s.now - begun < 30 * SECOND:
            # Retransmissions, which hold the data, and nothing else.
            assert all(segment.seq == first.seq and segment.data == b"data" for segment in s.until_sent(SECOND)[1])
        assert handler.calls == ["connected"]


@pytest.mark.parametrize("seconds", [1, 60, 100_000])
def test_must_27_the_interval_is_configurable(seconds: int) -> None:
    with stack() as s:
        idle_after(s, seconds)
        passed, [_] = s.until_sent(200_000 * SECOND)
        assert passed == pytest.approx(seconds * SECOND, rel=0.01)


def test_must_28_two_hours_by_default() -> None:
    with stack() as s:
        made = s.listen()
        s.peer().open()
        connection_of(made[0]).keepalive()
        passed, segments = s.until_sent(100 * HOUR)
        assert len(segments) == 1 and passed >= 2 * HOUR


def test_must_29_a_probe_without_an_answer_ends_nothing() -> None:
    with stack() as s:
        handler, peer = idle_after(s, 10)
        for _ in range(5):
            # The first probes are lost, or what answers them.
            for _ in range(3):
                assert len(s.until_sent()[1]) == 1
            peer.send("A")
        assert handler.calls == ["connected"] and s.state() == "ESTABLISHED"
        # Nobody can ask for anything else.
        with pytest.raises(ValueError):
            connection_of(handler).keepalive(10 * SECOND, SECOND, 1)


def test_shld_12_a_probe_has_no_data() -> None:
    with stack() as s:
        _, peer = idle_after(s, 10)
        for _ in range(3):
            _, [probe] = s.until_sent()
            assert probe.data == b"" and probe.seq == peer.ack - 1
