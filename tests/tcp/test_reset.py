"""RST and attacks in the blind: RFC 9293, 3.5.2 and 3.10.7; RFC 5961."""

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from netapp.tcp.config import TcpConfig
from tests.support.stack import SECOND, THEIRS, flags_of, stack

WINDOW = 8000


def opened(s, state="ESTABLISHED"):
    made = s.listen()
    peer = s.peer().open()
    handler = made[0]
    if state in ("CLOSE_WAIT", "LAST_ACK"):
        peer.send("FA")
    if state in ("FIN_WAIT_1", "FIN_WAIT_2", "CLOSING", "LAST_ACK"):
        handler.close()
    seen = peer.get()
    if state == "FIN_WAIT_2":
        peer.acknowledge()
    if state == "CLOSING":
        peer.send("FA", ack=seen[-1].seq)
        peer.get()
    assert s.state() == state
    return handler, peer


STATES = ["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK"]


@pytest.mark.parametrize("state", STATES)
def test_an_exact_reset_ends_the_connection(state):
    with stack() as s:
        handler, peer = opened(s, state)
        peer.send("R")
        assert s.state() == "CLOSED" and s.counters["resets_in"] == 1
        assert handler.calls.count("closed") == 1 and handler.connection is None
        if state in ("CLOSING", "LAST_ACK"):
            assert handler.error is None, "both sides had closed"
        else:
            assert isinstance(handler.error, ConnectionResetError)
        peer.nothing()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("off", [1, 1000, WINDOW - 2])
def test_a_reset_elsewhere_in_the_window_is_challenged(state, off):
    with stack(TcpConfig(receive_window=WINDOW)) as s:
        handler, peer = opened(s, state)
        peer.send("R", seq=peer.seq + off)
        assert s.state() == state and "closed" not in handler.calls
        challenge = peer.one()
        assert (flags_of(challenge), challenge.ack, challenge.seq) == ("A", peer.seq, peer.ack)
        assert s.counters["challenge_acks"] == 1
        # The peer that meant it answers the challenge exactly.
        peer.send("R")
        assert s.state() == "CLOSED"


@pytest.mark.parametrize("off", [-1, -1000, WINDOW + 1, 1 << 31])
def test_a_reset_outside_the_window_does_nothing(off):
    with stack(TcpConfig(receive_window=WINDOW)) as s:
        _, peer = opened(s)
        peer.send("R", seq=peer.seq + off)
        peer.nothing()
        assert s.state() == "ESTABLISHED" and s.counters["dropped_sequence"] == 1


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("flags", ["S", "SA"])
@pytest.mark.parametrize("off", [0, 100])
def test_a_syn_is_challenged(state, flags, off):
    with stack() as s:
        _, peer = opened(s, state)
        peer.send(flags, seq=peer.seq + off)
        challenge = peer.one()
        assert (flags_of(challenge), challenge.ack) == ("A", peer.seq)
        assert s.state() == state


def test_challenges_are_throttled():
    with stack() as s:
        _, peer = opened(s)
        for _ in range(3):
            for _ in range(150):
                peer.send("S", seq=peer.seq)
            assert len(peer.get()) == 10
            s.advance(5 * SECOND)
        assert s.counters["challenge_acks"] == 30 and s.counters["challenges_withheld"] == 3 * 140


def test_one_connection_that_is_challenged_takes_nothing_from_another():
    with stack() as s:
        s.listen()
        attacked, other = s.peer(port=1).open(), s.peer(port=2).open()
        for _ in range(50):
            attacked.send("S", seq=attacked.seq)
        assert len(attacked.get()) == 10
        other.send("S", seq=other.seq)
        assert len(other.get()) == 1


def test_a_peer_that_restarted_is_met_in_the_end():
    """It forgot the connection, and sends a SYN: the challenge makes it reset ours (RFC 9293, 3.5.1, figure 9)."""
    with stack() as s:
        handler, peer = opened(s)
        peer.send("S", seq=50_000)
        challenge = peer.one()
        peer.send("R", seq=challenge.ack)
        assert isinstance(handler.error, ConnectionResetError)
        peer.seq = 50_000
        peer.open()


@pytest.mark.parametrize("off", [1, 100, 1 << 30])
def test_what_was_not_sent_cannot_be_acknowledged(off):
    with stack() as s:
        handler, peer = opened(s)
        peer.send("A", b"data", seq=peer.seq, ack=peer.ack + off)
        assert [flags_of(one) for one in peer.get()] == ["A"]
        assert handler.data == b"" and s.counters["dropped_acknowledgment"] == 1


def test_an_acknowledgment_far_behind_is_challenged():
    with stack() as s:
        handler, peer = opened(s)
        peer.send("A", b"data", seq=peer.seq, ack=peer.ack - 70_000)
        assert [flags_of(one) for one in peer.get()] == ["A"]
        assert handler.data == b"" and s.counters["challenge_acks"] == 1


def test_a_late_acknowledgment_is_no_obstacle():
    with stack() as s:
        handler, peer = opened(s)
        handler.send(b"x" * 1000)
        peer.get()
        peer.acknowledge()
        peer.send("A", b"data", ack=peer.ack - 500)
        assert handler.data == b"data"


def test_a_segment_without_ack_is_dropped():
    with stack() as s:
        handler, peer = opened(s)
        peer.send("", b"data", seq=peer.seq)
        peer.nothing()
        assert handler.data == b"" and s.counters["dropped_flags"] == 1


@pytest.mark.parametrize(
    ("flags", "text", "answer"),
    [
        # RFC 9293, 3.10.7.1: without ACK, sequence number 0 and all of the segment acknowledged.
        ("", b"", ("RA", 0, 1000)),
        ("", b"text", ("RA", 0, 1004)),
        ("S", b"", ("RA", 0, 1001)),
        ("S", b"text", ("RA", 0, 1005)),
        ("F", b"", ("RA", 0, 1001)),
        ("SF", b"text", ("RA", 0, 1006)),
        # With ACK, its number.
        ("A", b"", ("R", 777, 0)),
        ("SA", b"", ("R", 777, 0)),
        ("FPA", b"text", ("R", 777, 0)),
        ("R", b"", None),
        ("RA", b"", None),
        ("RS", b"", None),
    ],
)
@pytest.mark.parametrize("port", [7, 9])
def test_a_reset_to_nobody_has_exact_numbers(flags, text, answer, port):
    with stack() as s:
        s.listen(7)
        if port == 7 and "R" not in flags and "A" not in flags:
            return  # which opens, or is dropped
        peer = s.peer(to=port)
        peer.send(flags, text, seq=1000, ack=777)
        found = [(flags_of(one), one.seq, one.ack) for one in peer.get()]
        assert found == ([answer] if answer else [])
        assert s.counters["dropped_no_connection"] == 1
        assert s.state() == "CLOSED"


def test_a_reset_while_half_open_is_not_told():
    with stack() as s:
        made = s.listen(backlog=1)
        peer = s.peer()
        peer.send("S")
        peer.get()
        peer.send("R")
        assert s.state() == "CLOSED" and not made
        s.peer(port=2).open()
        assert len(made) == 1, "the backlog has room again"


def test_a_reset_of_a_simultaneous_open_refuses():
    with stack() as s:
        handler, peer = s.connect()
        peer.send("S")
        peer.get()
        peer.send("R")
        assert isinstance(handler.error, ConnectionRefusedError) and handler.calls == ["closed"]


def test_a_reset_lets_go_of_all_that_is_queued():
    with stack() as s:
        handler, peer = opened(s)
        handler.send(bytes(500_000))
        handler.pause()
        peer.send("A", b"unread")
        peer.get()
        peer.send("R")
        assert handler.calls == ["connected", "closed"], "what was not read is lost with the connection"
        s.frames()
        assert all(not size for place, size in s.core.pool.pinned().items() if place != "user")


def test_a_reset_is_within_a_window_that_shrank():
    """Else the peer drops it, and never hears of the end."""
    with stack() as s:
        handler, peer = opened(s)
        handler.send(bytes(1000))
        first = peer.get()[-1].seq
        peer.send("A", ack=first + 1, window=100)
        peer.get()
        handler.abort()
        last = peer.get()[-1]
        assert "R" in flags_of(last) and last.seq == first + 1 + 100


def test_connections_are_told_apart():
    with stack() as s:
        made = s.echo()
        peers = [s.peer(port=1000 + i, isn=1000 * i).open() for i in range(20)]
        for i, peer in enumerate(peers):
            peer.send("PA", b"%d" % i)
            assert bytes(peer.one().data) == b"%d" % i
        peers[3].send("R")
        assert [handler.calls[-1] == "closed" for handler in made] == [i == 3 for i in range(20)]


def test_segments_to_groups_are_not_answered():
    """RFC 9293, 3.10.7.2 (MUST-57)."""
    with stack() as s:
        s.listen()
        for destination in ("10.99.0.255", "255.255.255.255", "224.0.0.1"):
            packet = IP(src=THEIRS, dst=destination) / TCP(sport=1, dport=7, flags="S")
            s.send_frame(bytes(Ether(src=s.end.mac, dst=b"\xff" * 6) / packet))
        assert s.frames() == []
        assert s.counters["dropped_multicast"] == 3
