"""Below the reserve nothing is kept that can come again; what keeps connections alive gets through."""

from netapp.tcp.config import TcpConfig
from tests.support.stack import connection_of, frame, stack


def test_out_of_order_data_leaves_the_reserve_alone():
    with stack(pool=4 << 20, reserve=2 << 20) as s:
        made = s.listen()
        peers = [s.peer(port=port).open(scale=0) for port in range(1, 40)]
        for peer in peers:
            for i in range(1, 100):
                s.end.send(peer.frame("A", bytes(1460), seq=peer.seq + 1460 * i))
                if i % 50 == 0:
                    s.frames()
            s.frames()
        pinned = s.core.pool.pinned()
        assert pinned["device"] + pinned["tcp"] <= (2 << 20) + (64 << 10)
        assert s.counters["exhausted"] > 0
        # In-order data still gets through.
        for peer in peers:
            peer.send("PA", b"in order")
            s.frames()
        assert all(handler.data.startswith(b"in order") for handler in made)


def test_what_would_wait_for_its_handler_leaves_the_reserve_to_others():
    with stack(TcpConfig(receive_window=1 << 20), pool=1 << 20, reserve=512 << 10) as s:
        made = s.listen()
        flood = [s.peer(port=i).open(scale=7) for i in range(1, 9)]
        for handler in made:
            handler.pause()
        text = bytes(1400)
        for _ in range(100):
            for peer in flood:
                peer.send("A", text)
        s.frames()
        assert s.core.pool.free_bytes() > 256 << 10 and s.counters["exhausted"] > 300
        other = s.peer(port=100).open()
        other.send("PA", b"request")
        assert made[-1].data == b"request"
        # What was dropped comes again.
        for handler in made:
            handler.resume()
        s.frames()
        held = sum(len(handler.data) for handler in made[:8])
        assert 0 < held < 8 * 100 * 1400
        for handler, peer in zip(made, flood):
            peer.seq = 1001 + len(handler.data)
            peer.send("PA", b"again")
            assert handler.data.endswith(b"again")
        s.frames()


def test_acknowledgments_resets_and_new_connections_get_through() -> None:
    with stack(TcpConfig(receive_window=1 << 20), pool=1 << 20, reserve=512 << 10) as s:
        made = s.listen()
        flood = [s.peer(port=port).open(scale=7) for port in range(1, 9)]
        for handler in made:
            handler.pause()
        for peer in flood:
            made[peer.port - 1].send(bytes(3000))
        s.frames()
        for i in range(100):
            for peer in flood:
                s.end.send(frame(peer.port, peer.seq + 1400 * i, peer.ack, 0x10, bytes(1400)))
            s.core.settle()
        s.frames()
        before = s.counters["exhausted"]
        assert before > 300
        # What our answer to an old segment acknowledges is where the next one must lie.
        for peer in flood:
            s.end.send(frame(peer.port, peer.seq - 1, peer.ack, 0x10))
        s.core.settle()
        following = {one.dport: one.ack for one in s.segments()}
        for peer in flood:
            s.end.send(frame(peer.port, following[peer.port], (peer.ack + 3000) % 2**32, 0x10))
        s.core.settle()
        assert [connection_of(handler).queued for handler in made] == [0] * 8, "acknowledged"
        # A reset of the peer's ends its connection and gives its memory back.
        before = sum(s.core.pool.pinned().values())
        s.end.send(frame(1, following[1], 0, 0x04))
        s.core.settle()
        assert isinstance(made[0].error, ConnectionResetError)
        assert sum(s.core.pool.pinned().values()) < before - 20_000
        # A new one is established and answered; out-of-order data of it is not kept before there is room.
        other = s.peer(port=100).open()
        made[-1].script["receive"] = lambda self, data: self.send(data)
        other.send("PA", b"request")
        assert bytes(other.get()[0].data) == b"request"
        for handler in made[1:8]:
            handler.abort()
        s.frames()
        other.send("PA", b"order", seq=other.seq + 3)
        other.send("PA", b"in ")
        assert made[-1].data == b"requestin order", "it is kept again"
