"""RFC 9293, 3.9.1: the user's calls."""

from tests.support.stack import MS, flags_of, stack


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
