"""RFC 9293, 3.8.6.3 and 3.10.7.4: acknowledgments, and what arrives out of order."""

from tests.support.stack import MS, flags_of, stack


def test_shld_18_acknowledgments_are_delayed() -> None:
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        peer.send("PA", b"x" * 100)
        peer.nothing()
        s.advance(s.config.delayed_ack + MS)
        assert peer.one().ack == peer.seq


def test_shld_18_and_ride_on_data() -> None:
    with stack() as s:
        s.echo()
        peer = s.peer().open()
        peer.send("PA", b"x" * 100)
        answer = peer.one()
        assert answer.ack == peer.seq and answer.data == b"x" * 100
        s.advance(s.config.delayed_ack + MS)
        peer.nothing()


def test_must_40_by_less_than_half_a_second() -> None:
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for size in (1, 100, 1460):
            peer.send("PA", b"x" * size)
            passed, [segment] = s.until_sent()
            assert passed < 500 * MS and segment.ack == peer.seq


def test_shld_19_every_second_full_segment_is_acknowledged() -> None:
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for number in range(1, 11):
            peer.send("A", b"x" * 1460)
            found = peer.get()
            assert len(found) == (number + 1) % 2 and all(segment.ack == peer.seq for segment in found)


def test_shld_31_segments_out_of_order_are_kept() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        at = peer.seq
        for piece in (b"three", b"two--", b"four-"):
            peer.send("PA", piece, seq=at + 5 * (b"one--", b"two--", b"three", b"four-").index(piece))
            assert made[0].data == b""
        peer.send("PA", b"one--")
        assert made[0].data == b"one--two--threefour-"
        assert peer.get()[-1].ack == at + 20


def test_may_13_they_are_acknowledged_at_once() -> None:
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for number in range(1, 4):
            peer.send("A", b"x" * 100, seq=peer.seq + 100 * number)
            assert peer.one().ack == peer.seq
        # What fills the gap, too (RFC 5681, 4.2).
        peer.send("A", b"x" * 100)
        assert peer.one().ack == peer.seq + 300


def test_must_58_acknowledgments_are_aggregated() -> None:
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        frames = [peer.frame("A", b"x" * 1460, seq=peer.seq + 1460 * number) for number in range(10)]
        s.send_frame(*frames)
        [segment] = peer.get()
        assert segment.ack == peer.seq + 14600


def test_must_59_all_is_processed_before_one_is_sent() -> None:
    """Data, what fills a gap, an old segment and a FIN: the acknowledgment knows of all."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        at = peer.seq
        s.send_frame(
            peer.frame("A", b"a" * 1460),
            peer.frame("A", b"a" * 1460, seq=at + 1460),
            peer.frame("A", b"b" * 100, seq=at + 2920),
            peer.frame("A", b"a" * 1460),
            peer.frame("FA", b"c" * 10, seq=at + 3020),
        )
        assert len(made[0].data) == 3030 and "peer_closed" in made[0].calls
        [segment] = peer.get()
        assert segment.ack == at + 3031


def test_may_12_a_blind_reset_is_challenged() -> None:
    """RFC 5961, 3.2."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        peer.send("R", seq=peer.seq + 1)
        challenge = peer.one()
        assert flags_of(challenge) == "A" and challenge.ack == peer.seq
        assert s.state() == "ESTABLISHED"
        peer.send("R", seq=peer.seq - 1)
        peer.nothing()
        peer.send("R")
        assert made[0].calls[-1] == "closed"


def test_may_12_a_blind_syn_is_challenged() -> None:
    """RFC 5961, 4.2."""
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for seq in (peer.seq, peer.seq + 5, peer.seq - 5):
            peer.send("S", seq=seq)
            assert flags_of(peer.one()) == "A" and s.state() == "ESTABLISHED"


def test_may_12_blind_data_is_not_taken() -> None:
    """RFC 5961, 5.2: an acknowledgment that is too old, or of what was never sent."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for ack in (peer.ack + 1, peer.ack - 70000, peer.ack + 2**31):
            peer.send("A", b"injected", seq=peer.seq, ack=ack)
            challenge = peer.one()
            assert flags_of(challenge) == "A" and challenge.ack == peer.seq
        assert made[0].data == b""
