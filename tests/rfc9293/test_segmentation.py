"""RFC 9293, 3.7: the maximum segment size."""

import pytest

from tests.rfc9293.peers import longest
from tests.support.stack import connection_of, stack, tcp_options


def mss_of(options: dict[int, bytes]) -> int:
    return int.from_bytes(options[2], "big")


def test_must_14_the_option_is_sent() -> None:
    with stack() as s:
        s.listen()
        assert mss_of(tcp_options(s.peer().open().syn)) == 1460
        _, peer = s.connect()
        assert mss_of(tcp_options(peer.syn)) == 1460


@pytest.mark.parametrize("mss", [536, 1000, 1460])
def test_must_14_the_option_is_obeyed(mss: int) -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=mss)
        assert longest(made[0], peer) == mss
        handler, peer = s.connect()
        assert longest(handler, peer.accept(mss=mss)) == mss


@pytest.mark.parametrize("mtu", [577, 1000, 1500, 9000])
def test_shld_5_it_is_sent_in_every_syn(mtu: int) -> None:
    with stack(mtu=mtu) as s:
        s.listen()
        assert 2 in tcp_options(s.peer().open().syn)
        _, peer = s.connect()
        assert 2 in tcp_options(peer.syn)


def test_may_3_also_when_it_is_536() -> None:
    with stack(mtu=576) as s:
        s.listen()
        assert mss_of(tcp_options(s.peer().open().syn)) == 536


def test_must_15_without_the_option_segments_hold_536_bytes() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(options=[])
        assert longest(made[0], peer) == 536
        handler, peer = s.connect()
        assert longest(handler, peer.accept(options=[])) == 536


@pytest.mark.parametrize(("mtu", "mss", "expected"), [(1500, 9000, 1460), (1500, 700, 700), (600, 1460, 560)])
def test_must_16_a_segment_fits_the_peer_and_ip(mtu: int, mss: int, expected: int) -> None:
    with stack(mtu=mtu) as s:
        made = s.listen()
        peer = s.peer().open(mss=mss)
        assert longest(made[0], peer) == expected
        for frame in s.frames():
            assert len(frame) <= 14 + mtu


@pytest.mark.parametrize("mtu", [576, 1000, 1500, 4000])
def test_must_67_what_is_announced_fits_what_ip_receives(mtu: int) -> None:
    with stack(mtu=mtu) as s:
        made = s.listen()
        peer = s.peer().open()
        announced = mss_of(tcp_options(peer.syn))
        assert announced == mtu - 40
        # And what is announced is received.
        peer.send("PA", b"x" * announced)
        assert len(made[0].data) == announced
        _, peer = s.connect()
        assert mss_of(tcp_options(peer.syn)) == mtu - 40


def test_shld_7_the_nagle_algorithm() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=1000)
        connection_of(made[0]).nagle = True
        made[0].send(b"a")
        assert peer.one().data == b"a"
        # As long as that is not acknowledged, small segments wait, and full ones do not.
        made[0].send(b"b" * 900)
        peer.nothing()
        made[0].send(b"c" * 200)
        assert peer.one().data == b"b" * 900 + b"c" * 100
        peer.nothing()
        peer.send("A")
        assert peer.one().data == b"c" * 100


def test_must_17_it_can_be_turned_off_for_a_connection() -> None:
    with stack() as s:
        made = s.listen()
        peers = [s.peer(port=port).open(mss=1000) for port in (40000, 40001)]
        for handler, peer in zip(made, peers):
            connection_of(handler).nagle = True
            handler.send(b"a")
            peer.one()
        connection_of(made[0]).nagle = False
        for handler in made:
            handler.send(b"b")
        assert [(segment.dport, segment.data) for segment in s.segments()] == [(40000, b"b")]


def test_must_17_what_waited_leaves() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=1000)
        connection_of(made[0]).nagle = True
        made[0].send(b"a")
        peer.one()
        made[0].send(b"b")
        peer.nothing()
        connection_of(made[0]).nagle = False
        assert peer.one().data == b"b"
