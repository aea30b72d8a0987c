"""ARP: who is answered, what is learned, how packets wait for a neighbour (RFC 826; RFC 1122, 2.3.2)."""

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from netapp.drivers.faults import FaultDevice
from netapp.net import neighbours
from netapp.wire import ethernet, icmp, ipv4
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node

BROADCAST = b"\xff" * 6
OTHER, OTHER_MAC = "10.99.0.7", b"\x02\0\0\0\0\x77"


def ask(sender: str = HOST_ADDRESS, mac: bytes = HOST_MAC, target: str = OUR_ADDRESS, **fields) -> Ether:
    return Ether(src=mac, dst=BROADCAST) / ARP(op=1, hwsrc=mac, psrc=sender, pdst=target, **fields)


def answer(sender: str = OTHER, mac: bytes = OTHER_MAC, target: str = OUR_ADDRESS) -> Ether:
    return Ether(src=mac, dst=OUR_MAC) / ARP(op=2, hwsrc=mac, psrc=sender, hwdst=OUR_MAC, pdst=target)


def patched(offset: int, value: bytes) -> bytes:
    """A request with other bytes in the ARP packet."""
    data = bytes(ask())
    return data[: 14 + offset] + value + data[14 + offset + len(value) :]


def ping(sequence: int = 0, source: str = OTHER, mac: bytes = OTHER_MAC) -> Ether:
    """Makes us send to `source`."""
    return Ether(src=mac, dst=OUR_MAC) / IP(src=source, dst=OUR_ADDRESS) / ICMP(id=1, seq=sequence)


def requests(frames: list[bytes]) -> list[tuple[bytes, str]]:
    """(link destination, address asked for) of those frames that are ARP requests."""
    seen = [Ether(frame) for frame in frames]
    return [(bytes.fromhex(f.dst.replace(":", "")), f.pdst) for f in seen if ARP in f and f[ARP].op == 1]


def sequences(frames: list[bytes]) -> list[int]:
    """Of the echo replies among those frames."""
    seen = [Ether(frame) for frame in frames]
    return [f[ICMP].seq for f in seen if ICMP in f]


def state(node: Node, address: str = OTHER) -> str | None:
    return {row[0]: row[2] for row in node.interface.neighbours}.get(address)


def test_request_is_answered_and_the_asker_learned() -> None:
    with network_node() as node:
        (reply,) = node.exchange(bytes(ask()) + bytes(18))  # padded, as hardware does
        frame = dpkt.ethernet.Ethernet(reply)
        assert (frame.dst, frame.src, len(reply)) == (HOST_MAC, OUR_MAC, 42)
        assert bytes(frame.data) == bytes(
            dpkt.arp.ARP(op=2, sha=OUR_MAC, spa=b"\x0a\x63\0\2", tha=HOST_MAC, tpa=b"\x0a\x63\0\1")
        )
        assert list(node.interface.neighbours) == [(HOST_ADDRESS, HOST_MAC.hex(":"), "reachable")]
        # The request's own slot went back as the reply: no slot for headers was ever taken.
        assert {size: free for size, _, free in node.pool.classes()}[128] == 0


def test_requests_for_others_are_not_answered_and_teach_nothing_new() -> None:
    with network_node() as node:
        assert node.exchange(ask(target="10.99.0.9")) == []
        assert len(node.interface.neighbours) == 0
        node.exchange(ask())
        assert node.exchange(ask(mac=OTHER_MAC, target="10.99.0.9")) == []  # but what is known is updated
        assert list(node.interface.neighbours) == [(HOST_ADDRESS, OTHER_MAC.hex(":"), "reachable")]
        assert node.counters()["neighbours_moved"] == 1


def test_probe_of_our_address_is_answered_and_teaches_nothing() -> None:
    with network_node() as node:
        (reply,) = node.exchange(ask(sender="0.0.0.0"))
        assert Ether(reply)[ARP].op == 2
        assert len(node.interface.neighbours) == 0


def test_unsolicited_answers_add_nothing() -> None:
    with network_node() as node:
        assert node.exchange(answer(), answer(target=OTHER), ask(sender=OTHER, target=OTHER)) == []
        assert len(node.interface.neighbours) == 0


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (ask(mac=b"\x03\0\0\0\0\1"), "arp_bad_sender"),
        (ask(mac=OUR_MAC), "arp_bad_sender"),
        (ask(sender="10.98.0.1"), "arp_bad_sender"),
        (ask(sender="10.99.0.255"), "arp_bad_sender"),
        (ask(sender="10.99.0.0"), "arp_bad_sender"),
        (ask(sender="127.0.0.1"), "arp_bad_sender"),
        (ask(sender="255.255.255.255"), "arp_bad_sender"),
        (ask(sender=OUR_ADDRESS, mac=OUR_MAC), "arp_bad_sender"),  # our own, come back
        (ask(sender="0.0.0.0", mac=b"\x03\0\0\0\0\1"), "arp_bad_sender"),
        (Ether(src=b"\x03\0\0\0\0\1", dst=BROADCAST) / ask().payload, "arp_bad_sender"),
        (bytes(ask())[:41], "arp_truncated"),
        (bytes(ask())[:14], "arp_truncated"),
        (patched(0, b"\0\6"), "arp_bad_type"),
        (patched(2, b"\x86\xdd"), "arp_bad_type"),
        (patched(4, b"\5"), "arp_bad_length"),
        (patched(5, b"\0"), "arp_bad_length"),
        (patched(6, b"\0\0"), "arp_bad_operation"),
        (patched(6, b"\0\3"), "arp_bad_operation"),
    ],
)
def test_refused(frame: Ether | bytes, counter: str) -> None:
    with network_node() as node:
        assert node.exchange(frame) == []
        assert node.counters() == {"frames_received": 1, "arp_received": 1, counter: 1}
        assert len(node.interface.neighbours) == 0


def test_packets_wait_in_order() -> None:
    with network_node() as node:
        assert requests(node.exchange(*[ping(i) for i in range(10)])) == [(BROADCAST, OTHER)]  # once, not ten times
        assert state(node) == "incomplete"
        frames = node.exchange(answer())
        assert sequences(frames) == list(range(10))
        assert {Ether(frame).dst for frame in frames} == {OTHER_MAC.hex(":")}
        assert state(node) == "reachable"
        assert sequences(node.exchange(ping(10))) == [10]


def test_a_request_from_the_neighbour_ends_the_wait_too() -> None:
    with network_node() as node:
        node.exchange(ping(5))
        frames = node.exchange(ask(sender=OTHER, mac=OTHER_MAC))
        assert sequences(frames) == [5]


def test_no_answer() -> None:
    with network_node() as node:
        assert len(requests(node.exchange(ping(0), ping(1)))) == 1
        for _ in range(3):
            node.advance(0.99)
            assert node.host.receive() == []
            node.advance(0.01)
            assert requests(node.host.receive()) == [(BROADCAST, OTHER)]
        node.advance(1)
        assert node.host.receive() == []
        assert state(node) == "failed"
        assert node.counters()["waiting_dropped_failed"] == 2
        # For a second nobody is asked again …
        assert node.exchange(ping(2)) == []
        assert node.counters()["waiting_dropped_failed"] == 3
        # … then everybody is.
        node.advance(1)
        assert requests(node.exchange(ping(3))) == [(BROADCAST, OTHER)]
        assert sequences(node.exchange(answer())) == [3]
        assert node.counters()["neighbours_failed"] == 1


def test_failed_neighbour_that_speaks_is_known_at_once() -> None:
    with network_node() as node:
        node.exchange(ping())
        node.advance(4)
        assert state(node) == "failed"
        node.exchange(ask(sender=OTHER, mac=OTHER_MAC))
        assert sequences(node.exchange(ping(1))) == [1]


def test_the_latest_packets_are_kept() -> None:
    extra = 6
    with network_node() as node:
        node.exchange(*[ping(i) for i in range(neighbours.WAITING_MAX + extra)])
        assert sequences(node.exchange(answer())) == list(range(extra, neighbours.WAITING_MAX + extra))
        assert node.counters()["waiting_dropped_full"] == extra


def test_waiting_packets_are_bounded_in_all() -> None:
    each = 40
    with network_node(capacity=1024) as node:
        for host in range(20):
            node.exchange(*[ping(i, f"10.99.0.{host + 10}") for i in range(each)])
        count = node.counters()
        # Above the limit each neighbour still keeps its latest.
        full = neighbours.WAITING_TOTAL_MAX // each
        assert sequences(node.exchange(answer("10.99.0.29"))) == [each - 1]
        assert 20 * each - count["waiting_dropped_full"] <= neighbours.WAITING_TOTAL_MAX + 20 - full
        assert sequences(node.exchange(answer("10.99.0.10"))) == list(range(each))


def test_neighbour_is_asked_again_after_a_minute() -> None:
    with network_node() as node:
        node.exchange(ask(sender=OTHER, mac=OTHER_MAC))
        node.advance(59.9)
        assert sequences(node.exchange(ping(1))) == [1]
        node.advance(0.1)
        assert state(node) == "stale"
        assert node.events.idle_time() == -1  # nothing more will wake the core on its account
        # The reply goes out at once, and with it a request to the neighbour alone.
        frames = node.exchange(ping(2))
        assert sequences(frames) == [2]
        assert requests(frames) == [(OTHER_MAC, OTHER)]
        assert state(node) == "probing"
        assert sequences(node.exchange(ping(3))) == [3]
        node.exchange(answer())
        assert state(node) == "reachable"
        node.advance(59)
        assert state(node) == "reachable"


def test_neighbour_that_went_away() -> None:
    with network_node() as node:
        node.exchange(ask(sender=OTHER, mac=OTHER_MAC))
        node.advance(60)
        assert requests(node.exchange(ping(0))) == [(OTHER_MAC, OTHER)]
        for _ in range(3):
            node.advance(1)
            assert requests(node.host.receive()) == [(OTHER_MAC, OTHER)]
        node.advance(1)
        assert node.host.receive() == []
        # It may have come back with another card: everybody is asked.
        assert requests(node.exchange(ping(1))) == [(BROADCAST, OTHER)]
        (reply,) = node.exchange(answer(mac=b"\x02\0\0\0\0\x78"))
        assert Ether(reply).dst == "02:00:00:00:00:78"


def test_neighbour_that_moved() -> None:
    with network_node() as node:
        node.exchange(ask(sender=OTHER, mac=OTHER_MAC))
        node.exchange(ask(sender=OTHER, mac=b"\x02\0\0\0\0\x78", target="10.99.0.200"))
        (reply,) = node.exchange(ping(1))
        assert Ether(reply).dst == "02:00:00:00:00:78"


def test_gateway_is_asked_for_what_is_off_the_subnet() -> None:
    with network_node(gateway="10.99.0.1") as node:
        assert requests(node.exchange(ping(1, "192.0.2.1"))) == [(BROADCAST, "10.99.0.1")]
        (reply,) = node.exchange(answer("10.99.0.1", HOST_MAC))
        assert (Ether(reply)[IP].dst, Ether(reply).dst) == ("192.0.2.1", HOST_MAC.hex(":"))


def test_no_route() -> None:
    with network_node() as node:
        assert node.exchange(ping(1, "192.0.2.1")) == []
        assert node.counters()["ipv4_no_route"] == 1


def test_table_is_bounded() -> None:
    hosts = neighbours.ENTRIES_MAX + 500
    with network_node("10.0.0.2/8", capacity=1024) as node:
        node.exchange(ask("10.0.0.1", target="10.0.0.2"))
        for start in range(0, hosts, 500):
            node.exchange(
                *[
                    bytes(ask(f"10.1.{i >> 8}.{i & 255}", OTHER_MAC, "10.0.0.2"))
                    for i in range(start, min(start + 500, hosts))
                ]
            )
        assert len(node.interface.neighbours) == neighbours.ENTRIES_MAX
        assert node.counters()["neighbours_evicted"] == 501
        # Who was evicted is found again.
        evicted = next(f"10.1.{i >> 8}.{i & 255}" for i in range(hosts) if not state(node, f"10.1.{i >> 8}.{i & 255}"))
        echo = Ether(src=OTHER_MAC, dst=OUR_MAC) / IP(src=evicted, dst="10.0.0.2") / ICMP()
        assert requests(node.exchange(echo)) == [(BROADCAST, evicted)]


def test_reachable_neighbours_outlive_a_scan() -> None:
    message = icmp.build(icmp.ECHO, 0)
    with network_node("10.0.0.2/8", capacity=1024) as node:
        node.exchange(ask("10.0.0.1", target="10.0.0.2"))
        for start in range(0, 3 * neighbours.ENTRIES_MAX, 512):
            spoofed = [(0x0A020000 + i).to_bytes(4, "big") for i in range(start, start + 512)]
            packets = [ipv4.build(source, b"\x0a\0\0\2", ipv4.ICMP, message) for source in spoofed]
            node.exchange(*[ethernet.build(OUR_MAC, OTHER_MAC, ethernet.IPV4, packet) for packet in packets])
        assert state(node, "10.0.0.1") == "reachable"
        count = node.counters()
        assert len(node.interface.neighbours) == neighbours.ENTRIES_MAX
        assert count["waiting_dropped_evicted"] == count["neighbours_evicted"] == 2 * neighbours.ENTRIES_MAX + 1


def test_ring_full() -> None:
    with network_node(capacity=4) as node:
        for _ in range(2):
            for _ in range(4):
                assert node.host.send(bytes(ask()))
            node.core.settle()
        assert node.counters()["arp_replies_sent"] == 4
        assert node.counters()["transmit_full"] == 4
        assert len(node.host.receive()) == 4


def test_waiting_packets_and_a_full_ring() -> None:
    with network_node(capacity=4) as node:
        for i in range(8):
            node.exchange(ping(i))
        assert sequences(node.exchange(answer())) == [0, 1, 2, 3]
        assert node.counters()["transmit_full"] == 4


def test_request_whose_slot_others_see() -> None:
    with network_node(wrap=lambda device: FaultDevice(device, duplicate=1.0)) as node:
        replies = node.exchange(ask())
        assert len(replies) == 4  # each direction doubles
        assert {Ether(reply)[ARP].op for reply in replies} == {2}


def test_shutting_down_with_packets_waiting() -> None:
    with network_node() as node:
        node.exchange(*[ping(i) for i in range(5)])
        assert node.pool.live_slots() >= 5
    # network_node() sees that nothing stays behind.
