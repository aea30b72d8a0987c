"""Congestion control, TCP and what is below it are replaced under live traffic."""

import os
from typing import Any

import pytest

from netapp.ebb.core import CONGESTION_CONTROL, EVENT_MANAGER, NETWORK_MANAGER, TIMER, EbbError, EbbRef
from netapp.ebb.core import TCP as TCP_ID
from netapp.event.manager import EventManager
from netapp.event.timer import TimerWheel
from netapp.event.virtual import VirtualEntropy
from netapp.net.manager import NetworkManager
from netapp.tcp.config import TcpConfig
from netapp.tcp.congestion.reno import Reno
from netapp.tcp.manager import TcpManager
from tests.support.stack import MS, SECOND, Recorder, connection_of, flags_of, parse, stack


class Fixed(Reno):
    """Always three segments: in plain Python."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, c: Any) -> None:
        self.told.append("start")
        c.cwnd = 3 * c.snd_mss

    def acknowledged(self, c: Any, acked: int) -> None:
        self.told.append(acked)

    def timed_out(self, c: Any) -> None:
        self.told.append("timed_out")


def burst(s: Any, handler: Any, peer: Any, size: int = 30_000) -> int:
    """How many segments go out before an acknowledgment comes."""
    handler.send(bytes(size))
    return len(peer.get())


def test_live_connections_keep_theirs_and_new_ones_get_the_new() -> None:
    with stack() as s:
        made = s.listen()
        first = s.peer(port=1).open()
        half_open = s.peer(port=2)
        half_open.send("S", options=[("MSS", 1460)])
        half_open.one()
        fixed = Fixed()
        assert s.core.namespace.rebind(CONGESTION_CONTROL, lambda core, ebb_id: fixed)
        assert EbbRef(CONGESTION_CONTROL)() is fixed
        half_open.send("A")
        third = s.peer(port=3).open()
        assert [burst(s, handler, peer) for handler, peer in zip(made, (first, half_open, third))] == [10, 10, 3]
        assert fixed.told == ["start"]
        for _ in range(3):
            first.acknowledge()
            first.get()
            third.acknowledge()
            assert len(third.get()) == 3
        assert connection_of(made[0]).cwnd > 14_600 and connection_of(made[2]).cwnd == 4380
        assert fixed.told == ["start"] + 3 * [4380]
        # And back again: this one stays with what it began with.
        s.core.namespace.rebind(CONGESTION_CONTROL, lambda core, ebb_id: Reno())
        third.acknowledge()
        assert len(third.get()) == 3
        fourth = s.peer(port=4).open()
        assert burst(s, made[3], fourth) == 10
        s.advance(SECOND)
        assert fixed.told[-1] == "timed_out"


def test_what_a_python_control_does_not_define_is_as_in_its_base() -> None:
    class Cautious(Reno):
        def start(self, c: Any) -> None:
            c.cwnd = 8 * c.snd_mss
            c.ssthresh = 1 << 30

    with stack() as s:
        made = s.listen()
        s.core.namespace.rebind(CONGESTION_CONTROL, lambda core, ebb_id: Cautious())
        peer = s.peer().open()
        assert burst(s, made[0], peer, 60_000) == 8
        lost = peer.ack - 8 * 1460
        for _ in range(3):
            peer.acknowledge(ack=lost)
        (again,) = [one for one in peer.get() if one.seq == lost]
        assert len(again.data) == 1460, "fast retransmit"
        c = connection_of(made[0])
        assert c.ssthresh <= 5 * 1460 and c.cwnd >= c.ssthresh, "Reno's loss_detected"
        del c


def test_an_exception_of_a_python_control_is_reported_and_does_not_end_the_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Reno):
        def acknowledged(self, c: Any, acked: int) -> None:
            raise ValueError("as asked")

    with pytest.raises(AssertionError, match="1 exceptions came out"), stack() as s:
        made = s.listen()
        s.core.namespace.rebind(CONGESTION_CONTROL, lambda core, ebb_id: Broken())
        peer = s.peer().open()
        burst(s, made[0], peer)
        peer.acknowledge()
        assert "as asked" in caplog.text
        s.frames()
        other = s.peer(port=9).open()
        assert burst(s, made[1], other, 1000) == 1


def test_tcp_goes_on_under_another_configuration() -> None:
    with stack(TcpConfig(send_limit=20_000, delayed_ack=40 * MS)) as s:
        made = s.echo()
        peer = s.peer().open()
        waiting = s.peer(port=2)
        waiting.send("S", options=[("MSS", 1460)])
        waiting.one()
        opening, server = s.connect()
        out_of_order = peer.frame("A", b"world", seq=peer.seq + 6)
        s.send_frame(out_of_order)
        peer.get()
        made[0].send(b"unacknowledged ")
        peer.get()
        before = s.counters
        config = TcpConfig(send_limit=50_000, backlog=1, max_connections=4)
        assert s.core.namespace.rebind(TCP_ID, lambda core, ebb_id: TcpManager(config, VirtualEntropy(8)))
        old, s.tcp = s.tcp, EbbRef(TCP_ID)()
        assert s.tcp is not old and s.tcp.counters() == before
        assert len(s.tcp.connections()) == 3 and old.connections() == [] and old.listening() == []
        assert connection_of(made[0]).tcp is s.tcp and s.listener.tcp is s.tcp
        # In the middle of everything: retransmission, reassembly, handshakes both ways.
        s.advance(2 * SECOND)
        found = s.segments()
        assert [bytes(one.data) for one in found if one.dport == peer.port and one.data] != []
        peer.acknowledge()
        peer.send("A", b"hello ")
        peer.seq += 5
        text = b"".join(bytes(one.data) for one in peer.get())
        assert text.endswith(b"hello world") and made[0].data == b"hello world"
        waiting.send("A")
        server.accept()
        assert [c.state_name for c in s.tcp.connections()] == ["ESTABLISHED"] * 3
        s.peer(port=5).open()
        refused = s.peer(port=6)
        refused.send("S")
        refused.nothing()
        assert s.counters["dropped_table_full"] == 1, "the new limit holds"
        made[0].close()
        assert "F" in flags_of([one for one in peer.get() if one.dport == peer.port][-1])
        opening.abort()
        s.listener.close()
        assert s.tcp.listening() == []
        s.frames()
        del old


def test_a_tcp_that_is_replaced_while_the_ring_is_full_goes_on_sending() -> None:
    with stack(capacity=4) as s:
        made = s.listen()
        peer = s.peer(window=60_000).open()
        text = os.urandom(60_000)
        made[0].send(text)
        for _ in range(5):
            s.core.events.turn()
        assert s.counters["transmit_full"] > 0
        s.core.namespace.rebind(TCP_ID, lambda core, ebb_id: TcpManager(TcpConfig(), VirtualEntropy(8)))
        s.tcp = EbbRef(TCP_ID)()
        for _ in range(200):
            for raw in s.end.receive():
                peer.received += bytes(parse(raw).data)
                peer.ack = (peer.ack + len(parse(raw).data)) % 2**32
            s.end.send(peer.frame("A"))
            for _ in range(4):
                s.core.events.turn()
            if len(peer.received) == len(text):
                break
        assert peer.received == text


def test_what_a_connection_that_ended_has_still_to_say_comes_after_resume() -> None:
    with stack(TcpConfig(time_wait=SECOND)) as s:
        made = s.listen(7, lambda: Recorder(peer_closed=lambda self: self.close()))
        peer = s.peer().open()
        made[0].pause()
        peer.send("PA", b"the last words")
        made[0].close()
        peer.get()
        peer.send("FA")
        s.frames()
        s.advance(2 * SECOND)
        assert s.tcp.connections() == [] and made[0].calls == ["connected"]
        s.core.namespace.rebind(TCP_ID, lambda core, ebb_id: TcpManager(TcpConfig(), VirtualEntropy(8)))
        s.tcp = EbbRef(TCP_ID)()
        made[0].resume()
        s.core.settle()
        assert made[0].data == b"the last words" and made[0].calls[-1] == "closed"


def test_everything_below_is_replaced_under_traffic() -> None:
    """Event manager, timers and TCP in every round of an echo with losses."""
    with stack() as s:
        s.echo()
        peer = s.peer().open()
        sent = b""
        names = s.core.namespace
        for i in range(60):
            piece = b"%d " % i * 50
            sent += piece
            peer.send("PA", piece)
            if i % 5:
                peer.get()
                peer.acknowledge()
            else:
                s.frames()  # lost
            if i % 3 == 0:
                names.rebind(EVENT_MANAGER, lambda core, ebb_id: EventManager(s.core.clock, s.core.interrupts))
            elif i % 3 == 1:
                names.rebind(TIMER, lambda core, ebb_id: TimerWheel())
            else:
                names.rebind(TCP_ID, lambda core, ebb_id: TcpManager(TcpConfig(), VirtualEntropy(9)))
                s.tcp = EbbRef(TCP_ID)()
        for _ in range(40):
            s.advance(SECOND)
            peer.get()
            peer.acknowledge()
        assert peer.received == sent


def test_the_network_manager_is_not_replaced() -> None:
    with stack() as s:
        s.echo()
        peer = s.peer().open()
        with pytest.raises(EbbError, match="the network manager cannot be replaced: paths"):
            s.core.namespace.rebind(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager())
        with pytest.raises(EbbError, match="of its own"):

            def busy(core: Any, ebb_id: int) -> TcpManager:
                other = TcpManager(TcpConfig(), VirtualEntropy(8))
                other.listen(9, Recorder)
                return other

            s.core.namespace.rebind(TCP_ID, busy)
        peer.send("PA", b"still there")
        assert bytes(peer.get()[0].data) == b"still there"


def test_a_replaced_manager_opens_nothing() -> None:
    """What it opened then would be in no table."""
    with stack() as s:
        old = s.tcp
        assert s.core.namespace.rebind(TCP_ID, lambda core, ebb_id: TcpManager(TcpConfig(), VirtualEntropy(8)))
        with pytest.raises(RuntimeError, match="replaced"):
            old.connect("10.99.0.1", 80, Recorder)
        with pytest.raises(RuntimeError, match="replaced"):
            old.listen(9, Recorder)


def test_a_smaller_window_takes_the_text_of_a_syn_that_was_offered_more() -> None:
    with stack(TcpConfig(receive_window=60_000)) as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S", bytes(1000), options=[("MSS", 1460)])
        peer.get()
        config = TcpConfig(receive_window=100)
        assert s.core.namespace.rebind(TCP_ID, lambda core, ebb_id: TcpManager(config, VirtualEntropy(8)))
        s.advance(1100 * MS)
        assert flags_of(peer.one()) == "SA"
        s.send_frame(peer.frame("A", seq=1001), peer.frame("A", bytes(200), seq=2001))
        assert len(made[0].data) == 1200
        assert peer.get()[-1].ack == 2201


def test_the_new_one_tells_those_that_ended_under_the_old_one_unread() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].pause()
        peer.send("FPA", b"unread")
        made[0].close()
        peer.get()
        peer.send("A")
        s.core.namespace.rebind(TCP_ID, lambda core, ebb_id: TcpManager(TcpConfig(), VirtualEntropy(9)))
    assert made[0].calls == ["connected", "closed"]
