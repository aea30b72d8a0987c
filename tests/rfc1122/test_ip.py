"""RFC 1122, 3.1, 3.2.1 and 3.4: IP. One test a requirement of the table in 3.5; those of 3.3 are in test_routing.py."""

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.l2 import Dot1Q, Ether

from netapp.net.config import InterfaceConfig
from netapp.net.udp_socket import Endpoint
from netapp.tcp.config import TcpConfig
from tests.rfc1122.wires import Wires
from tests.support.datagrams import BROADCAST, Datagrams, Recorder, datagrams
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC
from tests.support.stack import Recorder as TcpRecorder
from tests.support.stack import stack

OTHER = "10.99.0.9"
STREAM, SECURITY = b"\x88\x04\x12\x34", b"\x82\x0b" + bytes(9)
RECORD_ROUTE, TIMESTAMP = b"\x07\x07\x04\0\0\0\0", b"\x44\x08\x05\0\0\0\0\0"


def echo(net: Datagrams) -> Recorder:
    return net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))


def two_addresses() -> InterfaceConfig:
    return InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=(f"{OTHER}/24",))


def changed(frame: bytes, at: int, value: bytes) -> bytes:
    """Other bytes in the IP header, its checksum right again."""
    packet = IP(frame[14 : 14 + at] + value + frame[14 + at + len(value) :])
    del packet.chksum
    return frame[:14] + bytes(packet)


def test_3_1_ip_icmp() -> None:
    with datagrams() as net:
        echo(net)
        (datagram,), (error,) = net.arrives(b"x"), net.arrives(dport=9)
        (reply,) = net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS) / ICMP())
        assert UDP in Ether(datagram) and Ether(error)[ICMP].type == 3 and Ether(reply)[ICMP].type == 0


def test_3_1_local_multihoming() -> None:
    with Wires() as wires:
        assert wires.ping(0, "10.99.0.2", "10.99.0.1") == ["10.99.0.2 > 10.99.0.1"]
        assert wires.ping(1, "10.98.0.2", "10.98.0.1") == ["10.98.0.2 > 10.98.0.1"]


def test_3_1_gateway_default_is_none() -> None:
    with datagrams(gateway=HOST_ADDRESS) as net:
        for destination in (OTHER, "192.0.2.1"):
            assert net.arrives(dst=destination) == []
        assert net.node.counters()["ipv4_not_ours"] == 2


def test_3_1_gateway_automatic_is_none() -> None:
    with Wires() as wires:
        assert wires.ping(0, "10.98.0.1", "10.99.0.1") == [] and wires.ping(1, "10.99.0.1", "10.98.0.1") == []
        assert wires.received(0) == wires.received(1) == []


def test_3_1_count_of_what_is_discarded() -> None:
    with datagrams() as net:
        net.arrives(dst=OTHER)
        net.arrives(src="127.0.0.1")
        net.arrives(proto=253)
        counted = net.node.counters()
        names = ("ipv4_not_ours", "ipv4_bad_source", "ipv4_unknown_protocol")
        assert [counted[name] for name in names] == [1, 1, 1]


@pytest.mark.parametrize("version", [0, 3, 5, 6, 15])
def test_3_2_1_1_version(version: int) -> None:
    with datagrams() as net:
        handler = echo(net)
        assert net.node.exchange(changed(net.frame(), 0, bytes([version << 4 | 5]))) == [] and handler.received == []


@pytest.mark.parametrize("flip", [0x0001, 0x8000, 0xFFFE])
def test_3_2_1_2_checksum(flip: int) -> None:
    with datagrams() as net:
        handler = echo(net)
        frame = net.frame()
        wrong = int.from_bytes(frame[24:26], "big") ^ flip
        assert net.node.exchange(frame[:24] + wrong.to_bytes(2, "big") + frame[26:]) == [] and handler.received == []


def test_3_2_1_3_subnet() -> None:
    """RFC 950, or any prefix: a host of the same class A network on another subnet is the gateway's affair."""
    with datagrams(f"{OUR_ADDRESS}/26", gateway=HOST_ADDRESS) as net:
        echo(net)
        (far,) = net.arrives(src="10.99.0.65")
        assert Ether(far).dst == HOST_MAC.hex(":")
        (near,) = net.arrives(src="10.99.0.62")
        assert near[12:14] == b"\x08\x06"  # is asked for
        assert net.arrives(dst="10.99.0.63", mac=b"\xff" * 6) == []
        assert "ipv4_not_ours" not in net.node.counters()


def test_3_2_1_3_own_source() -> None:
    with datagrams(config=two_addresses()) as net:
        echo(net)
        for address in (OUR_ADDRESS, OTHER):
            (frame,) = net.arrives(dst=address)
            assert Ether(frame)[IP].src == address
        with pytest.raises(OSError, match="not an address of this node"):
            net.bind(8, address=HOST_ADDRESS)


@pytest.mark.parametrize("destination", [OTHER, "192.0.2.1", "127.0.0.1", "0.0.0.0", "224.0.0.251", "10.98.0.255"])
def test_3_2_1_3_destination_of_somebody_else(destination: str) -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        assert net.arrives(dst=destination) == [] and net.arrives(dst=destination, dport=9) == []
        assert handler.received == []


@pytest.mark.parametrize(
    "source", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", BROADCAST, OUR_ADDRESS]
)
def test_3_2_1_3_source_that_is_no_host(source: str) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        assert net.arrives(src=source) == [] and net.arrives(src=source, dport=9) == [] and handler.received == []


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255"])
def test_3_2_1_3_broadcast_source_is_never_sent(destination: str) -> None:
    """Not in answer to a broadcast, and not at an application's wish."""
    with datagrams() as net:
        net.bind(7, broadcast=True, receive=lambda self, datagram, source: self.reply(datagram))
        (frame,) = net.arrives(dst=destination, mac=b"\xff" * 6)
        assert Ether(frame)[IP].src == OUR_ADDRESS
        with pytest.raises(OSError, match="not an address of this node"):
            net.bind(8, address=destination)


@pytest.mark.parametrize("backwards", [False, True])
def test_3_2_1_4_reassembly(backwards: bool) -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams() as net:
        handler = net.bind(7)
        whole = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, id=5) / UDP(sport=4000, dport=7) / payload
        pieces = fragment(whole, 1000)
        for piece in reversed(pieces) if backwards else pieces:
            assert net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / piece) == []
        assert handler.received == [payload]


def test_3_2_1_6_set_by_a_transport() -> None:
    with datagrams() as net:
        net.bind(7, traffic_class=0x28).send_to(b"x", HOST_ADDRESS, 53)
        assert [packet.tos for packet in net.sent()] == [0x28]
    with stack() as s:
        s.tcp.connect(HOST_ADDRESS, 80, TcpRecorder, traffic_class=0x28)
        assert [frame[15] for frame in s.frames()] == [0x28]


def test_3_2_1_6_passed_up() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(tos=0xFF)
        net.arrives(tos=0)
        assert [source.traffic_class for source in handler.sources] == [0xFF, 0]


def test_3_2_1_6_rfc795_is_not_used() -> None:
    """The link hears nothing of it: the priority in a VLAN's tag stays 0."""
    with Wires((InterfaceConfig(f"{OUR_ADDRESS}/24", vlan=5, announce=False),)) as wires:
        wires.greet(0, HOST_ADDRESS, Dot1Q(vlan=5))
        asked = Dot1Q(vlan=5, prio=7) / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, tos=0xE0) / ICMP()
        (reply,) = wires.exchange(0, Ether(src=HOST_MAC, dst=OUR_MAC) / asked)
        assert reply[14:16] == b"\0\5"


def test_3_2_1_7_zero_is_not_sent() -> None:
    with datagrams() as net:
        with pytest.raises(ValueError, match="TTL"):
            net.bind(7, ttl=0)
        handler = net.bind(7)
        with pytest.raises(ValueError, match="TTL"):
            handler.socket.set_marks(0, 0)
    with pytest.raises(ValueError):
        TcpConfig(ttl=0)
    # Nor in an answer to what came with 0.
    with datagrams() as net:
        (frame,) = net.arrives(dport=9, ttl=0)
        assert Ether(frame)[IP].ttl > 0


@pytest.mark.parametrize("ttl", [0, 1])
def test_3_2_1_7_received_is_taken(ttl: int) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(b"far", ttl=ttl)
        assert handler.received == [b"far"]


@pytest.mark.parametrize("ttl", [1, 64, 255])
def test_3_2_1_7_set_by_a_transport(ttl: int) -> None:
    with datagrams() as net:
        net.bind(7, ttl=ttl).send_to(b"x", HOST_ADDRESS, 53)
        assert [packet.ttl for packet in net.sent()] == [ttl]


def test_3_2_1_7_configurable_where_it_is_fixed() -> None:
    """TCP's."""
    with stack(TcpConfig(ttl=9)) as s:
        s.echo()
        s.send_frame(s.peer().frame("S"))
        (frame,) = s.frames()
        assert frame[22] == 9


@pytest.mark.parametrize("options", [TIMESTAMP, RECORD_ROUTE + b"\0", STREAM, b"\xde\x04\1\2"])
def test_3_2_1_8_passed_up(options: bytes) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(options=options)
        assert [source.options for source in handler.sources] == [options]


@pytest.mark.parametrize("kind", [0x1E, 0x5E, 0x9E, 0xDE, 0xFF])
def test_3_2_1_8_unknown_are_ignored(kind: int) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        assert net.arrives(b"x", options=bytes([kind, 4, 1, 2])) == []
        assert handler.received == [b"x"]


def ignored(options: bytes) -> None:
    """A datagram with them is taken, and answered without any."""
    with datagrams() as net:
        echo(net)
        (frame,) = net.arrives(b"x", options=options)
        assert frame[14] == 0x45


def test_3_2_1_8a_security_is_ignored() -> None:
    ignored(SECURITY + b"\0")


def test_3_2_1_8b_sent_is_none() -> None:
    with datagrams() as net:
        net.bind(7).send_to(b"x", HOST_ADDRESS, 53)
        assert [packet.hl for packet in net.sent()] == [5]


def test_3_2_1_8b_ignored() -> None:
    ignored(STREAM)


def source_route(kind: int, pointer: int) -> list[bytes]:
    return [bytes([kind, 7, pointer]) + b"\xc0\0\2\1\0"]


@pytest.mark.parametrize("kind", [0x83, 0x89])
def test_3_2_1_8c_passed_up_is_none(kind: int) -> None:
    """Whether it ends here or not: dropped."""
    with datagrams() as net:
        handler = net.bind(7)
        for pointer in (4, 8):
            assert net.arrives(options=source_route(kind, pointer)) == []
        assert handler.received == [] and net.node.counters()["ipv4_source_routed"] == 2


def test_3_2_1_8c_several_are_not_sent() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(options=source_route(0x83, 8))
        handler.send_to(b"x", HOST_ADDRESS, 53)
        assert [packet.hl for packet in net.sent()] == [5]


def test_3_2_1_8d_record_route_is_ignored() -> None:
    ignored(RECORD_ROUTE + b"\0")


def test_3_2_1_8e_timestamp_is_ignored() -> None:
    ignored(TIMESTAMP)


def test_3_4_options_reach_the_transport() -> None:
    """Also those of a datagram in fragments: of the first one."""
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(options=TIMESTAMP)
        udp = bytes((IP(src=HOST_ADDRESS, dst=OUR_ADDRESS) / UDP(sport=1, dport=7) / bytes(16))[UDP])
        for at, options in ((0, [TIMESTAMP]), (16, [])):
            header = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, proto=17, id=3, frag=at // 8, flags=not at, options=options)
            net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / header / udp[at : at + 16 if at == 0 else None])
        assert [source.options for source in handler.sources] == [TIMESTAMP, TIMESTAMP]


def test_3_4_icmp_sent_at_a_transports_wish() -> None:
    """Port unreachable is UDP's."""
    with datagrams() as net:
        (frame,) = net.arrives(dport=9)
        assert (Ether(frame)[ICMP].type, Ether(frame)[ICMP].code) == (3, 3)


@pytest.mark.parametrize(("kind", "code"), [(3, 0), (3, 3), (11, 0), (11, 1), (12, 0)])
def test_3_4_icmp_reaches_the_transport(kind: int, code: int) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        handler.send_to(b"x", HOST_ADDRESS, 53)
        net.node.core.settle()
        net.error(net.node.host.receive()[0], kind, code)
        assert len(handler.errors) == 1


def test_3_4_quoted_is_enough_to_find_the_socket() -> None:
    with datagrams() as net:
        first, second = net.connect(53), net.connect(54)
        for handler in (first, second):
            handler.send(b"x")
        net.node.core.settle()
        _, frame = net.node.host.receive()
        net.error(frame, quoted=28)
        assert first.errors == [] and [to for _, to in second.errors] == [Endpoint(HOST_ADDRESS, 54)]
