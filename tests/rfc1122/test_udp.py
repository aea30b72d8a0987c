"""RFC 1122, 4.1: UDP. One test a requirement of the table in 4.1.5."""

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from netapp.net.config import InterfaceConfig
from netapp.net.udp_socket import Endpoint
from tests.support.datagrams import BROADCAST, datagrams, packet_of
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC


def test_4_1_3_1_port_unreachable_is_sent() -> None:
    with datagrams() as net:
        asked = net.frame(b"is there anybody?", dport=9)
        (frame,) = net.node.exchange(asked)
        answer = Ether(frame)
        assert (answer[IP].src, answer[IP].dst) == (OUR_ADDRESS, HOST_ADDRESS)
        assert (answer[ICMP].type, answer[ICMP].code) == (3, 3)
        # What it is about, from the IP header on (3.2.2).
        assert bytes(answer[ICMP].payload)[:28] == asked[14:42]


def test_4_1_3_1_port_unreachable_is_not_sent_about_a_broadcast() -> None:
    with datagrams() as net:
        net.bind(7)
        for port in (7, 9):
            for destination in (BROADCAST, "255.255.255.255"):
                assert net.arrives(dport=port, mac=b"\xff" * 6, dst=destination) == []


def test_4_1_3_2_received_options_are_passed_up() -> None:
    options = b"\x44\x08\x05\0\0\0\0\0"  # a time stamp
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(options=options)
        net.arrives()
        assert [source.options for source in handler.sources] == [options, None]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
def test_4_1_3_3_errors_that_say_unreachable(code: int) -> None:
    with datagrams() as net:
        handler, peer = net.bind(7), net.connect(53)
        handler.send_to(b"x", HOST_ADDRESS, 53)
        peer.send(b"x")
        net.node.core.settle()
        for frame in net.node.host.receive():
            net.error(frame, 3, code)
        assert (len(handler.errors), len(peer.errors)) == (1, 1)


@pytest.mark.parametrize(("type", "code"), [(11, 0), (11, 1), (12, 0)])
def test_4_1_3_3_errors_that_say_something_else(type: int, code: int) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        handler.send_to(b"x", HOST_ADDRESS, 53)
        net.node.core.settle()
        (frame,) = net.node.host.receive()
        net.error(frame, type, code)
        ((error, destination),) = handler.errors
        assert destination == Endpoint(HOST_ADDRESS, 53) and f"type {type}, code {code}" in str(error)


def test_4_1_3_4_checksum_is_made_and_checked() -> None:
    with datagrams() as net:
        handler = net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))
        for payload in (b"", b"odd", b"even", b"\xff" * 7):
            (frame,) = net.arrives(payload)
            packet_of(frame)  # which verifies it
            good = net.frame(payload)
            assert net.node.exchange(good[:40] + bytes([good[40] ^ 1]) + good[41:]) == []
        assert len(handler.received) == 4 and net.counters["dropped_checksum"] == 4


def test_4_1_3_4_default_is_to_make_them() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        for length in (0, 1, 2, 1472):
            handler.send_to(bytes(length), HOST_ADDRESS, 53)
        packets = net.sent()  # which verifies them
        assert len(packets) == 4 and all(packet.data.sum for packet in packets)


def test_4_1_3_4_bad_is_silently_discarded() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        assert net.arrives(chksum=0x1234) == []
        assert handler.received == [] and net.counters == {"dropped_checksum": 1}


def test_4_1_3_4_required_they_are_not() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(b"unchecked", chksum=0)
        assert handler.received == [b"unchecked"]


@pytest.mark.parametrize("destination", [OUR_ADDRESS, BROADCAST, "255.255.255.255"])
def test_4_1_3_5_destination_is_passed_up(destination: str) -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        net.arrives(dst=destination, mac=OUR_MAC if destination == OUR_ADDRESS else b"\xff" * 6)
        assert [source.destination for source in handler.sources] == [destination]


def two_addresses() -> InterfaceConfig:
    return InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.9/24",))


def test_4_1_3_5_local_address_by_choice() -> None:
    with datagrams(config=two_addresses()) as net:
        first, second = net.bind(7, address=OUR_ADDRESS), net.bind(7, address="10.99.0.9")
        peer = net.connect(53, local_address="10.99.0.9")
        first.send_to(b"1", HOST_ADDRESS, 53)
        second.send_to(b"2", HOST_ADDRESS, 53)
        peer.send(b"3")
        assert [packet.src[3] for packet in net.sent()] == [2, 9, 9]
        net.arrives(b"first")
        net.arrives(b"second", dst="10.99.0.9")
        assert (first.received, second.received) == ([b"first"], [b"second"])


def test_4_1_3_5_any_local_address() -> None:
    with datagrams(config=two_addresses()) as net:
        handler = net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))
        # A reply leaves from the address that was asked.
        for address in (OUR_ADDRESS, "10.99.0.9"):
            (frame,) = net.arrives(dst=address)
            assert Ether(frame)[IP].src == address
        handler.send_to(b"x", HOST_ADDRESS, 53)
        assert net.sent()[0].src[3] == 2


def test_4_1_3_5_told_which_address_is_used() -> None:
    with datagrams() as net:
        peer = net.connect(53)
        assert peer.socket is not None and peer.socket.local[0] == OUR_ADDRESS


@pytest.mark.parametrize(
    "source", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", BROADCAST, OUR_ADDRESS]
)
def test_4_1_3_6_source_that_is_no_host_is_silently_discarded(source: str) -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        assert net.arrives(src=source) == [] and net.arrives(src=source, dport=9) == []
        assert handler.received == []


@pytest.mark.parametrize("address", [BROADCAST, "255.255.255.255", HOST_ADDRESS, "224.0.0.1", "127.0.0.1"])
def test_4_1_3_6_own_addresses_only_are_sent_from(address: str) -> None:
    with datagrams() as net:
        with pytest.raises(OSError, match="not an address of this node"):
            net.bind(7, address=address)
        # Nor when a broadcast is answered.
        net.bind(8, broadcast=True, receive=lambda self, datagram, source: self.reply(datagram))
        (frame,) = net.arrives(dport=8, mac=b"\xff" * 6, dst=BROADCAST)
        assert Ether(frame)[IP].src == OUR_ADDRESS


def test_4_1_4_marks_are_set_by_the_application() -> None:
    with datagrams() as net:
        net.bind(7, ttl=5, traffic_class=0x10).send_to(b"x", HOST_ADDRESS, 53)
        (packet,) = net.sent()
        assert (packet.ttl, packet.tos) == (5, 0x10)


def test_4_1_4_tos_that_came_is_passed_up() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(tos=0x28)
        net.arrives(b"", tos=0x50)  # whose slot is gone by then
        assert [source.traffic_class for source in handler.sources] == [0x28, 0x50]


def test_4_1_4_ip_sends_limited_and_directed_broadcasts() -> None:
    """3.3.6, which 3.4's interface to IP includes."""
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        for destination in (BROADCAST, "255.255.255.255"):
            handler.send_to(b"all", destination, 67)
        net.node.core.settle()
        for frame, destination in zip(net.node.host.receive(), (BROADCAST, "255.255.255.255"), strict=True):
            assert dpkt.ethernet.Ethernet(frame).dst == b"\xff" * 6
            assert packet_of(frame).dst == bytes(map(int, destination.split(".")))


def test_4_1_4_ip_cuts_and_joins_a_large_datagram() -> None:
    """3.3.2 and 3.3.3: reassembly and fragmentation, which the interface to IP offers."""
    payload = bytes(i * 7 & 255 for i in range(20_000))
    with datagrams() as net:
        net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))
        whole = bytes(UDP(sport=4000, dport=7) / payload)
        header = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS)
        checksummed = bytes((header / UDP(sport=4000, dport=7) / payload)[UDP])
        pieces = [
            Ether(src=HOST_MAC, dst=OUR_MAC)
            / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, id=5, proto=17, frag=at // 8, flags=at + 1480 < len(whole))
            / checksummed[at : at + 1480]
            for at in range(0, len(whole), 1480)
        ]
        answer = b"".join(frame[34:] for frame in net.node.exchange(*pieces))
        assert answer[8:] == payload
