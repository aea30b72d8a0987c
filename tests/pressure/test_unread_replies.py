"""Replies that peers do not acknowledge: bounded, a connection and in all."""

import errno
import os

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import SECOND, Peer, Recorder, Stack, frame, stack


def test_the_send_queue_of_a_peer_that_never_reads_is_bounded():
    with stack(TcpConfig(send_limit=50_000)) as s:
        s.listen(7, lambda: Recorder(receive=lambda self, data: self.send(bytes(10_000))))
        peer = s.peer(window=0).open()
        for _ in range(100):
            peer.send("PA", b"request")
            s.frames()
        (connection,) = s.tcp.connections()
        assert connection.queued == 50_000
        del connection


def flood(s: Stack, ports: range, size: int, count: int) -> None:
    """Requests of peers that acknowledge nothing of what is echoed."""
    peers = [s.peer(port=port, window=65535).open(scale=7) for port in ports]
    for i in range(count):
        for peer in peers:
            s.end.send(frame(peer.port, (peer.seq + size * i) % 2**32, peer.ack, 0x10, bytes(size)))
        s.core.events.turn()
        s.core.events.turn()
        s.end.receive()


@pytest.mark.parametrize("size", [1, 50, 300, 1000])
def test_small_replies_do_not_use_the_pool_up(size: int) -> None:
    """By reference each would pin a slot of 2 KiB."""
    config = TcpConfig(send_limit=100_000, send_limit_total=1 << 20)
    # The red zones of the debug build take room, too.
    pool = (32 if os.environ.get("NETAPP_VARIANT") == "debug" else 16) << 20
    with stack(config, pool=pool) as s:
        made = s.echo()
        flood(s, range(1, 21), size, 400)
        queued = sum(connection.queued for connection in s.tcp.connections())
        assert queued <= (1 << 20) + 20 * 1460
        assert s.core.pool.free_bytes() > 8 << 20
        # Who owes nothing is served.
        other = s.peer(port=100).open()
        other.send("PA", b"request")
        assert bytes([one for one in s.segments() if one.dport == 100][-1].data) == b"request"
        for handler in made:
            handler.abort()
        s.frames()


def take(s: Stack, peer: Peer) -> int:
    """Bytes of replies, which the peer acknowledges as long as there are any."""
    length = 0
    while found := [one for one in s.segments() if one.dport == peer.port and one.data]:
        for one in found:
            if one.seq == peer.ack:  # others were sent again
                length += len(one.data)
                peer.ack = (peer.ack + len(one.data)) % 2**32
        s.end.send(frame(peer.port, peer.seq, peer.ack, 0x10))
        s.core.settle()
    return length


def test_those_that_take_nothing_go_before_memory_does() -> None:
    """One reply each, of however many that do not read, is not bounded by what one may owe."""
    with stack(TcpConfig(send_limit_total=100_000)) as s:
        made = s.listen(7, lambda: Recorder(receive=lambda self, data: self.send(bytes(10_000))))
        known, new = (s.peer(port=port, window=65535).open(scale=7) for port in (200, 201))
        known.send("PA", b"request")
        assert take(s, known) == 10_000
        for port in range(1, 101):
            s.peer(port=port, window=0).open().send("PA", b"request")
            s.frames()
        assert sum(connection.queued for connection in s.tcp.connections()) == 400_000
        new.send("PA", b"request")
        assert take(s, new) == 0
        known.send("PA", b"request")
        assert take(s, known) == 10_000, "who has taken a reply before goes on"
        for _ in range(30):
            s.advance(SECOND // 10)
        assert take(s, new) == 10_000
        ended = [handler for handler in made if handler.error is not None]
        assert len(ended) == s.counters["stalled_evicted"] >= 30
        assert {getattr(handler.error, "errno", 0) for handler in ended} == {errno.ENOBUFS}
        # Meanwhile those that take their replies are never reset.
        for _ in range(50):
            for peer in (known, new):
                peer.send("PA", b"request")
                assert take(s, peer) == 10_000
            s.advance(SECOND)
        assert sum(connection.queued for connection in s.tcp.connections()) <= 400_000
        for handler in made:
            if handler.connection is not None:
                handler.abort()
        s.frames()


def test_when_they_are_acknowledged_all_is_answered() -> None:
    config = TcpConfig(send_limit=20_000, send_limit_total=50_000)
    with stack(config, pool=4 << 20) as s:
        made = s.echo()
        peers = [s.peer(port=port).open() for port in range(1, 11)]
        for i in range(20):
            for peer in peers:
                s.end.send(frame(peer.port, (peer.seq + 1000 * i) % 2**32, peer.ack, 0x10, bytes([i]) * 1000))
            s.core.events.turn()
        s.core.events.turn()
        assert sum(connection.queued for connection in s.tcp.connections()) <= 50_000 + 10 * 1460
        received = dict.fromkeys(range(1, 11), b"")
        following = {peer.port: peer.ack for peer in peers}
        for _ in range(200):
            for one in s.segments():
                if one.seq == following[one.dport] and one.data:
                    received[one.dport] += bytes(one.data)
                    following[one.dport] = (one.seq + len(one.data)) % 2**32
            for peer in peers:
                s.end.send(frame(peer.port, (peer.seq + 20_000) % 2**32, following[peer.port], 0x10))
            s.advance(SECOND)
        assert set(received.values()) == {b"".join(bytes([i]) * 1000 for i in range(20))}
        assert len(made) == 10
