"""The pool is wholly exhausted: nothing crashes, nothing that was promised is lost, and all recovers."""

import pytest

from netapp.iobuf.chain import Chain
from tests.support.stack import SECOND, Recorder, flags_of, stack


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
