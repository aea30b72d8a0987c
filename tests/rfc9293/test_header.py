"""RFC 9293, 3.1 and 3.2: the header, its checksum and its options."""

import pytest
from scapy.layers.inet import IP, TCP

from netapp.tcp.config import TcpConfig
from tests.rfc9293.peers import longest, opened_with, send_options
from tests.support.stack import flags_of, parse, stack, tcp_options


def test_must_1_a_window_above_32767_is_not_negative() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer(window=39420).open()
        made[0].send(b"x" * 60000)
        while peer.get():
            # The right edge of the window stays where it was.
            peer.send("A", window=39420 - len(peer.received))
        assert len(peer.received) == 39420


def test_rec_1_a_scaled_window_has_more_than_16_bits() -> None:
    with stack(TcpConfig(receive_window=1 << 20)) as s:
        made = s.listen()
        peer = s.peer(window=60000).open(scale=4)
        made[0].send(b"x" * 400_000)
        edge = peer.ack + (60000 << 4)
        for _ in range(40):
            if not peer.get():
                break
            # The right edge stays where it is, in units of 16 bytes.
            peer.send("A", window=(edge - peer.ack) >> 4)
        assert len(peer.received) == 400_000
        # And the other way: what ours offers takes more than 16 bits.
        peer.send("A", b"y")
        s.advance(s.config.delayed_ack)
        offered = peer.one().win << tcp_options(peer.syn)[3][0]
        assert offered > 65535


def test_must_2_segments_have_their_checksum() -> None:
    with stack() as s:
        s.echo()
        peer = s.peer().open()
        for payload in (b"", b"a", b"ab", b"x" * 1459, b"x" * 1460):
            peer.send("PA", payload)
            s.advance(s.config.delayed_ack)
            for frame in s.frames():
                ip = IP(frame[14:])
                given = ip[TCP].chksum
                del ip[TCP].chksum
                assert IP(bytes(ip))[TCP].chksum == given
                peer.ack = (ip[TCP].seq + len(ip[TCP].payload)) % 2**32


@pytest.mark.parametrize("at", [34 + 4, 34 + 16, 34 + 17, 34 + 20, -1])
def test_must_3_a_segment_with_a_wrong_checksum_is_dropped(at: int) -> None:
    """The byte changed is in the sequence number, in the checksum, or in the text."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        frame = bytearray(peer.frame("PA", b"some text"))
        frame[at] ^= 0x10
        s.send_frame(bytes(frame))
        peer.nothing()
        assert made[0].data == b"" and s.counters["dropped_checksum"] == 1
        peer.send("PA", b"some text")
        assert made[0].data == b"some text"


def test_must_4_end_of_list_no_operation_and_mss_are_understood() -> None:
    with stack() as s:
        made = s.listen()
        peer = opened_with(s, b"\1\1\2\4\3\xe8\1\0")
        assert longest(made[0], peer) == 1000
    with stack() as s:
        made = s.listen()
        # What stands behind the end of the list is none.
        peer = opened_with(s, b"\1\0\2\4\3\xe8\0\0")
        assert longest(made[0], peer) == 536
        assert tcp_options(peer.syn)[2] == (1460).to_bytes(2, "big")


@pytest.mark.parametrize("flags", ["A", "PA", "FA"])
def test_must_5_an_option_may_come_in_any_segment(flags: str) -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        # A no-operation, one that nobody knows, MSS where it has no business, and the end.
        send_options(peer, flags, b"\1\xfd\4\0\2\4\1\0\0\0\0\0", b"text" if "P" in flags else b"")
        assert made[0].data == (b"text" if "P" in flags else b"")
        assert ("peer_closed" in made[0].calls) == ("F" in flags)
        assert s.counters["resets_out"] == 0
        # The MSS of that segment counts for nothing: 1460 stands.
        if flags == "A":
            assert longest(made[0], peer) == 1460


def test_must_5_an_option_may_come_in_the_answer_to_our_syn() -> None:
    with stack() as s:
        handler, peer = s.connect()
        send_options(peer, "SA", b"\xfd\4\0\0\2\4\3\xe8")
        assert flags_of(peer.one()) == "A" and handler.calls == ["connected"]
        assert longest(handler, peer) == 1000


@pytest.mark.parametrize("unknown", [b"\xfd\2", b"\xfd\4ab", b"\x4d\6abcd", b"\x13\x12" + b"d" * 16])
def test_must_6_an_unknown_option_is_ignored(unknown: bytes) -> None:
    options = unknown + b"\2\4\3\xe8"
    with stack() as s:
        made = s.listen()
        peer = opened_with(s, options + b"\0" * (-len(options) % 4))
        assert longest(made[0], peer) == 1000


def test_must_68_a_length_is_expected_of_every_other_option() -> None:
    """Kinds that nobody has defined yet are stepped over by their length, not byte by byte."""
    with stack() as s:
        made = s.listen()
        # An option of kind 200 whose value looks like an MSS of 100.
        peer = opened_with(s, b"\2\4\3\xe8\xc8\6\2\4\0\x64\0\0")
        assert longest(made[0], peer) == 1000


def test_must_68_options_sent_have_their_length() -> None:
    with stack() as s:
        s.listen()
        options = s.peer().open(scale=2).syn.opts
        kinds = []
        while options:
            kinds.append(options[0])
            options = options[1:] if options[0] in (0, 1) else options[options[1] :]
        assert kinds == [2, 1, 3]


@pytest.mark.parametrize(
    "options",
    [
        b"\2\0\3\xe8",  # no length
        b"\2\1\3\xe8",  # not even its own two bytes
        b"\1\1\1\2",  # the length is behind the header
        b"\2\4\3\xe8\1\1\xfd\5",  # goes beyond the header
        b"\xfd\xff\0\0",
        b"\3\3\2\2\xff\xff\xff\xff",
    ],
)
@pytest.mark.parametrize("flags", ["S", "A", "PA"])
def test_must_7_an_illegal_length_does_no_harm(options: bytes, flags: str) -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        if flags != "S":
            peer.open()
        send_options(peer, flags, options, b"text" if flags == "PA" else b"")
        peer.get()
        # Others, and a repetition without the fault, are served.
        other = s.peer(port=40001).open()
        other.send("PA", b"alive")
        assert made[-1].data == b"alive"


@pytest.mark.parametrize("before", range(4))
def test_must_64_options_may_begin_anywhere(before: int) -> None:
    with stack() as s:
        made = s.listen()
        peer = opened_with(s, b"\1" * before + b"\2\4\3\xe8" + b"\0" * (4 - before))
        assert longest(made[0], peer) == 1000


@pytest.mark.parametrize("scale", [None, 7])
def test_must_69_headers_are_padded_with_zeros(scale: int | None) -> None:
    """The stack fills its options up with no-operations; what would follow an end of the list would be zeros."""
    with stack() as s:
        s.listen()
        options = s.peer().open(scale=scale).syn.opts
        assert options and len(options) % 4 == 0
        at = 0
        while at < len(options) and options[at] != 0:
            at += 1 if options[at] == 1 else options[at + 1]
        assert at <= len(options) and not any(options[at:])


def test_must_65_mss_is_sent_on_syn_segments_only() -> None:
    with stack() as s:
        made = s.echo()
        peer = s.peer().open()
        assert 2 in tcp_options(peer.syn)
        peer.send("PA", b"x" * 1000)
        made[0].close()
        peer.send("FA")
        others = [parse(frame) for frame in s.frames()]
        assert others and not any(2 in tcp_options(segment) for segment in others)
        handler, peer = s.connect()
        assert 2 in tcp_options(peer.syn)
        peer.send("SA", options=[("MSS", 1460)])
        handler.abort()
        assert not any(2 in tcp_options(segment) for segment in peer.get())
