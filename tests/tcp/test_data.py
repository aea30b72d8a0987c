"""Data both ways: segmentation, PSH, delayed acknowledgments (RFC 9293, 3.8.6.3; RFC 5681, 4.2), copies."""

import pytest

from netapp.iobuf.chain import Chain
from netapp.tcp.config import TcpConfig
from tests.support.stack import MS, Recorder, flags_of, stack


def payload(length, seed=0):
    return bytes((i * 7 + (i >> 8) + seed) & 255 for i in range(length))


def test_many_segments_arrive_in_order():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        sent = payload(50_000)
        for i in range(0, len(sent), 1000):
            peer.send("A", sent[i : i + 1000])
        assert made[0].data == sent
        assert peer.get()[-1].ack == peer.seq


def test_more_than_the_window_goes_out_as_it_is_acknowledged():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=8000).open()
        sent = payload(100_000)
        made[0].send(sent)
        while len(peer.received) < len(sent):
            found = peer.get()
            assert found, "it stands still"
            assert sum(len(one.data) for one in found) <= 8000
            peer.acknowledge()
        assert peer.received == sent


def test_both_directions_at_once_across_the_end_of_the_sequence_space():
    with stack() as s:
        s.echo()
        peer = s.peer(isn=2**32 - 20_000).open()
        sent = payload(60_000)
        for i in range(0, len(sent), 1460):
            peer.send("PA", sent[i : i + 1460])
            peer.get()
        for _ in range(100):
            peer.acknowledge()
            if not peer.get():
                break
        assert peer.received == sent


def test_our_sequence_numbers_wrap():
    with stack() as s:
        # The clock of RFC 6528 brings them near the end.
        made = s.listen()
        peer = s.peer()
        peer.send("S", seq=1000)
        iss = peer.one().seq
        peer.send("R", seq=1001)
        s.advance((2**32 - iss - 5000) << 12)
        peer = s.peer().open()
        assert 0 < 2**32 - peer.syn.seq < 10_000
        sent = payload(50_000)
        made[-1].send(sent)
        while len(peer.received) < len(sent):
            assert peer.get(), "it stands still"
            peer.acknowledge()
        assert peer.received == sent


def test_the_last_segment_of_what_is_queued_has_psh():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(payload(4000))
        assert [(len(one.data), flags_of(one)) for one in peer.get()] == [(1460, "A"), (1460, "A"), (1080, "PA")]


def test_small_sends_of_one_turn_share_a_segment():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for i in range(10):
            made[0].send(b"%d" % i)
        assert bytes(peer.one().data) == b"0123456789"


def test_pipelined_requests_get_their_replies_in_one_segment():
    with stack() as s:
        s.echo()
        peer = s.peer().open()
        frames = [peer.frame("PA", b"request%d" % i, seq=peer.seq + 8 * i) for i in range(5)]
        s.send_frame(*frames)
        reply = peer.one()
        assert bytes(reply.data) == b"".join(b"request%d" % i for i in range(5))
        assert reply.ack == peer.seq + 40


def test_nagle_is_off():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        for text in (b"one", b"two", b"three"):
            made[0].send(text)
            assert bytes(peer.one().data) == text


def test_an_acknowledgment_waits_40_ms_for_data():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        peer.send("PA", b"request")
        peer.nothing()
        s.advance(39 * MS)
        peer.nothing()
        waited, found = s.until_sent()
        assert waited == 1 * MS
        assert [(flags_of(one), one.ack) for one in found] == [("A", peer.seq)]
        peer.send("PA", b"request")
        made[0].send(b"reply")
        assert peer.one().ack == peer.seq
        assert s.until_sent(150 * MS)[1] == [], "it rode on the reply: nothing is owed"


@pytest.mark.parametrize("size", [1460, 1448, 536])
def test_every_second_full_segment_is_acknowledged_at_once(size):
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        answered = 0
        for _ in range(20):
            peer.send("A", bytes(size))
            answered += len(peer.get())
        # The first few teach us the size.
        assert 9 <= answered <= 10


def test_small_segments_do_not_each_call_for_an_acknowledgment():
    with stack() as s:
        s.listen()
        peer = s.peer().open()
        for _ in range(10):
            peer.send("PA", b"x")
        peer.nothing()


def test_sending_takes_a_chain_bytes_and_immutable_memoryviews():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        chain = Chain(b"chain")
        made[0].send(chain)
        made[0].send(b"bytes")
        made[0].send(memoryview(b"-view-")[1:5])
        made[0].send(b"")
        assert len(chain) == 0
        assert bytes(peer.one().data) == b"chainbytesview"
        for wrong in (bytearray(b"changes"), "text", None, 5):
            with pytest.raises(TypeError):
                made[0].send(wrong)
        peer.nothing()
        del chain


def test_a_reply_by_reference_copies_nothing():
    with stack() as s:
        s.echo()
        peer = s.peer().open()
        for _ in range(3):
            before = dict(s.core.pool.copied())
            peer.send("PA", payload(1460))
            copied = {place: n - before[place] for place, n in s.core.pool.copied().items() if n != before[place]}
            # Recorder keeps a copy of what it receives, at "user".
            assert set(copied) <= {"user"}, copied
            assert bytes(peer.one().data) == payload(1460)


def test_bulk_is_cut_and_sent_again_without_copies():
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=65535).open()
        sent = payload(40_000)
        before = s.core.pool.copied()
        made[0].send(sent)
        first = peer.get()
        s.advance(3_000 * MS)
        again = peer.get()
        assert again and again[0].seq == first[0].seq
        assert s.core.pool.copied() == before
        while len(peer.received) < len(sent):
            peer.acknowledge()
            assert peer.get()
        peer.acknowledge()
        assert peer.received == sent


def test_received_data_is_the_appliances_to_keep():
    kept = []
    with stack() as s:
        s.listen(7, lambda: Recorder(receive=lambda self, data: kept.append(data)))
        peer = s.peer().open()
        for i in range(5):
            peer.send("PA", payload(500, i))
        peer.send("R")
        assert s.state() == "CLOSED"
        assert [bytes(chain) for chain in kept] == [payload(500, i) for i in range(5)]
        assert s.core.pool.pinned()["device"] >= 5 * 500
        kept.clear()
        assert s.core.pool.pinned()["device"] == 0


def test_what_a_connection_says_of_itself():
    with stack(TcpConfig()) as s:
        made = s.listen()
        peer = s.peer(port=1234).open()
        connection = made[0].connection
        assert connection.local == ("10.99.0.2", 7)
        assert connection.remote == ("10.99.0.1", 1234)
        assert connection.state_name == "ESTABLISHED"
        made[0].send(b"12345")
        assert connection.queued == 5
        peer.get()
        peer.acknowledge()
        assert connection.queued == 0
        assert "ESTABLISHED" in repr(connection)
        del connection


def test_small_sends_share_slots_and_an_idle_connection_keeps_none():
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        before = s.core.pool.live_slots()
        with s.core.core:
            for _ in range(3000):
                made[0].send(b"ab")
        assert s.core.pool.live_slots() - before <= 4
        while len(peer.received) < 6000:
            peer.get()
            peer.acknowledge()
        assert peer.received == b"ab" * 3000
        assert s.core.pool.live_slots() == before
