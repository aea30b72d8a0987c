"""Exhaustion, back-pressure, and connections that come and go without leaving anything."""

import gc
import os
import struct

import pytest

from netapp.iobuf.chain import Chain, live_chains
from netapp.net.ipv4 import live_paths
from netapp.tcp.config import TcpConfig
from netapp.tcp.connection import live_connections
from netapp.tcp.handler import TcpHandler
from netapp.wire.checksum import checksum
from tests.support.stack import MS, SECOND, Recorder, flags_of, parse, stack

# The debug build is some ten times slower.
CONNECTIONS = 100_000 if os.environ.get("NETAPP_VARIANT", "release") == "release" else 5_000

IP = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 6, 0, bytes([10, 99, 0, 1]), bytes([10, 99, 0, 2]))
ETHERNET = b"\x02\0\0\0\0\x0a\x02\0\0\0\0\x0b\x08\0"


def frame(port, seq, ack, flags, text=b""):
    """Faster than scapy's."""
    segment = struct.pack(">HHIIBBHHH", port, 7, seq, ack, 0x50, flags, 65535, 0, 0) + text
    total = checksum(IP[12:] + b"\0\x06" + len(segment).to_bytes(2, "big") + segment)
    header = IP[:2] + (20 + len(segment)).to_bytes(2, "big") + IP[4:]
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return ETHERNET + header + segment[:16] + total.to_bytes(2, "big") + segment[18:]


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


def exhaust(pool):
    """Takes all of the pool's memory; the chain that holds it."""
    taken = Chain()
    source = Chain()
    source.write(bytes(2048))
    for size in (4096, 2048, 128, 64):
        try:
            while True:
                piece = Chain()
                if size > 128:
                    piece.write(bytes(size))
                else:
                    # What is stored is copied into a slot of its size.
                    piece = source.clone().split(size - 10).stored()
                taken.append(piece)
        except MemoryError:
            continue
    taken.append(source)
    return taken


@pytest.mark.parametrize("what", ["data", "acknowledgment", "fin", "retransmission", "handshake"])
def test_without_slots_nothing_is_lost(what):
    with stack(pool=2 << 20, reserve=0) as s:
        made = s.listen()
        peer = s.peer()
        if what != "handshake":
            peer.open()
        handler = made[0] if made else Recorder()
        text = bytes(i & 255 for i in range(5000))
        if what == "retransmission":
            handler.send(text)
            peer.get()
            peer.received, peer.ack = b"", peer.ack - 5000
        if what == "acknowledgment":
            frames = [peer.frame("A", bytes(1460), seq=peer.seq + 1460 * i) for i in range(2)]
            assert s.end.send(frames[0])
            assert s.end.send(frames[1])
            s.core.events.turn()  # they are here, and held
            peer.seq += 2920
        if what == "handshake":
            assert s.end.send(peer.frame("S"))
        taken = exhaust(s.core.pool)
        if what == "data":
            handler.send(text)
        if what == "fin":
            handler.close()
        s.advance(3 * SECOND)
        found = s.segments()
        if what in ("data", "fin", "retransmission"):
            assert not found and s.counters["exhausted"] > 0
        del taken
        s.advance(60 * SECOND)
        if what == "handshake":
            peer.send("S", seq=peer.seq)
            peer.seq += 1
            assert [flags_of(one) for one in peer.get()][-1:] in (["SA"], ["RA"])
            return
        for _ in range(10):
            s.advance(3 * SECOND)
            peer.get()
            peer.acknowledge()
        if what in ("data", "retransmission"):
            assert peer.received == text
        if what == "fin":
            assert s.state() == "FIN_WAIT_2"
        assert "closed" not in handler.calls


def test_frames_that_find_no_slot_are_sent_again_by_the_peer():
    with stack(pool=2 << 20, reserve=0) as s:
        made = s.listen()
        peer = s.peer().open()
        data = peer.frame("PA", b"text")
        assert s.end.send(data)
        taken = exhaust(s.core.pool)
        s.core.settle()
        assert made[0].data in (b"", b"text")
        del taken
        s.send_frame(data)
        assert made[0].data == b"text"


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
        assert s.core.pool.free_bytes() > 256 << 10 and s.counters["exhausted"] > 500
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
