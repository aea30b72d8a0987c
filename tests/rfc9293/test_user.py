"""RFC 9293, 3.9.1: the user's calls."""

import pytest
from scapy.layers.inet import IP

from netapp.tcp.handler import TcpHandler
from tests.rfc9293.peers import icmp_error
from tests.support.stack import MS, SECOND, THEIRS, Recorder, Stack, connection_of, flags_of, stack


def test_must_60_data_is_not_buffered_for_ever() -> None:
    """It leaves at the end of the turn, whatever its size, also when something is on its way already."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for size in (1, 10, 1000, 1459):
            before = len(peer.received)
            made[0].send(b"x" * size)
            s.advance(MS)
            peer.get()
            assert len(peer.received) == before + size


def test_must_61_the_last_segment_has_psh() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=1000)
        made[0].send(b"x" * 4500)
        assert ["P" in flags_of(segment) for segment in peer.get()] == [False] * 4 + [True]
        peer.send("A")
        made[0].send(b"y")
        assert flags_of(peer.one()) == "PA"


def test_shld_27_successive_pushes_share_a_segment() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for number in range(10):
            made[0].send(b"%d" % number)
        segment = peer.one()
        assert segment.data == b"0123456789" and flags_of(segment) == "PA"


def test_may_16_what_is_sent_in_a_turn_is_gathered() -> None:
    with stack() as s:
        made = s.listen(factory=None)
        peer = s.peer().open()
        made[0].script["receive"] = lambda self, data: [self.send(b"part ") for _ in range(3)]
        s.send_frame(peer.frame("PA", b"a"), peer.frame("PA", b"b", seq=peer.seq + 1))
        assert peer.one().data == b"part " * 6


def test_shld_28_segments_are_as_large_as_they_may_be() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=1000)
        for _ in range(50):
            made[0].send(b"x" * 90)
        assert [len(segment.data) for segment in peer.get()] == [1000] * 4 + [500]


def traffic_classes(s: Stack) -> set[int]:
    """Of what ours sent since last asked."""
    return {IP(frame[14:]).tos for frame in s.frames()}


def test_must_48_an_application_can_set_the_diffserv_field() -> None:
    """For a connection that it opens, or accepts, from the first segment on."""
    with stack() as s:
        handler = Recorder()
        s.tcp.connect(THEIRS, 80, lambda: handler, traffic_class=0xB8)
        s.advance(10 * SECOND)
        assert traffic_classes(s) == {0xB8}
        handler.abort()
        s.listen(traffic_class=0x28)
        s.peer().send("S")
        assert traffic_classes(s) == {0x28}
        # Others are not concerned.
        s.listen(8)
        s.peer(to=8, port=40001).send("S")
        assert traffic_classes(s) == {0}


def test_must_48_what_is_none_is_an_error() -> None:
    with stack() as s:
        for wrong in (-4, 256, 1, 2, 3):
            with pytest.raises(ValueError):
                s.tcp.connect(THEIRS, 80, Recorder, traffic_class=wrong)
            with pytest.raises(ValueError):
                s.listen(7, traffic_class=wrong)
        assert s.frames() == []


def test_shld_21_also_while_the_connection_lasts() -> None:
    with stack() as s:
        made = s.echo()
        peer = s.peer().open()
        for value in (0x20, 0xFC, 0):
            connection_of(made[0]).traffic_class = value
            assert connection_of(made[0]).traffic_class == value
            peer.send("PA", b"hello")
            [frame] = s.frames()
            assert IP(frame[14:]).tos == value
            peer.ack += 5


def test_shld_22_ip_gets_it_unchanged() -> None:
    """In every segment: data, acknowledgments, retransmissions, FIN."""
    with stack() as s:
        made = s.echo()
        peer = s.peer().open()
        connection_of(made[0]).traffic_class = 0x48
        peer.send("PA", b"hello")
        peer.send("A", b"x" * 2000)
        s.advance(10 * SECOND)
        made[0].close()
        peer.send("FA")
        frames = s.frames()
        assert len(frames) > 5 and {IP(frame[14:]).tos for frame in frames} == {0x48}


class Told(Recorder):
    """Writes down what is reported besides."""

    def soft_error(self, error: OSError) -> None:
        self.calls.append("soft_error")

    def delivery_delayed(self) -> None:
        self.calls.append("delivery_delayed")

    def urgent(self, left: int) -> None:
        self.calls.append("urgent")


def excited(s: Stack, handler: TcpHandler) -> None:
    """An ICMP error, retransmissions without an answer, an urgent pointer that moves on."""
    s.listen(factory=lambda: handler)
    peer = s.peer().open()
    handler.send(b"x")
    [frame] = s.frames()
    icmp_error(s, 3, 1, frame)
    s.advance(10 * SECOND)
    peer.send("AU", b"", urgptr=5)


def test_must_47_soft_errors_are_reported() -> None:
    with stack() as s:
        handler = Told()
        excited(s, handler)
        assert handler.calls == ["connected", "soft_error", "delivery_delayed", "urgent"]
        assert s.state() == "ESTABLISHED"


def test_shld_20_unless_the_application_wants_none() -> None:
    """It has no such callbacks, then."""
    with stack() as s:
        handler = TcpHandler()
        excited(s, handler)
        assert handler.connection is not None and s.state() == "ESTABLISHED"
        handler.abort()
