"""Path MTU discovery (RFC 1191) of connections."""

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from tests.support.stack import OURS, SECOND, THEIRS, Peer, Recorder, Stack, stack

TEN_MINUTES = 600 * SECOND


def too_big(s: Stack, frame: bytes, mtu: int) -> None:
    """A router says that `frame` was too big for it."""
    quoted = frame[14 : 14 + 28]
    message = ICMP(type=3, code=4, nexthopmtu=mtu) / quoted
    s.send_frame(bytes(Ether(src=s.end.mac, dst=s.wire.a.mac) / IP(src=THEIRS, dst=OURS) / message))


def sending(s: Stack, length: int) -> tuple[Recorder, Peer, list[bytes]]:
    made = s.listen()
    peer = s.peer().open()
    made[0].send(bytes(range(256)) * (length // 256))
    return made[0], peer, s.frames()


def texts(frames: list[bytes]) -> list[int]:
    return [len(frame) - 54 for frame in frames]


def test_what_was_too_big_is_sent_again_at_once_in_smaller_segments() -> None:
    with stack() as s:
        handler, peer, frames = sending(s, 4096)
        assert texts(frames) == [1460, 1460, 1176]
        cwnd = s.tcp.connections()[0].cwnd
        too_big(s, frames[0], 1000)
        assert texts(s.frames()) == [960, 960, 960, 960, 256]
        assert s.tcp.connections()[0].cwnd == cwnd, "this is no congestion (RFC 1191, 6.5)"
        assert s.counters["icmp_mtu"] == 1
        peer.send("A", ack=peer.ack + 4096)
        handler.send(b"x" * 2000)
        assert texts(s.frames()) == [960, 960, 80]


def test_the_next_connection_begins_with_it() -> None:
    with stack() as s:
        _, _, frames = sending(s, 4096)
        too_big(s, frames[0], 1000)
        s.frames()
        made = s.listen(8)
        s.peer(port=2, to=8).open()
        made[0].send(bytes(2000))
        assert texts(s.frames()) == [960, 960, 80]


@pytest.mark.parametrize(("mtu", "text"), [(0, 1452), (68, 512), (1500, 1460), (65535, 1460)])
def test_what_a_router_may_say(mtu: int, text: int) -> None:
    """Nothing: the next plateau. Less than 552: 552. No less than now: not believed."""
    with stack() as s:
        handler, peer, frames = sending(s, 1024 * 4)
        too_big(s, frames[0], mtu)
        s.frames()
        peer.send("A", ack=peer.ack + 4096)
        handler.send(bytes(3000))
        assert texts(s.frames())[0] == text


def test_an_error_about_what_is_not_on_its_way_changes_nothing() -> None:
    """RFC 5927, 4.1: a sequence number that somebody on the way has seen."""
    with stack() as s:
        handler, peer, frames = sending(s, 1024)
        peer.send("A", ack=peer.ack + 1024)
        too_big(s, frames[0], 600)
        assert s.counters["icmp_implausible"] == 1
        handler.send(bytes(3000))
        assert texts(s.frames())[0] == 1460


def test_larger_segments_are_tried_again_after_ten_minutes() -> None:
    with stack() as s:
        handler, peer, frames = sending(s, 4096)
        too_big(s, frames[0], 1000)
        s.frames()
        peer.send("A", ack=peer.ack + 4096)
        s.advance(TEN_MINUTES + SECOND)
        handler.send(bytes(3000))
        assert texts(s.frames())[:2] == [1460, 1460]


def test_a_time_out_takes_what_another_connection_heard() -> None:
    with stack() as s:
        _, _, frames = sending(s, 4096)
        other = s.listen(8)
        s.peer(port=2, to=8).open()
        other[0].send(bytes(2048))
        assert texts(s.frames())[0] == 1460
        too_big(s, frames[0], 1000)
        s.frames()
        s.advance(SECOND)
        sent = texts([frame for frame in s.frames() if frame[36:38] == b"\0\2"])
        assert sent[0] == 960 and max(sent) == 960, sent
