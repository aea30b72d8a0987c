"""Listeners: half-open and waiting connections are bounded apart, and a flood of SYNs shuts nobody out."""

from collections.abc import Iterator

from netapp.iobuf.chain import Chain
from netapp.tcp.config import TcpConfig
from tests.support.stack import SECOND, Peer, Recorder, Stack, flags_of, stack


def half_open(s: Stack, ports: range) -> Iterator[Peer]:
    for port in ports:
        peer = s.peer(port=port)
        peer.send("S", options=[("MSS", 1460)])
        yield peer


def answered(s: Stack) -> list[int]:
    """The ports to which a SYN and ACK went."""
    return [one.dport for one in s.segments() if flags_of(one) == "SA"]


def test_a_half_open_connection_whose_peer_is_silent_gives_way() -> None:
    with stack() as s:
        s.listen(backlog=3)
        list(half_open(s, range(1, 4)))
        assert answered(s) == [1, 2, 3]
        list(half_open(s, range(4, 5)))
        assert answered(s) == [], "nobody had the time to answer yet"
        s.advance(SECOND)
        s.frames()
        list(half_open(s, range(5, 8)))
        assert answered(s) == [5, 6, 7], "each took the place of one that did not answer"
        assert s.counters["half_open_evicted"] == 3 and s.counters["dropped_backlog"] == 1
        assert s.listener.half_open_count == 3


def test_who_answers_gets_through_a_flood() -> None:
    with stack() as s:
        made = s.listen(backlog=16)
        for port in range(1000, 1200):
            list(half_open(s, range(port, port + 1)))
            s.advance(SECOND // 10)
            s.frames()
        # Half of its SYNs or so meet a full backlog; a peer that repeats them is served.
        for attempt in range(5):
            peer = s.peer(port=7777, isn=5000)
            peer.send("S")
            found = [one for one in s.segments() if one.dport == 7777]
            if found:
                break
            s.advance(SECOND << attempt)
            s.frames()
        peer.ack = (found[0].seq + 1) % 2**32
        peer.send("A")
        assert len(made) == 1 and s.listener.half_open_count <= 16


def test_a_paused_listener_lets_connections_wait() -> None:
    with stack() as s:
        made = s.listen()
        s.listener.pause()
        peer = s.peer().open()
        peer.send("PA", b"hello")
        peer.send("FA")
        assert made == [] and s.listener.waiting_count == 1 and s.state() == "CLOSE_WAIT"
        s.listener.resume()
        s.core.settle()
        assert made[0].calls == ["connected", "receive", "peer_closed"] and made[0].data == b"hello"
        assert s.listener.waiting_count == 0 and s.counters["accepts"] == 1


def test_what_waits_is_bounded_by_the_window() -> None:
    with stack(TcpConfig(receive_window=4096)) as s:
        made = s.listen()
        s.listener.pause()
        peer = s.peer().open()
        for _ in range(10):
            peer.send("A", b"x" * 1000)
        last = peer.get()[-1]
        assert (last.ack - 1001) % 2**32 == 4096 and last.win == 0
        s.listener.resume()
        s.core.settle()
        assert len(made[0].data) == 4096


def test_no_more_than_the_backlog_wait() -> None:
    with stack() as s:
        made = s.listen(backlog=2)
        s.listener.pause()
        waiting = [s.peer(port=port).open() for port in (1, 2)]
        list(half_open(s, range(3, 4)))
        assert answered(s) == [] and s.counters["dropped_backlog"] == 1, "a SYN has no place to go to"
        assert s.listener.waiting_count == 2 and s.listener.half_open_count == 0
        s.listener.resume()
        assert len(made) == 2
        waiting[1].send("PA", b"served")
        assert made[1].data == b"served"


def test_a_handshake_that_ends_when_no_more_may_wait_is_taken_later() -> None:
    with stack() as s:
        made = s.listen(backlog=1)
        first, second = s.peer(port=1), s.peer(port=2)
        s.listener.pause()
        first.open()
        s.listener.resume()
        second.send("S")
        second.ack = (next(one for one in s.segments() if one.dport == 2).seq + 1) % 2**32
        s.listener.pause()
        third = s.peer(port=3)
        third.send("S")
        assert answered(s) == []
        second.send("A")
        assert s.listener.waiting_count == 1 and len(made) == 1
        s.listener.resume()
        assert len(made) == 2


def test_the_last_acknowledgment_is_not_heard_while_no_more_may_wait() -> None:
    with stack() as s:
        made = s.listen(backlog=2)
        peers = [s.peer(port=port) for port in (1, 2)]
        for peer in peers:
            peer.send("S")
        for peer, answer in zip(peers, s.segments()):
            peer.ack = (answer.seq + 1) % 2**32
        late = peers.pop()
        s.listener.pause()
        peers[0].send("A")
        other = s.peer(port=5)
        other.open()
        assert s.listener.waiting_count == 2
        late.send("A")
        assert s.counters["dropped_backlog"] == 1
        s.listener.resume()
        assert len(made) == 2
        s.advance(SECOND)
        # Ours asks again, and the peer says it again.
        assert answered(s) == [2]
        late.send("A")
        assert len(made) == 3


def test_a_connection_that_is_reset_while_it_waits_is_forgotten() -> None:
    with stack() as s:
        made = s.listen()
        s.listener.pause()
        peer = s.peer().open()
        peer.send("R")
        assert s.listener.waiting_count == 0 and s.state() == "CLOSED"
        s.listener.resume()
        assert made == []


def test_closing_a_paused_listener_resets_what_waits() -> None:
    with stack() as s:
        s.listen()
        s.listener.pause()
        peer = s.peer().open()
        s.listener.close()
        assert flags_of(peer.one()) == "RA" and s.state() == "CLOSED"


def test_a_handler_may_pause_its_listener() -> None:
    """At most one connection is served at a time."""
    with stack() as s:

        class Alone(Recorder):
            def connected(self) -> None:
                s.listener.pause()

            def receive(self, data: Chain) -> None:
                self.send(data)

            def closed(self, error: BaseException | None) -> None:
                s.listener.resume()

        made = s.listen(factory=Alone)
        first, second = s.peer(port=1).open(), s.peer(port=2).open()
        second.send("PA", b"two")
        assert len(made) == 1
        first.send("R")
        assert len(made) == 2
        assert bytes(second.get()[-1].data) == b"two"
