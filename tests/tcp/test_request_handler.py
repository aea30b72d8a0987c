"""Requests on a connection: read where they lie, answered together, and taken in turns with those of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor
from netapp.tcp.config import TcpConfig
from netapp.tcp.request_handler import RequestHandler, Requests
from tests.support.stack import Peer, Stack, flags_of, stack


class Shout(RequestHandler):
    """Answers lines in capitals, `large` by a line of 4000; `abort`, `leave` and `raise` say what else to do."""

    def __init__(self, requests: Requests, order: list[bytes], longest: int) -> None:
        super().__init__(requests)
        self.order = order
        self.longest = longest
        self.error: OSError | None = None

    def request(self, cursor: Cursor, reply: Chain) -> bool:
        if not cursor.line():
            return False
        word = cursor.token() or b""
        cursor.end_line()
        self.order.append(word)
        reply.write(word.upper() * (800 if word == b"large" else 1) + b"\n")
        if word == b"abort":
            self.abort()
        elif word == b"leave":
            self.leave()
        elif word == b"raise":
            raise RuntimeError("as it was told")
        return True

    def completes(self, data: Chain) -> bool:
        return b"\n" in data.tobytes()

    def bound(self, waiting: Chain) -> bool:
        return waiting.length <= self.longest or self.leave()

    def closed(self, error: OSError | None) -> None:
        super().closed(error)
        self.error = error


class Shouting:
    def __init__(self, s: Stack, longest: int = 1 << 30, **limits: int) -> None:
        self.requests = Requests(**limits)
        self.order: list[bytes] = []
        self.made: list[Any] = s.listen(7, lambda: Shout(self.requests, self.order, longest))


@contextmanager
def shouting(config: TcpConfig | None = None, **limits: int) -> Iterator[tuple[Stack, Shouting]]:
    with stack(config) as s:
        server = Shouting(s, **limits)
        yield s, server
        server.requests.clear()
        server.made.clear()
        server.__dict__.clear()


def say(peer: Peer, *pieces: bytes) -> bytes:
    """What is answered, each piece being a segment of its own."""
    before = len(peer.received)
    for piece in pieces:
        peer.send("PA", piece)
        while peer.get():
            peer.acknowledge()
    return peer.received[before:]


def test_what_is_not_whole_waits_for_its_rest_wherever_it_is_cut() -> None:
    with shouting() as (s, server):
        peer = s.peer().open()
        script, answer = b"a\nbc\n\nlonger words\nlast\n", b"A\nBC\n\nLONGER\nLAST\n"
        for cut in range(1, len(script)):
            assert say(peer, script[:cut], script[cut:]) == answer, cut
        assert say(peer, *(bytes([byte]) for byte in script)) == answer
        assert server.requests.held == 0
        assert server.requests.bytes_written == len(answer) * len(script)


def test_pieces_of_any_size_are_kept() -> None:
    with shouting() as (s, server):
        peer = s.peer().open()
        assert say(peer, *(b"x" * 1400 for _ in range(4)), b"yz") == b""
        assert server.requests.held == 5602
        assert say(peer, b"y\n") == b"X" * 5600 + b"YZY\n"
        assert server.requests.held == 0


def test_replies_of_an_event_share_a_segment() -> None:
    with shouting() as (s, _):
        peer = s.peer().open()
        peer.send("PA", b"a\nb\nc\n")
        assert peer.one().data == b"A\nB\nC\n"


def test_after_so_many_requests_others_have_their_turn() -> None:
    with shouting(at_once=3) as (s, server):
        peer, other = s.peer().open(), s.peer(port=40001).open()
        s.send_frame(peer.frame("PA", b"many\n" * 10), other.frame("PA", b"other\n"))
        assert server.order == [b"many"] * 3 + [b"other"] + [b"many"] * 7
        assert server.requests.yields == 3


def test_what_comes_after_a_yield_keeps_its_place_and_a_fin_waits() -> None:
    with shouting(at_once=1) as (s, server):
        peer = s.peer().open()
        first, second = peer.frame("PA", b"a\nb\n"), peer.frame("PA", b"c\nd\n", seq=peer.seq + 4)
        s.send_frame(first, second, peer.frame("FA", seq=peer.seq + 8))
        assert server.order == [b"a", b"b", b"c", b"d"]
        assert b"".join(segment.data for segment in peer.get()) == b"A\nB\nC\nD\n"
        assert s.state() == "LAST_ACK"


def test_a_peer_that_does_not_read_is_served_on_when_it_does() -> None:
    with shouting(TcpConfig(send_limit=10_000), at_once=1) as (s, server):
        peer = s.peer(window=2000).open()
        peer.send("PA", b"large\n" * 20)
        assert len(server.order) < 5
        for _ in range(100):
            if peer.get():
                peer.acknowledge()
        assert peer.received == (b"LARGE" * 800 + b"\n") * 20
        assert len(server.order) == 20


def test_a_request_that_is_too_long_ends_its_connection_only() -> None:
    with shouting(longest=100) as (s, server):
        peer, other = s.peer().open(), s.peer(port=40001).open()
        peer.send("PA", b"x" * 60)
        peer.get()
        peer.send("PA", b"x" * 60)
        assert "F" in "".join(flags_of(segment) for segment in peer.get())
        assert server.requests.held == 0
        assert say(other, b"good\n") == b"GOOD\n"


def test_what_all_wait_for_is_bounded() -> None:
    with shouting(most_held=10_000) as (s, server):
        peers = [s.peer(port=40000 + number).open() for number in range(20)]
        for peer in peers:
            peer.send("PA", b"x" * 1000)
            s.segments()
        assert [handler.leaving for handler in server.made] == [False] * 10 + [True] * 10
        assert {type(handler.error) for handler in server.made[10:]} == {ConnectionAbortedError}
        assert server.requests.held == 10_000
        assert say(peers[0], b"\n") == b"X" * 1000 + b"\n"
        assert say(peers[1], b"x\n") == b"X" * 1001 + b"\n"
        assert server.requests.held == 8_000


@pytest.mark.parametrize(
    ("script", "flags", "text"),
    [(b"a\nabort\nb\n", "RA", b""), (b"a\nraise\nb\n", "RA", b""), (b"a\nleave\nb\n", "FPA", b"A\nLEAVE\n")],
)
def test_a_request_may_end_its_connection(script: bytes, flags: str, text: bytes) -> None:
    with shouting() as (s, server):
        peer, other = s.peer().open(), s.peer(port=40001).open()
        peer.send("PA", script)
        segment = peer.one()
        assert (set(flags_of(segment)), segment.data) == (set(flags), text)
        assert len(server.order) == 2 and server.made[0].leaving
        assert s.counters["callback_exceptions"] == (b"raise" in script)
        assert say(other, b"good\n") == b"GOOD\n", "nothing is left of the answers that were not sent"


def test_a_connection_that_ends_while_it_waits_for_its_turn_is_let_go() -> None:
    with shouting(at_once=1) as (s, server):
        peer = s.peer().open()
        s.send_frame(peer.frame("PA", b"a\nb\nc\n"), peer.frame("R", seq=peer.seq + 6))
        assert server.order[:1] == [b"a"] and server.made[0].waiting is None
        assert s.state() == "CLOSED"


def test_without_a_connection_it_serves_what_it_is_given() -> None:
    class Datagram(Shout):
        def send(self, data: Any) -> None:
            self.answer = data.tobytes()
            data.clear()

    with stack():
        handler = Datagram(Requests(), [], 100)
        handler.work(Chain(b"a\nb\n"), False)
        assert handler.answer == b"A\nB\n"
        del handler


def test_what_comes_before_its_turn_is_kept_in_order() -> None:
    with stack():
        handler = Shout(Requests(), [], 100)
        handler.yielded, handler.waiting = True, Chain(b"a\n")  # and somebody resumed the connection
        handler.receive(Chain(b"b\n"))
        assert handler.waiting.tobytes() == b"a\nb\n" and not handler.order
        del handler


def test_a_subclass_says_what_a_request_is() -> None:
    with stack(), pytest.raises(NotImplementedError, match=r"RequestHandler\.request"):
        RequestHandler(Requests()).work(Chain(b"a"), False)
