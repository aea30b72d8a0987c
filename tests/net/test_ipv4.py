"""What is received over IPv4, and why the rest is dropped (RFC 1122, 3.2.1 and 3.3)."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from netapp.wire import icmp, ipv4
from netapp.wire.checksum import checksum
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node

BROADCAST = b"\xff" * 6
ALL_HOSTS_MAC = b"\1\0\x5e\0\0\1"


def greet(node: Node) -> None:
    node.exchange(Ether(src=HOST_MAC, dst=BROADCAST) / ARP(hwsrc=HOST_MAC, psrc=HOST_ADDRESS, pdst=OUR_ADDRESS))


def frame(
    destination_mac: bytes = OUR_MAC, source: str = HOST_ADDRESS, destination: str = OUR_ADDRESS, **fields
) -> bytes:
    packet = IP(src=source, dst=destination, **fields) / ICMP(id=1, seq=2) / b"payload"
    return bytes(Ether(src=HOST_MAC, dst=destination_mac) / packet)


def changed(data: bytes, offset: int, value: bytes) -> bytes:
    """Other bytes in the IPv4 header; its checksum is right again."""
    data = data[: 14 + offset] + value + data[14 + offset + len(value) :]
    header = data[14:34]
    header = header[:10] + b"\0\0" + header[12:]
    return data[:24] + checksum(header).to_bytes(2, "big") + data[26:]


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        (frame()[:14], "ipv4_truncated"),
        (frame()[:33], "ipv4_truncated"),
        (changed(frame(), 0, b"\x55"), "ipv4_bad_version"),
        (changed(frame(), 0, b"\x65"), "ipv4_bad_version"),
        (changed(frame(), 0, b"\x44"), "ipv4_bad_header_length"),
        (changed(frame(), 0, b"\x40"), "ipv4_bad_header_length"),
        (changed(frame(), 0, b"\x4f"), "ipv4_bad_header_length"),
        (changed(frame(), 2, b"\0\x13"), "ipv4_bad_total_length"),
        (changed(frame(), 2, b"\0\0"), "ipv4_bad_total_length"),
        (changed(frame(), 2, (len(frame()) - 13).to_bytes(2, "big")), "ipv4_bad_total_length"),
        (changed(frame(), 2, b"\xff\xff"), "ipv4_bad_total_length"),
        (frame()[:24] + b"\x12\x34" + frame()[26:], "ipv4_bad_checksum"),
        (frame(source="0.0.0.0"), "ipv4_bad_source"),
        (frame(source="0.1.2.3"), "ipv4_bad_source"),
        (frame(source="127.0.0.1"), "ipv4_bad_source"),
        (frame(source="224.0.0.1"), "ipv4_bad_source"),
        (frame(source="240.0.0.1"), "ipv4_bad_source"),
        (frame(source="255.255.255.255"), "ipv4_bad_source"),
        (frame(source="10.99.0.255"), "ipv4_bad_source"),
        (frame(source=OUR_ADDRESS), "ipv4_bad_source"),
        (frame(BROADCAST), "ipv4_link_broadcast"),
        (frame(ALL_HOSTS_MAC), "ipv4_link_broadcast"),
        (frame(destination="10.99.0.3"), "ipv4_not_ours"),
        (frame(destination="192.0.2.1"), "ipv4_not_ours"),
        (frame(destination="127.0.0.1"), "ipv4_not_ours"),
        (frame(destination="224.0.0.251"), "ipv4_not_ours"),
        (frame(options=[b"\x83\x07\x04\x0a\x63\0\1\0"]), "ipv4_source_routed"),
        (frame(options=[b"\x01\x89\x07\x04\x0a\x63\0\1"]), "ipv4_source_routed"),
    ],
)
def test_dropped(data: bytes, counter: str) -> None:
    with network_node() as node:
        assert node.exchange(data) == []
        assert node.counters() == {"frames_received": 1, "ipv4_received": 1, counter: 1}


@pytest.mark.parametrize(
    ("data", "counter", "message"),
    [
        (frame(proto=17), "ipv4_unknown_protocol", (3, 2, 0)),
        (frame(proto=255), "ipv4_unknown_protocol", (3, 2, 0)),
        (frame(options=[b"\x07\x00\x04\0"]), "ipv4_bad_options", (12, 0, 20 << 24)),
        (frame(options=[b"\x07\x01\x04\0"]), "ipv4_bad_options", (12, 0, 20 << 24)),
        (frame(options=[b"\x07\x05\x04\0"]), "ipv4_bad_options", (12, 0, 20 << 24)),
        (frame(options=[b"\x01\x01\x01\x07"]), "ipv4_bad_options", (12, 0, 23 << 24)),
    ],
)
def test_dropped_and_told(data: bytes, counter: str, message: tuple[int, int, int]) -> None:
    with network_node() as node:
        greet(node)
        (told,) = node.exchange(data)
        fields = icmp.parse(ipv4.parse(told[14:])["payload"])
        assert fields["valid"] and (fields["type"], fields["code"], fields["rest"]) == message
        assert fields["payload"] == data[14:]
        assert node.counters()[counter] == node.counters()["icmp_errors_sent"] == 1


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        (b"x", "frames_truncated"),
        (bytes(13), "frames_truncated"),
        (frame(b"\2\0\0\0\0\x0c"), "frames_not_ours"),
        (frame(b"\3\0\0\0\0\x0a"), "frames_not_ours"),
        (frame(b"\1\0\x5e\0\0\xfb"), "frames_not_ours"),
        (OUR_MAC + HOST_MAC + b"\x86\xdd" + bytes(40), "frames_unknown_type"),
        (OUR_MAC + HOST_MAC + b"\x81\0\0\1" + frame()[12:], "frames_unknown_vlan"),
        (OUR_MAC + HOST_MAC + b"\0\x40" + bytes(64), "frames_unknown_type"),
    ],
)
def test_dropped_by_the_link_layer(data: bytes, counter: str) -> None:
    with network_node() as node:
        assert node.exchange(data) == []
        assert node.counters() == {"frames_received": 1, counter: 1}


@pytest.mark.parametrize(
    "data",
    [
        frame(),
        frame() + b"padding",
        frame(ttl=1),
        frame(ttl=0),
        frame(tos=0xFF),
        frame(flags="DF"),
        changed(frame(), 6, b"\x80\0"),  # the reserved flag (RFC 3514)
        frame(options=[b"\x07\x07\x04\0\0\0\0\0"]),  # record route: stepped over
        frame(options=[b"\x01\x01\x00\x07"]),  # what follows the end of options means nothing
        frame(options=[b"\x94\x04\0\0" * 10]),
    ],
)
def test_accepted(data: bytes) -> None:
    with network_node() as node:
        greet(node)
        (reply,) = node.exchange(data)
        assert Ether(reply)[ICMP].type == 0
        assert bytes(Ether(reply)[ICMP].payload) == b"payload"


def test_any_truncation_is_counted_once() -> None:
    whole = frame(options=[b"\x94\x04\0\0"])
    with network_node() as node:
        greet(node)
        for length in range(1, len(whole)):
            before = node.counters()
            assert node.exchange(whole[:length]) == []
            after = node.counters()
            grown = {name for name in after if after[name] != before.get(name, 0)}
            assert len(grown - {"frames_received", "ipv4_received"}) == 1, grown


def test_without_broadcast_on_a_subnet_of_two() -> None:
    with network_node("10.99.0.2/31") as node:
        peer = "10.99.0.3"
        node.exchange(Ether(src=HOST_MAC, dst=BROADCAST) / ARP(hwsrc=HOST_MAC, psrc=peer, pdst=OUR_ADDRESS))
        (reply,) = node.exchange(frame(source=peer))
        assert Ether(reply)[IP].dst == peer


ENDS = (b"\x0a\x63\0\1", b"\x0a\x63\0\2")
ASK = bytes(Ether(src=HOST_MAC, dst=BROADCAST) / ARP(hwsrc=HOST_MAC, psrc=HOST_ADDRESS, pdst=OUR_ADDRESS))
RIGHT = (frame(), frame(options=[b"\x94\x04\0\0"]), frame(BROADCAST, destination="10.99.0.255"), ASK)


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Anything; or anything behind a header that is right; or a frame that is right but for a few bytes."""
    kind = draw(st.integers(0, 3))
    data = draw(st.binary(min_size=1, max_size=200))
    if kind == 0:
        return data
    if kind == 1:
        link = draw(st.sampled_from([OUR_MAC, BROADCAST, ALL_HOSTS_MAC]))
        return link + HOST_MAC + draw(st.sampled_from([b"", b"\x08\0", b"\x08\6"])) + data
    if kind == 2:
        return OUR_MAC + HOST_MAC + b"\x08\0" + ipv4.build(*ENDS, draw(st.sampled_from([1, 6, 17, 255])), data)
    whole = bytearray(draw(st.sampled_from(RIGHT)))
    for offset, value in draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4)):
        whole[offset % len(whole)] = value
    right = whole[12:14] == b"\x08\0" and draw(st.booleans())
    return changed(bytes(whole), 0, bytes(whole[14:15])) if right else bytes(whole)


@settings(max_examples=60)
@given(st.lists(hostile(), min_size=1, max_size=30))
def test_hostile_frames(frames: list[bytes]) -> None:
    """Neither an exception nor a slot that stays behind: network_node() looks for both."""
    with network_node() as node:
        node.exchange(*frames)
        assert node.counters()["frames_received"] == len(frames)
        node.advance(70)


def test_random_storm() -> None:
    """The same from a seed, and more of it; then everything still works."""
    random = Random(20)
    with network_node(gateway="10.99.0.9", capacity=512) as node:
        for _ in range(100):
            burst = []
            for _ in range(200):
                whole = bytearray(random.choice(RIGHT))
                for _ in range(random.randrange(4)):
                    whole[random.randrange(len(whole))] = random.randrange(256)
                del whole[random.choice((99, 99, 99, random.randrange(1, 60))) :]
                right = len(whole) >= 34 and whole[12:14] == b"\x08\0" and random.random() < 0.8
                burst.append(changed(bytes(whole), 0, bytes(whole[14:15])) if right else bytes(whole))
            node.exchange(*burst)
            node.advance(random.choice((0.01, 1, 70)))
            node.host.receive()
        assert node.counters()["frames_received"] == 20_000
        assert node.pool.live_slots() <= 1024
        greet(node)
        (reply,) = node.exchange(frame())
        assert Ether(reply)[ICMP].type == 0


def test_storm_with_an_exhausted_pool() -> None:
    """Slots run out while packets wait: everything is dropped and counted, and works again afterwards."""
    with network_node(pool_size=64 * 4096, capacity=256) as node:
        for start in range(0, 512, 128):
            for i in range(start, start + 128):
                source = f"10.99.0.{i % 240 + 10}"
                try:
                    node.host.send(frame(source=source))
                except MemoryError:
                    pass
                node.core.settle()
            node.host.receive()
        assert node.pool.counters()["exhausted"] > 0
        node.advance(10)
        node.host.receive()
        greet(node)
        (reply,) = node.exchange(frame())
        assert Ether(reply)[ICMP].type == 0
