"""Datagrams in fragments (RFC 791, 3.2; RFC 1122, 3.3.2), seen in the answers to echo requests that come in them."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, fragment
from scapy.layers.l2 import ARP, Ether

from netapp.iobuf.chain import Chain
from netapp.net import reassembly
from netapp.wire import icmp, ipv4
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node
from tests.support.stack import flags_of, stack

US, HOST = b"\x0a\x63\0\2", b"\x0a\x63\0\1"
FRAGMENTS = "ipv4_fragments"


def greet(node: Node) -> None:
    node.exchange(Ether(src=HOST_MAC, dst=b"\xff" * 6) / ARP(hwsrc=HOST_MAC, psrc=HOST_ADDRESS, pdst=OUR_ADDRESS))


def pattern(length: int) -> bytes:
    return bytes(i * 7 + (i >> 8) & 255 for i in range(length))


def request(length: int) -> bytes:
    """An echo request as ICMP has it, with `length` bytes of data."""
    return icmp.build(icmp.ECHO, 0, 7 << 16 | 9, pattern(length))


def piece(
    message: bytes, start: int, end: int, identification: int = 1, more: bool | None = None, source: bytes = HOST
) -> bytes:
    """A frame with the bytes from `start` to `end`."""
    word = start // 8 | (0x2000 if (end < len(message) if more is None else more) else 0)
    packet = ipv4.build(source, US, ipv4.ICMP, message[start:end], identification=identification, fragment=word)
    return OUR_MAC + HOST_MAC + b"\x08\0" + packet


def cut(message: bytes, size: int, identification: int = 1) -> list[bytes]:
    return [piece(message, at, min(at + size, len(message)), identification) for at in range(0, len(message), size)]


def joined(frames: list[bytes]) -> list[bytes]:
    """The payloads of the datagrams that came in these frames, in order; every header is looked at."""
    whole: list[bytes] = []
    parts = b""
    identification = None
    for frame in [frame for frame in frames if frame[12:14] == b"\x08\0"]:
        assert dpkt.in_cksum(frame[14:34]) == 0
        packet = dpkt.ethernet.Ethernet(frame).data
        assert packet.offset * 8 == len(parts), "a fragment out of its order"
        assert identification in (None, packet.id) and not packet.df
        identification = packet.id
        parts += frame[34 : 14 + packet.len]
        if not packet.mf:
            whole.append(parts)
            parts, identification = b"", None
        else:
            assert (packet.len - 20) % 8 == 0
    assert not parts, "a datagram without its end"
    return whole


def assert_echoed(frames: list[bytes], message: bytes) -> None:
    (reply,) = joined(frames)
    assert dpkt.in_cksum(reply) == 0
    assert reply[:2] == b"\0\0" and reply[4:] == message[4:]


@pytest.mark.parametrize("length", [1473, 3000, 8000, 65507])
@pytest.mark.parametrize("order", [lambda x: x, reversed, lambda x: Random(3).sample(x, len(x))])
def test_reassembly(length: int, order: Callable[[list[bytes]], list[bytes]]) -> None:
    whole = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, id=77) / ICMP(id=7, seq=9) / pattern(length)
    frames = [bytes(Ether(src=HOST_MAC, dst=OUR_MAC) / part) for part in fragment(whole, 1480)]
    with network_node() as node:
        greet(node)
        replies = node.exchange(*order(frames))
        assert_echoed(replies, bytes(whole)[20:])
        assert len(replies) == len(frames)
        # By reference, but for a last fragment that would pin a slot for a few bytes.
        assert sum(node.pool.copied().values()) < 1480
        counted = node.counters()
        assert counted[FRAGMENTS] == len(frames) == counted["ipv4_fragments_sent"]
        assert counted["ipv4_reassembled"] == counted["ipv4_fragmented"] == counted["icmp_echoed"] == 1
        node.advance(200)
        assert "icmp_errors_sent" not in node.counters()


def test_other_datagrams_do_not_mix() -> None:
    message = request(64)
    with network_node() as node:
        greet(node)
        first, second = piece(message, 0, 40), piece(message, 40, 72)
        for other in (
            piece(message, 40, 72, identification=2),
            piece(message, 40, 72, source=b"\x0a\x63\0\3"),
            OUR_MAC + HOST_MAC + b"\x08\0" + ipv4.build(HOST, US, ipv4.TCP, bytes(32), fragment=5, identification=1),
        ):
            assert node.exchange(first, other) == []
        assert_echoed(node.exchange(second), message)


def test_small_fragments_are_copied_together() -> None:
    """A few bytes must not keep a slot of 2 KiB."""
    message = request(1992)
    with network_node() as node:
        greet(node)
        frames = cut(message, 8)
        before = sum(node.pool.pinned().values())
        for frame in frames[:-1]:
            assert node.exchange(frame) == []
        assert sum(node.pool.pinned().values()) - before <= 2 * 2048
        assert_echoed(node.exchange(frames[-1]), message)


def test_bytes_that_come_twice() -> None:
    message = request(100)
    frames = cut(message, 40)
    with network_node() as node:
        greet(node)
        assert node.exchange(frames[0], frames[0], frames[2], frames[2], frames[0]) == []
        assert node.counters()["ipv4_fragments_duplicate"] == 3
        assert_echoed(node.exchange(frames[1]), message)


@pytest.mark.parametrize("parts", [[(0, 40), (32, 80)], [(32, 108), (0, 40)], [(0, 40), (0, 48)], [(8, 16), (0, 40)]])
def test_overlaps_are_refused(parts: list[tuple[int, int]]) -> None:
    """RFC 5722: of a datagram with overlaps nothing is taken, whatever the bytes, nor what comes of it later."""
    message = request(100)
    with network_node() as node:
        greet(node)
        assert node.exchange(*[piece(message, *part) for part in parts]) == []
        assert node.counters()["ipv4_reassembly_overlaps"] == 1
        assert not any(node.pool.pinned().values())
        assert node.exchange(*cut(message, 40)) == []
        assert node.counters()["ipv4_fragments_refused"] == 3


def test_teardrop() -> None:
    message = request(100)
    with network_node() as node:
        greet(node)
        # The second one lies within the first, with other bytes.
        assert node.exchange(piece(message, 0, 48), piece(bytes(108), 24, 40, more=True)) == []
        assert node.exchange(piece(message, 48, 108)) == []
        assert node.counters()["ipv4_reassembly_overlaps"] == 1
        assert node.counters()["ipv4_fragments_refused"] == 1
        assert sum(node.pool.pinned().values()) == 0
        # Its time over, the identification is free again; nobody is told of what was refused.
        node.advance(61)
        assert_echoed(node.exchange(*cut(message, 40)), message)
        assert "icmp_errors_sent" not in node.counters()


@pytest.mark.parametrize(
    "frames",
    [
        [(0, 40, True), (40, 80, False), (80, 96, False)],  # two ends
        [(40, 80, False), (80, 96, True)],  # data behind the end
        [(80, 96, True), (40, 80, False)],
    ],
)
def test_ends_that_contradict(frames: list[tuple[int, int, bool]]) -> None:
    message = request(100)
    with network_node() as node:
        greet(node)
        first = [piece(message, start, end, more=more) for start, end, more in frames]
        assert node.exchange(*first[-2:]) == []
        assert node.counters()["ipv4_reassembly_overlaps"] == 1
        assert node.exchange(*cut(message, 40)) == []


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (piece(request(100), 0, 41, more=True), "ipv4_fragments_bad_length"),
        (piece(request(100), 8, 8, more=True), "ipv4_fragments_bad_length"),
        (piece(request(100), 8, 8, more=False), "ipv4_fragments_bad_length"),
        # Ping of death: the last byte would be the 65,536th with the header.
        (
            OUR_MAC + HOST_MAC + b"\x08\0" + ipv4.build(HOST, US, ipv4.ICMP, bytes(12), fragment=8188),
            "ipv4_fragments_oversized",
        ),
        (
            OUR_MAC + HOST_MAC + b"\x08\0" + ipv4.build(HOST, US, ipv4.ICMP, bytes(1480), fragment=0x1FFF),
            "ipv4_fragments_oversized",
        ),
    ],
)
def test_refused(frame: bytes, counter: str) -> None:
    with network_node() as node:
        assert node.exchange(frame) == []
        assert node.counters()[counter] == node.counters()[FRAGMENTS] == 1
        assert not any(node.pool.pinned().values())


def test_the_largest_datagram() -> None:
    """65,535 bytes with its header, the last byte in a fragment of its own offset."""
    message = request(65507)
    with network_node() as node:
        greet(node)
        assert_echoed(node.exchange(*cut(message, 1480)), message)


def test_time() -> None:
    """RFC 1122, 3.3.2: 60 s from the first fragment on, whatever comes meanwhile; its sender is told."""
    message = request(100)
    frames = cut(message, 40)
    with network_node() as node:
        greet(node)
        assert node.exchange(frames[0]) == []
        node.advance(59)
        assert node.exchange(frames[1]) == []
        node.advance(1.1)
        # Besides asking whether the host is still there.
        (told,) = [frame for frame in node.host.receive() if frame[12:14] == b"\x08\0"]
        fields = icmp.parse(ipv4.parse(told[14:])["payload"])
        assert (fields["type"], fields["code"], fields["valid"]) == (11, 1, True)
        quoted = ipv4.parse(fields["payload"] + bytes(100))
        assert fields["payload"][:20] == frames[0][14:34] and quoted["more_fragments"]
        assert fields["payload"][20:] == message[:80]
        assert node.counters()["ipv4_reassembly_timeouts"] == 1
        assert node.exchange(frames[2]) == []


def test_time_without_the_first_fragment() -> None:
    """RFC 1122, 3.3.2; RFC 792: nobody is told."""
    frames = cut(request(100), 40)
    with network_node() as node:
        greet(node)
        assert node.exchange(frames[1], frames[2]) == []
        node.advance(61)
        assert node.host.receive() == []
        assert node.counters()["ipv4_reassembly_timeouts"] == 1


def test_time_of_many() -> None:
    """One timer serves all: each ends at its own time."""
    with network_node() as node:
        for number in range(10):
            node.exchange(piece(request(100), 40, 80, identification=number))
            node.advance(5)
        assert "ipv4_reassembly_timeouts" not in node.counters()
        for number in range(10):
            node.advance(10.1 if number == 0 else 5)
            assert node.counters()["ipv4_reassembly_timeouts"] == number + 1


def test_datagrams_of_a_source_are_bounded() -> None:
    message = request(100)
    with network_node() as node:
        greet(node)
        limit = reassembly.SOURCE_DATAGRAMS_MAX
        for number in range(limit + 3):
            node.exchange(piece(message, 0, 40, identification=number))
        assert node.counters()["ipv4_reassembly_evicted"] == 3
        # The oldest ones went.
        assert node.exchange(piece(message, 40, 108, identification=2)) == []
        assert_echoed(node.exchange(piece(message, 40, 108, identification=limit + 2)), message)


def test_datagrams_are_bounded() -> None:
    message = request(100)
    with network_node() as node:
        greet(node)
        node.exchange(piece(message, 0, 40, identification=9))
        for number in range(reassembly.DATAGRAMS_MAX):
            node.exchange(
                piece(message, 40, 80, identification=number, source=bytes((10, 1, number >> 4, number & 15)))
            )
        assert node.counters()["ipv4_reassembly_evicted"] == 1
        assert node.exchange(piece(message, 40, 108, identification=9)) == []


def test_fragments_are_bounded() -> None:
    message = request(65500)
    with network_node() as node:
        greet(node)
        for frame in cut(message, 8)[: reassembly.FRAGMENTS_MAX]:
            node.exchange(frame)
        assert "ipv4_reassembly_limits" not in node.counters()
        node.exchange(cut(message, 8)[reassembly.FRAGMENTS_MAX])
        assert node.counters()["ipv4_reassembly_limits"] == 1
        assert not any(node.pool.pinned().values())


def test_holes_are_bounded() -> None:
    message = request(65500)
    with network_node() as node:
        greet(node)
        for number in range(32):
            node.exchange(piece(message, number * 16, number * 16 + 8))
        assert "ipv4_reassembly_limits" not in node.counters()
        node.exchange(piece(message, 8, 16))
        node.exchange(piece(message, 32 * 16, 32 * 16 + 8))
        node.exchange(piece(message, 34 * 16, 34 * 16 + 8))
        assert node.counters()["ipv4_reassembly_limits"] == 1


def test_pinned_bytes_are_bounded() -> None:
    message = request(65000)
    most = 0
    with network_node() as node:
        for number in range(80):
            source = bytes((10, 1, 0, number & 7))
            for start in range(0, 60000, 1480):
                node.exchange(piece(message, start, start + 1480, identification=number, source=source))
            most = max(most, sum(node.pool.pinned().values()))
        assert 3 << 20 < most <= reassembly.PINNED_MAX + 4096
        assert node.counters()["ipv4_reassembly_evicted"] > 0


def test_below_the_reserve_nothing_is_kept() -> None:
    frames = cut(request(3000), 1480)
    with network_node() as node:
        greet(node)
        node.exchange(frames[0])
        held = []
        with node.core.core:
            while (chain := _filled()) is not None:
                held.append(chain)
        assert node.exchange(*frames[1:]) == []
        assert node.counters()["ipv4_fragments_exhausted"] == 2
        held.clear()
        assert_echoed(node.exchange(*frames[1:]), request(3000))


def _filled() -> Chain | None:
    """A chain with a slot of the store's; None: only the reserve is left."""
    chain = Chain()
    if not chain.reserve(4096):
        return None
    chain.write(b"x")
    return chain


@pytest.mark.parametrize("sizes", [(8, 40), (16, 40), (24, 16)])
def test_tiny_fragments_of_tcp(sizes: tuple[int, int]) -> None:
    """RFC 1858: a first fragment that parts TCP's header, and a second one that would change it."""
    segment = bytes(TCP(sport=1, dport=7, flags="S") / bytes(40))

    def part(start: int, end: int) -> bytes:
        packet = ipv4.build(HOST, US, ipv4.TCP, segment[start:end], fragment=0x2000 | start // 8)
        return OUR_MAC + HOST_MAC + b"\x08\0" + packet

    with stack() as made:
        frames = [part(0, sizes[0]), part(sizes[0] if sizes[0] < 20 else 8, sizes[1])]
        made.send_frame(*[made.wire.a.mac + frame[6:] for frame in frames])
        assert made.network.counters()["ipv4_fragments_tiny"] == (2 if sizes[0] < 20 else 1)


def test_a_segment_in_fragments() -> None:
    """TCP gets it whole."""
    with stack() as made:
        made.echo()
        peer = made.peer().open()
        whole = Ether(peer.frame("PA", pattern(1000)))
        whole[IP].flags = 0
        whole[IP].id = 9
        parts = [bytes(Ether(src=whole.src, dst=whole.dst) / part) for part in fragment(whole[IP], 400)]
        made.send_frame(*reversed(parts))
        (reply,) = made.segments()
        assert bytes(reply.data) == pattern(1000) and "A" in flags_of(reply)


# --- against a model ------------------------------------------------------------------------------------------------


class Model:
    """A datagram as the rules say: who overlaps with other bytes spoils it."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}
        self.pieces: list[tuple[int, int]] = []
        self.end: int | None = None
        self.spoiled = False

    def arrives(self, start: int, data: bytes, more: bool) -> bytes | None:
        """The datagram, when it is complete."""
        end = start + len(data)
        if not data or (more and len(data) % 8) or self.spoiled:
            return None
        if any(at in self.bytes for at in range(start, end)):
            inside = all(self.bytes.get(start + i) == byte for i, byte in enumerate(data))
            self.spoiled = not (inside and (more or end == self.end))
            return None
        if (self.end is not None and (not more or end > self.end)) or (
            not more and any(at >= end for at in self.bytes)
        ):
            self.spoiled = True
            return None
        self.bytes.update(enumerate(data, start))
        if not more:
            self.end = end
        if self.end is not None and len(self.bytes) == self.end:
            return bytes(self.bytes[at] for at in range(self.end))
        return None


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, bytes, bool]]:
    """Fragments of a message, some more than once, some wrong."""
    message = request(draw(st.integers(0, 400)))
    bounds = sorted(
        {0, len(message), *(8 * at for at in draw(st.lists(st.integers(1, 50), max_size=8)) if 8 * at < len(message))}
    )
    parts = [(a, message[a:b], b < len(message)) for a, b in pairwise(bounds)]
    extra = draw(st.lists(st.sampled_from(parts), max_size=3))
    if draw(st.booleans()):
        start = 8 * draw(st.integers(0, 50))
        extra.append((start, bytes(8 * draw(st.integers(0, 6))), draw(st.booleans())))
        extra.append((start, message[start : start + 16], True))
    return draw(st.permutations(parts + extra))


@settings(max_examples=300)
@given(arrivals())
def test_against_a_model(parts: list[tuple[int, bytes, bool]]) -> None:
    model = Model()
    with network_node() as node:
        greet(node)
        for start, data, more in parts:
            word = start // 8 | (0x2000 if more else 0)
            if word == 0:
                continue
            whole = model.arrives(start, data, more)
            packet = ipv4.build(HOST, US, ipv4.ICMP, data, identification=1, fragment=word)
            replies = node.exchange(OUR_MAC + HOST_MAC + b"\x08\0" + packet)
            if whole is not None:
                model = Model()
                if len(whole) >= 8 and whole[0] == 8 and dpkt.in_cksum(whole) == 0:
                    assert_echoed(replies, whole)
                    continue
            assert replies == []
