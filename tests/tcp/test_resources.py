"""Exhaustion, back-pressure, and connections that come and go without leaving anything."""

import gc
import os

from netapp.iobuf.chain import Chain, live_chains
from netapp.net.ipv4 import live_paths
from netapp.tcp.config import TcpConfig
from netapp.tcp.connection import live_connections
from netapp.tcp.handler import TcpHandler
from tests.support.stack import MS, SECOND, frame, parse, stack

# The debug build is some ten times slower.
CONNECTIONS = 100_000 if os.environ.get("NETAPP_VARIANT", "release") == "release" else 5_000


class Echo(TcpHandler):
    def receive(self, data: Chain) -> None:
        self.send(data)


def test_connections_come_and_go_without_the_collector():
    ends = {"in order": 0, "reset": 0}

    class Counted(Echo):
        def closed(self, error):
            ends["reset" if error else "in order"] += 1

    with stack(TcpConfig(time_wait=SECOND)) as s:
        s.tcp.listen(7, Counted)
        s.peer(port=1).open().send("R")
        s.frames()
        live = live_connections(), live_paths()
        chains, slots = live_chains(), s.core.pool.live_slots()
        counted = sum(ends.values())
        gc.collect()
        gc.disable()
        try:
            turn, end = s.core.events.turn, s.end
            for i in range(CONNECTIONS):
                port = 1024 + i % 60_000
                end.send(frame(port, 1000, 0, 0x02))
                turn(), turn()
                ack = (int.from_bytes(end.receive()[0][38:42], "big") + 1) % 2**32
                end.send(frame(port, 1001, ack, 0x18, b"request"))
                turn(), turn()
                if i % 2:
                    end.send(frame(port, 1008, (ack + 7) % 2**32, 0x11))
                    turn(), turn()
                    end.send(frame(port, 1009, (ack + 8) % 2**32, 0x10))
                else:
                    end.send(frame(port, 1008, (ack + 7) % 2**32, 0x04))
                turn(), turn()
                end.receive()
            s.core.settle()
            assert s.tcp.connections() == []
            assert (live_connections(), live_paths()) == live
            assert sum(ends.values()) - counted == CONNECTIONS and ends["in order"] == CONNECTIONS // 2
            assert live_chains() - chains < 10 and s.core.pool.live_slots() <= slots + 4  # in the ring
        finally:
            gc.enable()
        assert gc.collect() < 1000, "nothing was left to the collector"


def test_many_connections_at_once():
    """The table grows, and every connection is still found."""
    count = 5_000
    with stack(TcpConfig(backlog=count)) as s:
        s.tcp.listen(7, Echo)
        s.peer(port=count + 1).open()  # who finds out the peer's link address
        acks = {}
        for port in range(1, count + 1):
            s.end.send(frame(port, 1000, 0, 0x02))
            if port % 500 == 0:
                s.core.settle()
                for answer in s.frames():
                    acks[int.from_bytes(answer[36:38], "big")] = int.from_bytes(answer[38:42], "big") + 1
        assert len(acks) == count
        for port, ack in acks.items():
            s.end.send(frame(port, 1001, ack % 2**32, 0x18, b"%d" % port))
            if port % 500 == 0:
                s.core.settle()
                for answer in s.frames():
                    found = parse(answer)
                    assert bytes(found.data) == b"%d" % found.dport
        assert len(s.tcp.connections()) == count + 1
        # Every second one leaves; the others are still found.
        for port in range(1, count + 1, 2):
            s.end.send(frame(port, 1001 + len(str(port)), 0, 0x04))
            if port % 500 == 1:
                s.core.settle()
        s.core.settle()
        assert len(s.tcp.connections()) == count // 2 + 1
        for port in range(2, count + 1, 2):
            s.end.send(frame(port, 1001 + len(str(port)), acks[port], 0x18, b"again"))
            if port % 500 == 0:
                s.core.settle()
                assert {bytes(parse(answer).data)[-5:] for answer in s.frames()} == {b"again"}


def turns(s, number=20):
    for _ in range(number):
        s.core.events.turn()


def test_a_full_ring_holds_output_back_and_nothing_is_lost():
    with stack(capacity=4) as s:
        made = s.listen()
        peer = s.peer(window=60_000).open()
        text = bytes(i * 3 & 255 for i in range(60_000))
        made[0].send(text)
        turns(s)
        assert s.counters["transmit_full"] > 0
        begun = s.now
        for _ in range(200):
            for raw in s.end.receive():
                segment = parse(raw)
                assert segment.seq == peer.ack, "in order, none lost"
                peer.received += bytes(segment.data)
                peer.ack = (peer.ack + len(segment.data)) % 2**32
            s.end.send(peer.frame("A"))
            turns(s, 4)
            if len(peer.received) == len(text):
                break
        assert peer.received == text and s.now == begun
        assert s.counters["retransmitted"] == 0
        # When the ring has room again the loop may sleep.
        s.core.settle()


def test_a_full_ring_holds_acknowledgments_resets_and_fins():
    with stack(capacity=2) as s:
        made = s.listen()
        peers = [s.peer(port=port).open() for port in (1, 2, 3, 4, 5)]
        for handler in made:
            handler.close()
        turns(s)
        fins = set()
        for _ in range(10):
            fins |= {parse(raw).dport for raw in s.end.receive()}
            turns(s, 4)
        assert fins == {1, 2, 3, 4, 5}
        assert s.counters["timeouts"] == 0
        assert len(peers) == 5
        s.core.settle()


def test_connections_that_end_while_the_ring_is_full():
    with stack(capacity=2) as s:
        made = s.listen()
        for port in range(1, 6):
            s.peer(port=port).open()
        for handler in made:
            handler.send(bytes(20_000))
        turns(s)
        for handler in made:
            handler.abort()
        turns(s)
        assert [handler.calls[-1] for handler in made] == ["closed"] * 5
        assert s.tcp.connections() == []
        s.end.receive()
        s.core.settle()


def test_nothing_grows_over_many_requests():
    requests = 20_000 if CONNECTIONS == 100_000 else 1_000
    with stack() as s:
        s.tcp.listen(7, Echo)
        peer = s.peer().open()
        turn, end = s.core.events.turn, s.end
        seq, ack = peer.seq, peer.ack
        counts = []
        for i in range(requests):
            end.send(frame(peer.port, seq, ack, 0x18, b"request"))
            turn(), turn()
            end.receive()
            seq, ack = (seq + 7) % 2**32, (ack + 7) % 2**32
            if i % (requests // 4) == requests // 8:
                gc.collect()
                pool = s.core.pool
                counts.append((pool.live_slots(), pool.live_iobufs(), live_chains(), len(gc.get_objects())))
        assert counts[1][:3] == counts[-1][:3]
        assert abs(counts[1][3] - counts[-1][3]) < 100
        assert s.counters["retransmitted"] == 0
        s.advance(100 * MS)
        s.frames()
