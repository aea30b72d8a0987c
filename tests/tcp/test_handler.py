"""The contract of handler and connection (design: "TCP/IP"), callback by callback."""

import logging

import pytest

from netapp.iobuf.chain import Chain
from netapp.tcp.config import TcpConfig
from netapp.tcp.connection import SendQueueFull, live_connections
from netapp.tcp.handler import TcpHandler
from tests.support.stack import SECOND, THEIRS, Recorder, flags_of, stack

CALLBACKS = ["connected", "receive", "peer_closed", "writable", "urgent", "delivery_delayed", "closed"]
CALLS = {
    "send": lambda self, *_: self.send(b"reply"),
    "send a lot": lambda self, *_: self.send(bytes(50_000)),
    "close": lambda self, *_: self.close(),
    "abort": lambda self, *_: self.abort(),
    "pause": lambda self, *_: self.pause(),
    "resume": lambda self, *_: self.resume(),
    "options": lambda self, *_: options(self.connection),
    "all": lambda self, *_: (self.send(b"reply"), self.pause(), self.resume(), self.close(), self.abort()),
    "raise": lambda self, *_: 1 // 0,
}
LIMITED = TcpConfig(send_limit=5000)


def options(connection):
    """Every other call of a connection."""
    connection.nagle = True
    connection.user_timeout = 90 * SECOND
    connection.keepalive(SECOND, SECOND, 2)
    assert connection.nagle and connection.user_timeout == 90 * SECOND and connection.urgent_left >= 0
    if connection.state_name == "ESTABLISHED":
        connection.send_urgent(b"urgent")


def run_into(s, callback, script):
    """A connection driven to where `callback` is called, with others beside it; its handler and peer."""
    made = s.listen(7, lambda: Recorder(**script))
    peer = s.peer().open()
    handler = made[0]
    if callback == "writable":
        handler.send(bytes(5000))
        peer.get()
        peer.acknowledge()
    elif callback == "receive":
        peer.send("PA", b"request")
    elif callback == "peer_closed":
        peer.send("FA")
    elif callback == "urgent":
        peer.send("UA", b"urgent", urgptr=6)
    elif callback == "delivery_delayed":
        handler.send(b"lost")
        s.advance(2 * SECOND)
    elif callback == "closed":
        peer.send("R")
    return handler, peer


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("callback", CALLBACKS)
def test_every_call_in_every_callback(callback, call, caplog):
    with stack(LIMITED) as s, caplog.at_level(logging.CRITICAL):
        others = s.echo(port=8)
        other = s.peer(to=8, port=999).open()
        handler, _ = run_into(s, callback, {callback: CALLS[call]})
        assert callback in handler.calls, handler.calls
        for frame in s.frames():
            assert frame
        if callback == "closed":
            assert handler.calls == ["connected", "closed"] and isinstance(handler.error, ConnectionResetError)
        elif call in ("abort", "all", "raise"):
            assert handler.calls[-1] == "closed" and isinstance(handler.error, ConnectionAbortedError)
        elif call == "close" and callback == "peer_closed":
            assert handler.connection.state_name == "LAST_ACK"
        elif call == "close":
            assert handler.connection.state_name == "FIN_WAIT_1"
        elif call in ("send", "send a lot"):
            lost = 4 if callback == "delivery_delayed" else 0
            assert handler.connection.queued - lost in (5, 50_000)
        else:
            assert handler.connection.state_name in ("ESTABLISHED", "CLOSE_WAIT")
        raises = call == "raise" or (callback == "closed" and call in ("send", "send a lot", "all"))
        assert s.counters["callback_exceptions"] == raises
        # The others go on.
        other.send("PA", b"still here")
        assert bytes(other.one().data) == b"still here"
        assert others[0].calls == ["connected", "receive"]


@pytest.mark.parametrize("callback", CALLBACKS)
def test_an_exception_is_logged_with_its_handler_and_resets_one_connection(callback, caplog):
    with stack(LIMITED) as s:
        handler, peer = run_into(s, callback, {callback: CALLS["raise"]})
        found = s.segments()
        assert handler.connection is None and handler.calls.count("closed") == 1
        if callback == "closed":
            assert isinstance(handler.error, ConnectionResetError)
        else:
            assert flags_of([one for one in found if one.dport == peer.port][-1]) == "RA"
            assert str(handler.error) == f"{callback}() raised ZeroDivisionError"
        (record,) = caplog.records
        assert record.levelno == logging.ERROR and f"{callback}() of Recorder" in record.getMessage()
        assert "ZeroDivisionError" in caplog.text
        assert s.counters["callback_exceptions"] == 1
        caplog.clear()


def test_a_logged_exception_keeps_no_received_data(caplog):
    def fail(self, data):
        view = memoryview(next(iter(data)))
        raise ValueError(len(view))

    with stack() as s:
        s.listen(7, lambda: Recorder(receive=fail))
        peer = s.peer().open()
        peer.send("PA", b"x" * 1000)
        s.frames()
        # The record is still there, and with it the exception; the frames it came through are not.
        assert caplog.records[0].exc_info
        assert s.core.pool.pinned()["device"] == 0


@pytest.mark.parametrize("failure", ["raises", "no handler", "taken"])
def test_a_factory_that_fails_resets_that_connection(failure, caplog):
    shared = Recorder()
    factories = {"raises": lambda: 1 // 0, "no handler": lambda: object(), "taken": lambda: shared}
    with stack() as s, caplog.at_level(logging.CRITICAL):
        s.tcp.listen(7, factories[failure])
        if failure == "taken":
            s.peer(port=1).open()
        peer = s.peer()
        peer.send("S")
        peer.get()
        peer.send("A")
        assert flags_of(peer.one()) == "RA"
        assert s.counters["callback_exceptions"] == 1
        assert len(s.tcp.connections()) == (failure == "taken")
        assert shared.calls == (["connected"] if failure == "taken" else [])


def test_callbacks_come_in_order_and_state_is_settled_before():
    seen = []

    def note(self, *arguments):
        seen.append((self.calls[-1], self.connection.state_name))

    with stack() as s:
        s.listen(7, lambda: Recorder(connected=note, receive=note, peer_closed=note, closed=note))
        peer = s.peer()
        peer.send("S")
        peer.get()
        peer.send("FPA", b"all")
        assert seen == [("connected", "CLOSE_WAIT"), ("receive", "CLOSE_WAIT"), ("peer_closed", "CLOSE_WAIT")]
        peer.get()
        peer.send("R")
        assert seen[3:] == [("closed", "CLOSED")]


def test_connection_is_there_from_connected_to_the_end_of_closed():
    had = []
    with stack() as s:
        handler = Recorder(
            connected=lambda self: had.append(self.connection is not None),
            closed=lambda self, error: had.append(self.connection is not None),
        )
        assert handler.connection is None
        with pytest.raises(ConnectionError):
            handler.send(b"too early")
        for call in ("close", "abort", "pause", "resume"):
            getattr(handler, call)()
        s.listen(7, lambda: handler)
        peer = s.peer().open()
        peer.send("R")
        assert had == [True, True] and handler.connection is None
        with pytest.raises(ConnectionError):
            handler.send(b"too late")


def test_one_handler_acts_on_another():
    with stack() as s:

        def abort_others(self, data):
            for connection in s.tcp.connections():
                if connection is not self.connection:
                    connection.abort()

        made = s.listen(7, lambda: Recorder(receive=abort_others))
        peers = [s.peer(port=i).open() for i in (1, 2, 3)]
        peers[0].send("PA", b"all others")
        assert [handler.calls[-1] for handler in made] == ["receive", "closed", "closed"]
        assert sorted((one.dport, flags_of(one)) for one in s.segments()) == [(2, "RA"), (3, "RA")]


def test_a_handler_connects_on_within_a_callback():
    with stack() as s:
        s.listen(7, lambda: Recorder(receive=lambda self, data: s.tcp.connect(THEIRS, 80, Recorder)))
        peer = s.peer().open()
        peer.send("PA", b"go")
        assert "S" in [flags_of(one) for one in s.segments()]


def test_compiled_callbacks_are_the_default():
    """A class that overrides nothing runs compiled; one that overrides some, only these in Python."""

    class Quiet(TcpHandler):
        pass

    class Partly(Quiet):
        def receive(self, data: Chain) -> None:
            self.send(data)

    class Again(Partly):
        def receive(self, data):
            super().receive(data)

    with stack() as s:
        for port, handler in ((7, TcpHandler), (8, Quiet), (9, Partly), (10, Again)):
            s.tcp.listen(port, handler)
            peer = s.peer(to=port, port=port).open()
            peer.send("PA", b"data")
            s.advance(SECOND)
            found = peer.get()
            assert bytes(found[0].data) == (b"data" if port > 8 else b"")
            peer.acknowledge()
            peer.send("FA")
            assert flags_of(peer.get()[-1]) == "FA", "peer_closed() closes"
            peer.acknowledge()
        assert s.state() == "CLOSED" and not s.counters["callback_exceptions"]


# --- limits


def test_above_the_limit_a_sender_outside_receive_is_told():
    with stack(LIMITED) as s:
        made = s.listen()
        peer = s.peer(window=1460).open()
        handler = made[0]
        handler.send(bytes(4000))
        handler.send(bytes(4000))  # one call may overshoot
        for _ in range(2):
            with pytest.raises(SendQueueFull, match="8000 bytes"):
                handler.send(b"x")
        assert isinstance(SendQueueFull(), BufferError)
        while handler.connection.queued > 2500:
            assert "writable" not in handler.calls
            peer.get()
            peer.acknowledge()
        assert handler.calls == ["connected", "writable"], "once, at half of the limit"
        handler.send(b"room")
        while handler.connection.queued:
            peer.get()
            peer.acknowledge()
        assert handler.calls == ["connected", "writable"]


def test_receive_may_overshoot_and_is_then_not_called_until_low_water():
    with stack(LIMITED) as s:
        made = s.listen(7, lambda: Recorder(receive=lambda self, data: [self.send(bytes(3000)) for _ in range(3)]))
        peer = s.peer(window=1460).open()
        handler = made[0]
        peer.send("PA", b"first")
        assert handler.connection.queued == 9000
        for _ in range(3):
            peer.send("PA", b"more")
        assert handler.data == b"first"
        while handler.connection.queued > 2500:
            assert handler.data == b"first", handler.connection.queued
            peer.get()
            peer.acknowledge()
            s.core.settle()
            if handler.data != b"first":
                break
        assert handler.data == b"firstmoremoremore"
        assert s.counters["callback_exceptions"] == 0


def test_writable_comes_before_more_is_received():
    with stack(LIMITED) as s:
        made = s.listen()
        peer = s.peer(window=5000).open()
        handler = made[0]
        handler.send(bytes(5000))
        peer.send("PA", b"waits")
        assert handler.calls == ["connected"]
        for _ in range(3):
            peer.get()
            peer.acknowledge()
        assert handler.calls == ["connected", "writable", "receive"]


def test_writable_does_not_come_where_nothing_can_be_sent():
    with stack(LIMITED) as s:
        made = s.listen()
        peer = s.peer(window=5000).open()
        handler = made[0]
        handler.send(bytes(5000))
        handler.close()
        for _ in range(4):
            peer.get()
            peer.acknowledge()
        assert handler.connection.queued == 0 and handler.calls == ["connected"]


def test_a_sender_that_fills_up_in_writable_goes_on():
    with stack(LIMITED) as s:
        left = [20]

        def fill(self):
            while left[0]:
                left[0] -= 1
                try:
                    self.send(bytes(1000))
                except SendQueueFull:
                    left[0] += 1
                    return

        made = s.listen(7, lambda: Recorder(connected=fill, writable=fill))
        peer = s.peer(window=3000).open()
        for _ in range(40):
            peer.get()
            peer.acknowledge()
        assert len(peer.received) == 20_000
        assert made[0].calls.count("writable") >= 4
        assert not s.counters["callback_exceptions"]


def test_the_total_limit_starves_those_that_owe_and_feeds_them_again():
    config = TcpConfig(send_limit_total=10_000)
    with stack(config) as s:
        made = s.listen()
        greedy = s.peer(port=1, window=0).open()
        waiting = [s.peer(port=i).open() for i in (2, 3, 4)]
        for handler in made[1:]:
            handler.send(b"reply")
        made[0].send(bytes(10_000))
        s.frames()
        for peer in waiting:
            peer.send("PA", b"request", ack=peer.ack)
        assert [handler.data for handler in made[1:]] == [b""] * 3
        s.advance(SECOND)
        s.frames()
        # One of the starved goes, then the greedy one.
        waiting[2].send("R")
        assert made[3].calls == ["connected", "closed"]
        greedy.send("R")
        assert [handler.data for handler in made[1:3]] == [b"request"] * 2


def test_the_starved_that_end_are_not_kept():
    with stack(TcpConfig(send_limit_total=10_000)) as s:
        made = s.listen()
        s.peer(port=1, window=0).open()
        made[0].send(bytes(10_000))
        live = live_connections()
        for _ in range(10):
            peer = s.peer(port=2).open()
            made[-1].send(b"reply")
            s.frames()
            peer.send("PA", b"request")
            peer.send("R")
        assert live_connections() == live
        assert [handler.calls for handler in made[1:]] == [["connected", "closed"]] * 10


def test_the_starved_are_fed_when_an_acknowledgment_makes_room():
    config = TcpConfig(send_limit_total=10_000, send_limit=20_000)
    with stack(config) as s:
        made = s.listen()
        greedy = s.peer(port=1).open()
        other = s.peer(port=2).open()
        made[0].send(bytes(10_000))
        made[1].send(b"reply")
        other.send("PA", b"request")
        assert made[1].data == b""
        found = [one for one in s.segments() if one.dport == 1]
        assert sum(len(one.data) for one in found) == 10_000
        greedy.send("A", ack=greedy.ack + 10_000)
        assert made[1].data == b"request"


def test_those_that_owe_nothing_are_fed_whatever_others_owe():
    with stack(TcpConfig(send_limit_total=10_000)) as s:
        made = s.listen()
        s.peer(port=1, window=0).open()
        other = s.peer(port=2).open()
        made[0].send(bytes(10_000))
        other.send("PA", b"one")
        assert made[1].data == b"one"
        made[1].send(b"reply")
        other.send("PA", b"two")
        assert made[1].data == b"one"
        other.get()
        other.acknowledge()
        assert made[1].data == b"onetwo"


def test_what_the_starved_have_not_read_comes_before_closed():
    config = TcpConfig(send_limit_total=10_000, time_wait=SECOND)
    with stack(config) as s:
        made = s.listen()
        s.peer(port=1, window=0).open()
        other = s.peer(port=2).open()
        made[0].send(bytes(10_000))
        made[1].send(b"reply")
        made[1].close()
        s.frames()
        other.send("FPA", b"last")
        assert made[1].calls == ["connected"]
        other.send("A", ack=other.ack + 6)
        s.advance(2 * SECOND)
        assert made[1].calls == ["connected", "receive", "peer_closed", "closed"] and made[1].error is None
        s.frames()


def test_keyboard_interrupt_passes_and_leaves_the_stack_whole():
    def interrupt(self, *_):
        raise KeyboardInterrupt

    with stack() as s:
        made = s.listen(7, lambda: Recorder(writable=None, peer_closed=interrupt))
        peers = [s.peer(port=i).open() for i in range(1, 6)]
        for handler in made:
            handler.pause()
        for peer in peers:
            s.end.send(peer.frame("PA", b"data"))
            peer.seq += 4
        s.core.settle()
        for handler in made:
            handler.script["receive"] = interrupt
            handler.resume()
        for _ in made:
            with pytest.raises(KeyboardInterrupt):
                s.core.events.turn()
        s.core.settle()
        assert [handler.data for handler in made] == [b"data"] * 5
        for handler in made:
            handler.script.clear()
        for peer in peers:
            peer.send("PA", b"more")
        assert [handler.data for handler in made] == [b"datamore"] * 5
        s.frames()
