"""RFC 9293, 3.9.2: the interface to IP."""

import errno

import pytest
from scapy.layers.inet import IP, TCP, IPOption
from scapy.layers.l2 import Ether

from netapp.tcp.config import TcpConfig
from tests.rfc9293.peers import icmp_error
from tests.support.stack import OURS, THEIRS, Peer, Recorder, Stack, connection_of, stack


def with_options(s: Stack, options: bytes, **fields: int | str | bytes) -> bytes:
    """A SYN in a packet with these IP options."""
    syn = TCP(sport=40000, dport=7, flags="S", seq=1000)
    return bytes(Ether(src=s.end.mac, dst=s.wire.a.mac) / IP(src=THEIRS, dst=OURS, options=[IPOption(options)]) / syn)


@pytest.mark.parametrize(
    "options",
    [
        b"\x94\x04\0\0",  # Router Alert
        b"\x88\x04\0\1",  # Stream Identifier
        b"\x44\x08\x05\0\0\0\0\0",  # Timestamp
        b"\x07\x07\x04\0\0\0\0\0",  # Record Route, and the end of the list
        b"\x1e\x04ab",  # for experiments (RFC 4727)
        b"\1\1\x59\x06abcd\0\0\0\0",  # of a number that nobody has
    ],
)
def test_must_50_options_that_tcp_does_not_know_are_ignored(options: bytes) -> None:
    with stack() as s:
        s.listen()
        s.send_frame(with_options(s, options))
        [answer] = s.segments()
        assert answer.flags == 0x12 and answer.ack == 1001


@pytest.mark.parametrize("kind", [131, 137])
def test_must_53_a_packet_with_a_source_route_is_dropped(kind: int) -> None:
    """What is done instead, silently (RFC 7126, 4.3 and 4.4)."""
    with stack() as s:
        s.listen()
        s.send_frame(with_options(s, bytes([kind, 7, 8, 10, 99, 0, 3, 0])))
        assert s.frames() == [] and s.tcp.connections() == []


def in_flight(s: Stack) -> tuple[Recorder, Peer, bytes]:
    """A connection with data on its way, and the frame that holds it."""
    made = s.listen()
    peer = s.peer().open()
    made[0].send(b"on its way")
    [frame] = s.frames()
    return made[0], peer, frame


def connecting(s: Stack) -> tuple[Recorder, bytes]:
    """A connection that ours opens, and the frame with its SYN."""
    handler = Recorder()
    s.tcp.connect(THEIRS, 80, lambda: handler)
    [frame] = s.frames()
    return handler, frame


SOFT = [(3, 0), (3, 1), (3, 5), (11, 0), (11, 1), (12, 0)]


def test_must_54_an_error_goes_to_the_connection_that_it_is_about() -> None:
    with stack() as s:
        handlers, frames = zip(*(connecting(s) for _ in range(3)))
        # Port unreachable: nobody listens there.
        icmp_error(s, 3, 3, frames[1])
        s.core.settle()
        assert [handler.calls for handler in handlers] == [[], ["closed"], []]
        assert isinstance(handlers[1].error, ConnectionRefusedError)


def test_must_54_not_when_nothing_like_that_is_under_way() -> None:
    """RFC 5927, 4.1: the sequence number is one of those that are not acknowledged."""
    with stack() as s:
        handler, frame = connecting(s)
        for wrong in (1, 1000, 2**31):
            forged = bytearray(frame)
            seq = int.from_bytes(frame[38:42], "big")
            forged[38:42] = ((seq + wrong) % 2**32).to_bytes(4, "big")
            icmp_error(s, 3, 3, bytes(forged))
        assert handler.calls == [] and s.state() == "SYN_SENT"


def test_must_55_source_quench_is_dropped() -> None:
    """The connection goes on as fast as before."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(mss=1000)
        made[0].send(b"x" * 100_000)
        frames = s.frames()
        for frame in frames:
            icmp_error(s, 4, 0, frame)
        assert s.frames() == [] and made[0].calls == ["connected"]
        peer.ack += 1000 * len(frames)
        peer.send("A", ack=peer.ack)
        # The window grew with the acknowledgment.
        assert len(peer.get()) > len(frames)


@pytest.mark.parametrize(("kind", "code"), SOFT)
def test_must_56_soft_errors_do_not_end_a_connection(kind: int, code: int) -> None:
    with stack() as s:
        handler, peer, frame = in_flight(s)
        for _ in range(5):
            icmp_error(s, kind, code, frame)
        assert s.state() == "ESTABLISHED" and "closed" not in handler.calls
        peer.ack += 10
        peer.send("A")
        assert connection_of(handler).queued == 0


@pytest.mark.parametrize(("kind", "code"), SOFT)
def test_must_56_nor_one_that_is_being_opened(kind: int, code: int) -> None:
    with stack() as s:
        handler, frame = connecting(s)
        icmp_error(s, kind, code, frame)
        assert s.state() == "SYN_SENT" and "closed" not in handler.calls


class Soft(Recorder):
    """Writes down what ICMP says."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[OSError] = []

    def soft_error(self, error: OSError) -> None:
        self.told.append(error)


@pytest.mark.parametrize(
    ("kind", "code", "number"),
    [
        (3, 0, errno.ENETUNREACH),
        (3, 1, errno.EHOSTUNREACH),
        (3, 5, errno.EOPNOTSUPP),
        (11, 0, errno.EHOSTUNREACH),
        (11, 1, errno.EHOSTUNREACH),
        (12, 0, errno.EPROTO),
    ],
)
def test_shld_25_an_application_hears_of_soft_errors(kind: int, code: int, number: int) -> None:
    with stack() as s:
        handler = Soft()
        s.listen(factory=lambda: handler)
        peer = s.peer().open()
        handler.send(b"on its way")
        [frame] = s.frames()
        icmp_error(s, kind, code, frame)
        assert [error.errno for error in handler.told] == [number] and handler.calls == ["connected"]
        # Once more, when it comes once more; not when nothing is under way any more.
        icmp_error(s, kind, code, frame)
        assert len(handler.told) == 2
        peer.send("A", ack=peer.ack + 10)
        icmp_error(s, kind, code, frame)
        assert len(handler.told) == 2


@pytest.mark.parametrize("code", [2, 3])
def test_shld_26_once_established_they_count_as_soft_ones(code: int) -> None:
    """RFC 5927, 5.2: otherwise anybody who guesses a sequence number can end a connection."""
    with stack() as s:
        handler, peer, frame = in_flight(s)
        icmp_error(s, 3, code, frame)
        assert handler.calls == ["connected"] and s.state() == "ESTABLISHED"
        peer.send("A", ack=peer.ack + 10)
        assert connection_of(handler).queued == 0


@pytest.mark.parametrize("code", [2, 3])
def test_shld_26_hard_errors_end_a_connection_that_is_being_opened(code: int) -> None:
    with stack() as s:
        handler, frame = connecting(s)
        icmp_error(s, 3, code, frame)
        s.core.settle()
        assert handler.calls == ["closed"] and handler.error is not None


@pytest.mark.parametrize("ttl", [1, 64, 255])
def test_must_49_the_time_to_live_is_configurable(ttl: int) -> None:
    with stack(TcpConfig(ttl=ttl)) as s:
        s.echo()
        connecting(s)
        peer = s.peer()
        syn = peer.frame("S")
        s.send_frame(syn)
        # And what refuses a connection.
        s.peer(to=9).send("S")
        frames = s.frames()
        assert len(frames) == 2 and {IP(frame[14:]).ttl for frame in frames} == {ttl}
