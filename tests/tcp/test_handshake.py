"""Opening: RFC 9293, 3.5 and 3.10.7.1 to 3.10.7.3."""

import pytest

from netapp.wire.checksum import checksum
from tests.support.stack import MS, SECOND, THEIRS, Recorder, flags_of, stack, tcp_options


def test_a_peer_opens_and_data_goes_both_ways():
    with stack() as s:
        made = s.echo()
        peer = s.peer()
        peer.send("S", options=[("MSS", 1460), ("NOP", None), ("WScale", 7)])
        answer = peer.one()
        assert flags_of(answer) == "SA"
        assert answer.ack == peer.seq
        assert not made, "the handler is made when the handshake is done"
        peer.send("A")
        assert made[0].calls == ["connected"]
        peer.nothing()
        peer.send("PA", b"hello")
        assert made[0].data == b"hello"
        echo = peer.one()
        assert (bytes(echo.data), flags_of(echo)) == (b"hello", "PA")
        assert echo.ack == peer.seq, "the acknowledgment rides on the reply"
        peer.acknowledge()
        peer.nothing()
        assert s.counters["accepts"] == 1


def test_ours_opens():
    with stack() as s:
        handler, peer = s.connect()
        assert handler.calls == [] and s.state() == "SYN_SENT"
        assert (peer.syn.ack, peer.syn.win) == (0, 65535)
        peer.send("SA", options=[("MSS", 1460)])
        assert handler.calls == ["connected"]
        answer = peer.one()
        assert (flags_of(answer), answer.ack, answer.seq) == ("A", peer.seq, peer.ack)
        handler.send(b"hello")
        assert bytes(peer.one().data) == b"hello"
        peer.send("A", b"there")
        assert handler.data == b"there"


def test_what_was_sent_while_connecting_goes_out_after_the_handshake():
    with stack() as s:
        handler, peer = s.connect()
        handler.send(b"early")
        peer.nothing()
        peer.send("SA", options=[("MSS", 1460)])
        assert bytes(peer.one().data) == b"early"


def test_text_on_the_handshakes_last_acknowledgment_is_taken():
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S")
        peer.get()
        peer.send("PAF", b"all at once")
        assert made[0].data == b"all at once"
        assert made[0].calls == ["connected", "receive", "peer_closed"]


def test_text_on_a_syn_is_left_to_be_sent_again():
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S", b"early", seq=1000)
        assert peer.one().ack == 1001
        peer.seq = 1001
        peer.send("A", b"early")
        assert made[0].data == b"early"


@pytest.mark.parametrize(
    ("options", "mss"),
    [
        ([], 536),  # RFC 9293, 3.7.1 (MUST-15)
        ([("MSS", 1000)], 1000),
        ([("MSS", 9000)], 1460),  # ours is less
        ([("MSS", 1)], 64),
        ([("MSS", 0)], 536),
        ([("SAckOK", b""), ("Timestamp", (1, 0)), ("MSS", 700)], 700),
        ([(253, b"ab"), ("MSS", 700)], 700),  # an unknown option
        ([("EOL", None), ("MSS", 700)], 536),  # behind the end of the list
    ],
)
def test_segments_are_as_long_as_the_peers_mss_says(options, mss):
    with stack() as s:
        made = s.listen()
        peer = s.peer().open(options=options)
        made[0].send(bytes(3 * mss))
        assert {len(segment.data) for segment in peer.get()} == {mss}


@pytest.mark.parametrize(
    "options",
    [
        b"\x02\x00\x05\xb4",
        b"\x02\x01\x05\xb4",
        b"\x01\x01\x01\x02",
        b"\x02\x05\x05\xb4",
        b"\x01\x03\xff\x00",
        b"\xfe\x28\0\0",
    ],
)
def test_a_syn_with_malformed_options_is_dropped_and_counted(options):
    with stack() as s:
        s.listen()
        peer = s.peer()
        frame = bytearray(peer.frame("S", options=[("MSS", 1460)]))
        frame[-4:] = options
        frame[50:52] = b"\0\0"
        pseudo = bytes(frame[26:34]) + b"\0\x06" + (len(frame) - 34).to_bytes(2, "big")
        frame[50:52] = checksum(pseudo + bytes(frame[34:])).to_bytes(2, "big")
        s.send_frame(bytes(frame))
        peer.nothing()
        assert s.counters["dropped_options"] == 1
        assert s.state() == "CLOSED"


def test_our_syn_offers_mss_and_window_scaling():
    with stack(mtu=1400) as s:
        _, peer = s.connect()
        options = tcp_options(peer.syn)
        assert options[2] == (1360).to_bytes(2, "big")
        assert options[3] == bytes([3]), "256 KiB >> 3 fits into 16 bits"


def test_window_scaling_is_answered_only_when_it_was_offered():
    with stack() as s:
        s.listen()
        assert 3 in tcp_options(s.peer(port=1).open(scale=0).syn)
        assert 3 not in tcp_options(s.peer(port=2).open().syn)


def test_a_lost_syn_is_sent_again_with_back_off_until_we_give_up():
    with stack() as s:
        handler, peer = s.connect()
        begun = s.now
        times = []
        while handler.error is None:
            _, found = s.until_sent()
            if found:
                times.append(s.now - begun)
                assert [flags_of(one) for one in found] == ["S"] and found[0].seq == peer.syn.seq
        assert times == [n * SECOND for n in (1, 3, 7, 15, 31, 63, 123)]  # RFC 6298 (5.5); at most 60 s
        assert s.now - begun >= 180 * SECOND
        assert handler.calls == ["closed"] and isinstance(handler.error, TimeoutError)
        assert s.state() == "CLOSED"


def test_after_a_syn_was_lost_the_time_out_is_three_seconds():
    with stack() as s:
        handler, peer = s.connect()
        s.advance(SECOND)
        assert flags_of(peer.one()) == "S"
        peer.accept()
        handler.send(b"data")
        peer.get()
        waited, _ = s.until_sent()
        assert waited == 3 * SECOND  # RFC 6298 (5.7)


def test_a_half_open_connection_ends():
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S")
        begun = s.now
        times = []
        while s.state() != "CLOSED":
            _, found = s.until_sent()
            times += [(s.now - begun, flags_of(one)) for one in found]
        assert times == [(n * SECOND, "SA") for n in (0, 1, 3, 7, 15)] + [(31 * SECOND, "RA")]
        assert not made


def test_a_syn_again_is_answered_again():
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S", seq=1000)
        first = peer.one()
        peer.send("S", seq=1000)
        again = peer.one()
        assert (again.seq, again.ack, flags_of(again)) == (first.seq, 1001, "SA")
        peer.seq = 1001
        peer.send("A")
        assert made[0].calls == ["connected"]


def test_an_acknowledgment_that_was_not_asked_for_is_reset_while_half_open():
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S")
        peer.get()
        peer.send("A", ack=peer.ack + 5)
        answer = peer.one()
        assert (flags_of(answer), answer.seq) == ("R", peer.ack + 5)
        assert s.state() == "SYN_RECEIVED"
        peer.send("A")
        assert made[0].calls == ["connected"], "the right one still counts"


@pytest.mark.parametrize("flags", ["SA", "A", "RA"])
@pytest.mark.parametrize("off", [-1, 1, 1 << 31])
def test_a_bad_acknowledgment_while_connecting_is_reset(flags, off):
    with stack() as s:
        handler, peer = s.connect()
        peer.send(flags, ack=peer.ack + off)
        answer = peer.get()
        assert s.state() == "SYN_SENT" and not handler.calls
        if "R" in flags:
            assert not answer
        else:
            assert [(flags_of(one), one.seq) for one in answer] == [("R", (peer.ack + off) % 2**32)]
        peer.seq = 1000
        peer.accept()
        assert handler.calls == ["connected"]


@pytest.mark.parametrize("flags", ["", "F", "R", "A"])
def test_other_segments_while_connecting_do_nothing(flags):
    with stack() as s:
        handler, peer = s.connect()
        peer.send(flags)
        peer.nothing()
        assert s.state() == "SYN_SENT" and not handler.calls
        assert s.counters["dropped_flags"] == 1


def test_a_refused_connection():
    with stack() as s:
        handler, peer = s.connect()
        peer.send("RA", seq=0)
        peer.nothing()
        assert handler.calls == ["closed"] and isinstance(handler.error, ConnectionRefusedError)
        assert s.state() == "CLOSED" and handler.connection is None


def test_closing_and_aborting_before_the_handshake_is_done():
    for call in ("close", "abort"):
        with stack() as s:
            handler, peer = s.connect()
            getattr(handler, call)()
            peer.nothing()
            assert handler.calls == ["closed"] and isinstance(handler.error, ConnectionAbortedError)
            assert s.state() == "CLOSED"


def test_simultaneous_open():
    with stack() as s:  # RFC 9293, 3.5, figure 7
        handler, peer = s.connect()
        peer.send("S", options=[("MSS", 1460), ("WScale", 4)])
        answer = peer.one()
        assert (flags_of(answer), answer.seq, answer.ack) == ("SA", peer.syn.seq, peer.seq)
        assert s.state() == "SYN_RECEIVED" and handler.calls == []
        # The peer's SYN and ACK: its SYN is known, its acknowledgment is not.
        peer.send("SA", seq=peer.seq - 1)
        assert s.state() == "ESTABLISHED" and handler.calls == ["connected"]
        peer.nothing()
        handler.send(bytes(10_000))
        assert sum(len(one.data) for one in peer.get()) == 10_000, "the window of a SYN is not scaled"


def test_simultaneous_open_ends_with_an_acknowledgment_as_well():
    with stack() as s:
        handler, peer = s.connect()
        handler.send(b"x")
        peer.send("S")
        peer.get()
        peer.send("A")
        assert handler.calls == ["connected"]
        assert bytes(peer.one().data) == b"x"


def test_close_during_a_simultaneous_open_follows_it():
    with stack() as s:
        handler, peer = s.connect()
        peer.send("S")
        peer.get()
        handler.close()
        peer.nothing()
        peer.send("A")
        assert flags_of(peer.one()) == "FA"
        assert s.state() == "FIN_WAIT_1"


def test_sequence_numbers_of_a_connection_advance_with_time():
    with stack() as s:  # RFC 6528: once in 4 microseconds
        s.listen()
        numbers = []
        for wait in (0, 10 * MS, SECOND):
            s.advance(wait)
            peer = s.peer()
            peer.send("S", seq=1000)
            numbers.append(peer.one().seq)
            peer.send("R", seq=1001)
            assert s.state() == "CLOSED"
        assert (numbers[1] - numbers[0]) % 2**32 == pytest.approx(10 * MS >> 12, abs=2)
        assert (numbers[2] - numbers[1]) % 2**32 == pytest.approx(SECOND >> 12, abs=2)
        other = s.peer(port=40001)
        other.send("S")
        assert abs(other.one().seq - numbers[2]) > 1000, "another connection has numbers of its own"


def test_the_handshake_waits_for_the_peers_link_address():
    with stack() as s:
        s.tcp.connect(THEIRS, 80, Recorder)
        s.core.settle()
        assert len(s.end.receive()) == 1, "an ARP request"
        s.advance(SECOND)
        assert [flags_of(one) for one in s.segments()] == ["S", "S"], "the first, which waited, and its repetition"
