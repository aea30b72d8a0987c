"""RFC 9293, 3.8.5: urgent data."""

import pytest

from netapp.iobuf.chain import Chain
from netapp.tcp.config import TcpConfig
from tests.support.stack import Peer, Recorder, Stack, connection_of, flags_of, stack


class Urgent(Recorder):
    """Writes down how much is urgent when it is told so, and what receive() is given, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []
        self.pieces: list[bytes] = []

    def urgent(self, left: int) -> None:
        self.told.append(left)
        self._called("urgent")

    def receive(self, data: Chain) -> None:
        self.pieces.append(bytes(data))
        super().receive(data)


def urgent_peer(s: Stack) -> tuple[Urgent, Peer]:
    made = s.listen(factory=Urgent)
    peer = s.peer().open()
    handler = made[0]
    assert isinstance(handler, Urgent)
    return handler, peer


def test_must_30_urgent_data_is_received_in_line() -> None:
    with stack() as s:
        handler, peer = urgent_peer(s)
        peer.send("PA", b"one ")
        peer.send("PAU", b"two ", urgptr=4)
        peer.send("PA", b"three")
        assert handler.data == b"one two three" and handler.told == [4]


def test_must_30_urgent_data_is_sent() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        connection_of(made[0]).send_urgent(b"now")
        segment = peer.one()
        assert flags_of(segment) == "PAU" and segment.data == b"now"
        # And is over, once it was acknowledged.
        peer.send("A")
        made[0].send(b"later")
        assert flags_of(peer.one()) == "PA"


def test_must_62_the_pointer_is_to_what_follows_the_urgent_data() -> None:
    with stack() as s:
        handler, peer = urgent_peer(s)
        peer.send("PAU", b"urgent and not", urgptr=6)
        assert handler.told == [6] and handler.pieces == [b"urgent", b" and not"]
        connection_of(handler).send_urgent(b"abc")
        segment = peer.one()
        assert segment.urp == 3 and segment.data == b"abc"


def test_must_31_urgent_data_of_any_length_is_received() -> None:
    with stack() as s:
        handler, peer = urgent_peer(s)
        total = 60_000
        for at in range(0, total, 1000):
            peer.send("AU", b"u" * 1000, urgptr=total - at)
        peer.send("A", b"n" * 1000)
        assert handler.told == [total] and b"".join(handler.pieces) == b"u" * total + b"n" * 1000
        assert handler.pieces[-1] == b"n" * 1000


@pytest.mark.parametrize("length", [1, 1460, 1461, 65535, 65536, 200_000])
def test_must_31_urgent_data_of_any_length_is_sent(length: int) -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        connection_of(made[0]).send_urgent(b"u" * length)
        made[0].send(b"n" * 5000)
        end = peer.ack + length
        while len(peer.received) < length + 5000:
            found = peer.get()
            assert found
            for segment in found:
                # Every segment with urgent data ahead says so; none points beyond the end of it.
                assert ("U" in flags_of(segment)) == (segment.seq < end)
                if segment.seq < end:
                    assert segment.urp == min(end - segment.seq, 65535)
            peer.send("A")


def test_must_32_the_application_is_told_at_once() -> None:
    """Before the urgent data is there, and while it takes nothing."""
    with stack() as s:
        handler, peer = urgent_peer(s)
        handler.pause()
        peer.send("A", b"before")
        peer.send("AU", b"", urgptr=100)
        assert handler.told == [106] and handler.pieces == []
        # What moves the pointer on is told as well.
        peer.send("AU", b"x" * 50, urgptr=200)
        assert handler.told == [106, 206] and handler.pieces == []


def test_must_33_the_application_can_learn_how_much_is_left() -> None:
    with stack() as s:
        handler, peer = urgent_peer(s)
        assert connection_of(handler).urgent_left == 0
        peer.send("AU", b"x" * 10, urgptr=30)
        assert connection_of(handler).urgent_left == 20
        peer.send("AU", b"x" * 15, urgptr=20)
        assert connection_of(handler).urgent_left == 5
        peer.send("A", b"x" * 15)
        assert connection_of(handler).urgent_left == 0


def test_must_66_urg_is_processed_at_a_zero_window() -> None:
    with stack(TcpConfig(receive_window=4096)) as s:
        handler, peer = urgent_peer(s)
        handler.pause()
        for size in (1460, 1460, 1176):
            peer.send("A", b"x" * size)
        s.advance(s.config.delayed_ack)
        assert peer.get()[-1].win == 0
        peer.send("AU", b"!", seq=peer.seq, urgptr=1)
        assert handler.told == [4097] and handler.pieces == []
