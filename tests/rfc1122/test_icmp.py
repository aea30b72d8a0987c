"""RFC 1122, 3.2.2: ICMP. One test a requirement of the table in 3.5."""

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from netapp.net.config import InterfaceConfig
from netapp.net.udp_socket import Endpoint
from tests.support.datagrams import BROADCAST, Datagrams, Recorder, datagrams
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC
from tests.support.stack import OURS, THEIRS, Stack, stack
from tests.support.stack import Recorder as TcpRecorder

UNKNOWN = 253  # a protocol that nobody takes


def arrives(net: Datagrams, message: Packet, mac: bytes = OUR_MAC, **fields: Any) -> list[Packet]:
    """A packet comes; what ours answers, checksums verified."""
    header = IP(**{"src": HOST_ADDRESS, "dst": OUR_ADDRESS, **fields})
    found = [Ether(frame)[IP] for frame in net.node.exchange(Ether(src=HOST_MAC, dst=mac) / header / message)]
    for packet in found:
        again = IP(bytes(packet))
        del again.chksum, again[ICMP].chksum
        assert bytes(IP(bytes(again))) == bytes(packet), "a bad checksum"
    return found


def unreachable(net: Datagrams, code: int = 3, kind: int = 3) -> Recorder:
    """A socket whose datagram the host answers with an error."""
    handler = net.bind(7)
    handler.send_to(b"x", HOST_ADDRESS, 53)
    net.node.core.settle()
    (frame,) = net.node.host.receive()
    net.error(frame, kind, code)
    return handler


def tcp_error(s: Stack, frame: bytes, kind: int, code: int) -> None:
    """One comes about a segment of ours."""
    packet = IP(src=THEIRS, dst=OURS) / ICMP(type=kind, code=code) / frame[14 : 14 + 28]
    s.send_frame(bytes(Ether(src=s.end.mac, dst=s.wire.a.mac) / packet))


@pytest.mark.parametrize("kind", [1, 2, 6, 7, 19, 41, 42, 200, 255])
def test_3_2_2_unknown_types_are_silently_discarded(kind: int) -> None:
    with datagrams() as net:
        assert arrives(net, ICMP(type=kind) / Raw(bytes(28))) == []


@pytest.mark.parametrize("length", [0, 8, 100, 500])
def test_3_2_2_more_than_8_bytes_are_quoted(length: int) -> None:
    with datagrams() as net:
        (frame,) = net.node.exchange(net.frame(bytes(length), dport=9))
        assert len(frame[42:]) == 28 + length


def test_3_2_2_unchanged_is_what_is_quoted() -> None:
    with datagrams() as net:
        asked = net.frame(bytes(range(200)), dport=9, ttl=3, tos=0x28, id=77)
        (frame,) = net.node.exchange(asked)
        assert frame[42:] == asked[14:]


def test_3_2_2_transport_gets_what_is_its_own() -> None:
    with stack() as s:
        made = s.listen()
        s.peer().open()
        made[0].send(b"x")
        (frame,) = s.frames()
        tcp_error(s, frame, 11, 0)
        assert s.network.counters()["icmp_errors_accepted"] == 1
    with datagrams() as net:
        other, handler = net.bind(8), unreachable(net)
        assert len(handler.errors) == 1 and other.errors == []
        # The same about TCP, of the same ports.
        segment = bytes(IP(src=OUR_ADDRESS, dst=HOST_ADDRESS) / TCP(sport=7, dport=53))
        net.error(bytes(14) + segment)
        assert len(handler.errors) == 1


def test_3_2_2_tos_of_errors_is_0() -> None:
    with datagrams() as net:
        (frame,) = net.arrives(dport=9, tos=0xB8)
        assert Ether(frame)[IP].tos == 0


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_3_2_2_error_about_an_error_is_not_sent(kind: int) -> None:
    """Though its options are bad, which others are told."""
    bad = [b"\x07\x01\x04\0"]
    with datagrams() as net:
        assert len(arrives(net, ICMP(type=8), options=bad)) == 1
        assert arrives(net, ICMP(type=kind) / Raw(bytes(28)), options=bad) == []


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255", "224.0.0.1"])
def test_3_2_2_broadcast_of_ip_is_no_reason(destination: str) -> None:
    with datagrams() as net:
        for mac in (OUR_MAC, b"\xff" * 6):
            assert arrives(net, Raw(bytes(20)), mac, dst=destination, proto=UNKNOWN) == []
            assert net.arrives(dport=9, mac=mac, dst=destination) == []


def test_3_2_2_link_broadcast_is_no_reason() -> None:
    with datagrams() as net:
        for mac in (b"\xff" * 6, b"\1\0\x5e\0\0\1"):
            assert arrives(net, Raw(bytes(20)), mac, proto=UNKNOWN) == []
            assert net.arrives(dport=9, mac=mac) == []


def test_3_2_2_fragment_that_is_not_the_first_is_no_reason() -> None:
    with datagrams() as net:
        assert arrives(net, Raw(bytes(16)), proto=UNKNOWN, frag=1) == []
        assert arrives(net, Raw(bytes(16)), proto=UNKNOWN, frag=1, flags="MF") == []
        assert len(arrives(net, Raw(bytes(16)), proto=UNKNOWN, flags="MF")) == 1


@pytest.mark.parametrize(
    "source", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", BROADCAST, OUR_ADDRESS, "240.0.0.1"]
)
def test_3_2_2_source_that_is_no_host_is_told_nothing(source: str) -> None:
    with datagrams() as net:
        assert arrives(net, Raw(bytes(20)), src=source, proto=UNKNOWN) == []
        assert net.arrives(src=source, dport=9) == []


def test_3_3_8_errors_are_sent() -> None:
    """Those that a host sends: protocol and port unreachable, bad options, and the time of reassembly (3.3.2)."""
    with datagrams() as net:
        found = arrives(net, Raw(bytes(20)), proto=UNKNOWN) + arrives(net, UDP(dport=9) / b"x")
        found += arrives(net, ICMP(type=8), options=[b"\x07\x01\x04\0"])
        assert arrives(net, UDP(dport=9) / bytes(8), flags="MF") == []
        net.node.advance(59)
        net.greet()
        net.node.advance(2)
        found += [Ether(frame)[IP] for frame in net.node.host.receive() if IP in Ether(frame)]
        assert [(error[ICMP].type, error[ICMP].code) for error in found] == [(3, 2), (3, 3), (12, 0), (11, 1)]


def test_3_2_2_1_sent_about_protocols_and_ports() -> None:
    with datagrams() as net:
        (protocol,), (port,) = arrives(net, Raw(bytes(20)), proto=UNKNOWN), arrives(net, UDP(dport=9) / b"x")
        assert (protocol[ICMP].type, protocol[ICMP].code, port[ICMP].type, port[ICMP].code) == (3, 2, 3, 3)


@pytest.mark.parametrize("code", range(16))
def test_3_2_2_1_passed_up(code: int) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        handler.send_to(bytes(600), HOST_ADDRESS, 53)
        net.node.core.settle()
        (frame,) = net.node.host.receive()
        net.error(frame, 3, code, mtu=576 if code == 4 else 0)
        ((error, destination),) = handler.errors
        assert destination == Endpoint(HOST_ADDRESS, 53) and isinstance(error, OSError)


def test_3_2_2_1_acted_on_while_a_connection_opens() -> None:
    with stack() as s:
        handler = TcpRecorder()
        s.tcp.connect(THEIRS, 80, lambda: handler)
        (syn,) = s.frames()
        tcp_error(s, syn, 3, 3)
        s.core.settle()
        assert isinstance(handler.error, OSError) and s.state() == "CLOSED"


@pytest.mark.parametrize("code", range(16))
def test_3_2_2_1_hint_only(code: int) -> None:
    """Neither a connection ends by it, nor a socket."""
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        made[0].send(b"x")
        (frame,) = s.frames()
        tcp_error(s, frame, 3, code)
        assert s.state() == "ESTABLISHED"
        peer.send("A", ack=peer.ack + 1)
    with datagrams() as net:
        handler = net.bind(7)
        handler.send_to(b"x", HOST_ADDRESS, 53)
        net.node.core.settle()
        net.error(net.node.host.receive()[0], 3, code)
        assert handler.send_to(b"again", HOST_ADDRESS, 53) == 1 and len(net.sent()) == 1


def test_3_2_2_2_sent_is_none() -> None:
    """Though what came should have gone to another neighbour."""
    with datagrams(gateway=HOST_ADDRESS) as net:
        for destination in ("10.99.0.9", "192.0.2.1"):
            assert arrives(net, ICMP(type=8), dst=destination) == []


def redirect(net: Datagrams, code: int, gateway: str, source: str = HOST_ADDRESS) -> str:
    """Comes about a datagram to 192.0.2.1; the gateway that the next one takes, on the link."""
    other = b"\x02\0\0\0\0\x09"
    net.node.exchange(Ether(src=other, dst=b"\xff" * 6) / ARP(hwsrc=other, psrc="10.99.0.9", pdst=OUR_ADDRESS))
    handler = net.bind(7)
    handler.send_to(b"x", "192.0.2.1", 53)
    net.node.core.settle()
    (frame,) = net.node.host.receive()
    told = ICMP(type=5, code=code, gw=gateway) / frame[14:42]
    assert arrives(net, told, src=source) == []
    handler.send_to(b"x", "192.0.2.1", 53)
    net.node.core.settle()
    (frame,) = net.node.host.receive()
    link: str = Ether(frame).dst
    return link


@pytest.mark.parametrize("code", range(4))
def test_3_2_2_2_obeyed_is_no_redirect(code: int) -> None:
    with datagrams(gateway=HOST_ADDRESS) as net:
        assert redirect(net, code, "10.99.0.9") == HOST_MAC.hex(":")
        assert net.node.counters()["icmp_redirects"] == 1


@pytest.mark.parametrize(
    ("gateway", "source"),
    [("192.0.2.9", HOST_ADDRESS), ("10.99.0.9", "10.99.0.66"), (OUR_ADDRESS, HOST_ADDRESS), (BROADCAST, HOST_ADDRESS)],
)
def test_3_2_2_2_illegal_ones_are_silently_discarded(gateway: str, source: str) -> None:
    with datagrams(gateway=HOST_ADDRESS) as net:
        assert redirect(net, 1, gateway, source) == HOST_MAC.hex(":")


def test_3_2_2_3_passed_up_is_no_source_quench() -> None:
    with datagrams() as net:
        handler = unreachable(net, 0, 4)
        assert handler.errors == [] and net.node.counters()["icmp_source_quench"] == 1


@pytest.mark.parametrize("code", [0, 1])
def test_3_2_2_4_passed_up(code: int) -> None:
    with datagrams() as net:
        assert len(unreachable(net, code, 11).errors) == 1


@pytest.mark.parametrize("options", [b"\x07\x00\x04\0", b"\x07\x01\x04\0", b"\x07\x05\x04\0"])
def test_3_2_2_5_sent_about_bad_options(options: bytes) -> None:
    with datagrams() as net:
        (error,) = arrives(net, ICMP(type=8), options=[options])
        assert (error[ICMP].type, error[ICMP].code, error[ICMP].ptr) == (12, 0, 20)


@pytest.mark.parametrize("code", [0, 1])
def test_3_2_2_5_passed_up(code: int) -> None:
    with datagrams() as net:
        assert len(unreachable(net, code, 12).errors) == 1


def test_3_2_2_5_reported_to_the_application() -> None:
    with datagrams() as net:
        ((error, destination),) = unreachable(net, 0, 12).errors
        assert "type 12, code 0" in str(error) and destination == Endpoint(HOST_ADDRESS, 53)


def test_3_2_2_6_server() -> None:
    with datagrams() as net:
        (reply,) = arrives(net, ICMP(type=8, id=5, seq=6) / b"anybody?")
        assert (reply[ICMP].type, reply[ICMP].code, reply[ICMP].id, reply[ICMP].seq) == (0, 0, 5, 6)
        assert (reply.src, reply.dst) == (OUR_ADDRESS, HOST_ADDRESS)


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255"])
def test_3_2_2_6_broadcast_requests_are_discarded(destination: str) -> None:
    with datagrams() as net:
        assert arrives(net, ICMP(type=8), b"\xff" * 6, dst=destination) == []


def test_3_2_2_6_multicast_requests_are_discarded() -> None:
    with datagrams() as net:
        assert arrives(net, ICMP(type=8), b"\1\0\x5e\0\0\1", dst="224.0.0.1") == []


def test_3_2_2_6_source_is_the_address_that_was_asked() -> None:
    with datagrams(config=InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.9/24", "10.98.0.2/24"))) as net:
        for address in (OUR_ADDRESS, "10.99.0.9", "10.98.0.2"):
            (reply,) = arrives(net, ICMP(type=8), dst=address)
            assert reply.src == address


@pytest.mark.parametrize("length", [0, 1, 1472, 3000, 65507])
def test_3_2_2_6_data_is_the_same(length: int) -> None:
    data = bytes(i * 7 & 255 for i in range(length))
    with datagrams(mtu=65535) as net:
        (reply,) = arrives(net, ICMP(type=8) / data)
        assert bytes(reply[ICMP].payload) == data


def test_3_2_2_7_information_is_not_given() -> None:
    with datagrams() as net:
        assert arrives(net, ICMP(type=15, id=1)) == [] and arrives(net, ICMP(type=16, id=1)) == []


def test_3_2_2_8_server_there_is_none() -> None:
    with datagrams() as net:
        assert arrives(net, ICMP(type=13, id=1)) == []


@pytest.mark.parametrize(("prefix", "local"), [(24, False), (16, True), (32, False)])
def test_3_2_2_9_static_mask(prefix: int, local: bool) -> None:
    """Whether 10.99.1.1 is on the link."""
    with datagrams(f"{OUR_ADDRESS}/{prefix}", greet=False) as net:
        handler = net.bind(7)
        if not local:
            with pytest.raises(OSError, match="no route"):
                handler.send_to(b"x", "10.99.1.1", 53)
            return
        handler.send_to(b"x", "10.99.1.1", 53)
        net.node.core.settle()
        (frame,) = net.node.host.receive()
        assert Ether(frame)[ARP].pdst == "10.99.1.1"


@pytest.mark.parametrize("address", [f"{OUR_ADDRESS}/33", f"{OUR_ADDRESS}/255.0.255.0", OUR_ADDRESS, "10.99.0.255/24"])
def test_3_2_2_9_reasonable_masks_only(address: str) -> None:
    with pytest.raises(ValueError):
        InterfaceConfig(address)


def test_3_2_2_9_unauthorized_answers_are_not_given() -> None:
    with datagrams() as net:
        assert arrives(net, ICMP(type=17, id=1)) == []
        assert arrives(net, ICMP(type=17, id=1), b"\xff" * 6, dst="255.255.255.255") == []
