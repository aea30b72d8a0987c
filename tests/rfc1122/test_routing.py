"""RFC 1122, 3.3: routing, fragments, multihoming, broadcasts. One test a requirement of the table in 3.5."""

import errno

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from netapp.net.config import InterfaceConfig
from tests.rfc1122.wires import Wires
from tests.support.datagrams import BROADCAST, Datagrams, datagrams
from tests.support.datagrams import Recorder as Datagram
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC
from tests.support.stack import SECOND, Recorder, stack, tcp_options

FAR = "192.0.2.1"
FIRST, OTHER = "10.99.0.1", "10.99.0.8"
ROUTERS = {FIRST: HOST_MAC, OTHER: b"\x02\0\0\0\0\x08"}
LINKS = {mac.hex(":"): router for router, mac in ROUTERS.items()}


def tell(net: Datagrams, router: str) -> None:
    """The router makes itself known."""
    mac = ROUTERS[router]
    net.node.exchange(Ether(src=mac, dst=b"\xff" * 6) / ARP(hwsrc=mac, psrc=router, pdst=OUR_ADDRESS))


def send(net: Datagrams, destination: str = FAR, payload: bytes = b"x") -> list[Ether]:
    net.bind(0).send_to(payload, destination, 53)
    net.node.core.settle()
    return [Ether(frame) for frame in net.node.host.receive()]


def asked(frames: list[Ether]) -> list[str]:
    """Whom those ARP requests are after."""
    return [frame[ARP].pdst for frame in frames if ARP in frame and frame[ARP].op == 1]


def gateway(net: Datagrams, destination: str = FAR) -> str:
    """By which router a datagram goes."""
    (link,) = [frame.dst for frame in send(net, destination) if IP in frame]
    return LINKS[link]


def pieces(payload: bytes, size: int) -> list[Ether]:
    whole = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, id=9) / UDP(sport=4000, dport=7) / payload
    return [Ether(src=HOST_MAC, dst=OUR_MAC) / piece for piece in fragment(whole, size)]


def test_3_3_1_1_mask_says_what_is_local() -> None:
    with datagrams("10.99.0.2/25", gateway=FIRST) as net:
        assert asked(send(net, "10.99.0.100")) == ["10.99.0.100"]
        assert gateway(net, "10.99.0.200") == FIRST


def test_3_3_1_1_no_gateway_is_needed() -> None:
    with datagrams() as net:
        assert [frame[IP].dst for frame in send(net, HOST_ADDRESS)] == [HOST_ADDRESS]
        with pytest.raises(OSError, match="no route"):
            send(net, FAR)


def test_3_3_1_2_cache_of_next_hops() -> None:
    """A socket's way is looked up once, and again when the routes change."""
    with datagrams(gateway=FIRST) as net:
        tell(net, OTHER)
        peer = net.connect(53, FAR)
        given = []
        for change in (net.node.network.add_route, net.node.network.remove_route, None):
            for _ in range(2):
                peer.send(b"x")
            net.node.core.settle()
            given.append([LINKS[Ether(frame).dst] for frame in net.node.host.receive()])
            if change is not None:
                change("192.0.2.0/24", OTHER)
        assert given == [[FIRST] * 2, [OTHER] * 2, [FIRST] * 2]


def test_3_3_1_2_default_gateway() -> None:
    with datagrams(gateway=FIRST) as net:
        assert gateway(net, FAR) == gateway(net, "203.0.113.5") == FIRST


def test_3_3_1_2_several_default_gateways() -> None:
    with datagrams(gateway=FIRST) as net:
        net.node.network.add_route("default", OTHER)
        tell(net, OTHER)
        assert gateway(net) == FIRST
        net.node.network.remove_route("default", FIRST)
        assert gateway(net) == OTHER


def test_3_3_1_2_static_routes() -> None:
    with datagrams(gateway=FIRST) as net:
        tell(net, OTHER)
        net.node.network.add_route("192.0.2.0/24", OTHER)
        assert (gateway(net, FAR), gateway(net, "192.0.3.1")) == (OTHER, FIRST)


def test_3_3_1_3_host_routes() -> None:
    with datagrams(gateway=FIRST) as net:
        tell(net, OTHER)
        net.node.network.add_route(f"{FAR}/32", OTHER)
        assert (gateway(net, FAR), gateway(net, "192.0.2.2")) == (OTHER, FIRST)


def dies(net: Datagrams) -> None:
    """The first gateway answers no more, and is used."""
    net.node.network.add_route("default", OTHER)
    tell(net, OTHER)
    assert gateway(net) == FIRST
    net.node.advance(60)
    assert asked(send(net)) == [FIRST]
    for _ in range(4):
        net.node.advance(1)
        tell(net, OTHER)


def test_3_3_1_4_failure_of_a_gateway_is_noticed() -> None:
    with datagrams(gateway=FIRST) as net:
        dies(net)
        states = {address: state for address, _, state in net.node.interface.neighbours}
        assert states[FIRST] == "failed"


def test_3_3_1_4_forever_is_not_how_long_a_route_is_good() -> None:
    """Without any hint, after a minute, who is used is asked whether it is there."""
    with datagrams(gateway=FIRST) as net:
        assert asked(send(net)) == []
        net.node.advance(60)
        assert asked(send(net)) == [FIRST]


def test_3_3_1_4_continuously_is_nobody_pinged() -> None:
    with datagrams(gateway=FIRST) as net:
        send(net)
        net.node.host.receive()
        for _ in range(10):
            net.node.advance(60)
            assert net.node.host.receive() == []


def test_3_3_1_4_traffic_is_what_has_it_asked() -> None:
    with datagrams(gateway=FIRST) as net:
        net.node.advance(600)
        assert net.node.host.receive() == []
        assert asked(send(net)) == [FIRST]


def test_3_3_1_4_no_indication_is_what_has_it_asked() -> None:
    """As long as it speaks itself it is not asked, however much is sent to it."""
    with datagrams(gateway=FIRST) as net:
        for _ in range(10):
            net.node.advance(30)
            tell(net, FIRST)
            assert asked(send(net)) == []


def test_3_3_1_4_advice_of_a_transport() -> None:
    """TCP, whose third retransmission had no answer (R1), has the next hop asked; nothing else would for a minute."""
    with stack() as s:
        handler = Recorder()
        s.tcp.connect(HOST_ADDRESS, 80, lambda: handler)
        s.frames()
        before = s.network.counters()["arp_requests_sent"]
        s.advance(20 * SECOND)
        s.frames()
        assert s.network.counters()["arp_requests_sent"] > before


def test_3_3_1_5_another_gateway_takes_over() -> None:
    with datagrams(gateway=FIRST) as net:
        dies(net)
        assert gateway(net) == OTHER


def test_3_3_1_6_manual_configuration() -> None:
    config = InterfaceConfig("10.98.0.2/16", gateway="10.98.7.1", announce=False)
    with datagrams(config=config, greet=False) as net:
        assert net.node.network.route_table() == ["10.98.0.0/16 dev wire-a", "0.0.0.0/0 via 10.98.7.1 dev wire-a"]
        assert asked(send(net, "10.98.200.1")) == ["10.98.200.1"]
        assert asked(send(net, FAR)) == ["10.98.7.1"]


def test_3_3_2_reassembly() -> None:
    payload = bytes(i * 7 & 255 for i in range(4000))
    with datagrams() as net:
        handler = net.bind(7)
        frames = pieces(payload, 1480)
        assert net.node.exchange(*frames[1:], frames[0], frames[0]) == [] and handler.received == [payload]


def test_3_3_2_576_bytes() -> None:
    """With the header, in the smallest pieces."""
    payload = bytes(range(256)) * 2 + bytes(36)
    with datagrams() as net:
        handler = net.bind(7)
        net.node.exchange(*pieces(payload, 8))
        assert handler.received == [payload] and len(payload) == 576 - 28


def test_3_3_2_emtu_r_is_what_ip_can_say() -> None:
    payload = bytes(i * 7 & 255 for i in range(65507))
    with datagrams() as net:
        handler = net.bind(7)
        net.node.exchange(*pieces(payload, 1480))
        assert handler.received == [payload]


def test_3_3_2_mms_r_is_what_tcp_offers_at_most() -> None:
    """The MSS sent is at most MMS_R - 20 (RFC 9293, MUST-67), on the longest link, too."""
    with stack(mtu=65535) as s:
        s.echo()
        peer = s.peer().open()
        assert int.from_bytes(tcp_options(peer.syn)[2], "big") <= 65515 - 20


def test_3_3_2_time_exceeded() -> None:
    with datagrams() as net:
        net.bind(7)
        frames = pieces(bytes(100), 64)
        net.node.exchange(frames[0])
        net.node.advance(50)
        net.greet()
        net.node.advance(11)
        (told,) = [Ether(frame) for frame in net.node.host.receive()]
        assert (told[ICMP].type, told[ICMP].code) == (11, 1)
        assert bytes(told[ICMP].payload)[:28] == bytes(frames[0])[14:42]
        # Without the first fragment nobody is.
        net.node.exchange(frames[1])
        net.node.advance(50)
        net.greet()
        net.node.advance(11)
        assert net.node.host.receive() == []


@pytest.mark.parametrize("ttl", [1, 255])
def test_3_3_2_fixed_time(ttl: int) -> None:
    """Whatever the time to live: 60 s."""
    for seconds, expected in ((59, 1), (61, 0)):
        with datagrams() as net:
            handler = net.bind(7)
            frames = pieces(bytes(100), 64)
            for frame in frames:
                frame[IP].ttl = ttl
            net.node.exchange(frames[0])
            net.node.advance(seconds)
            net.node.exchange(frames[1])
            assert len(handler.received) == expected


def test_3_3_3_mms_s_is_learned_by_transports() -> None:
    for mtu in (576, 1500, 9000):
        with datagrams(mtu=mtu) as net:
            peer = net.connect(53)
            assert peer.socket is not None and peer.socket.path_mtu == mtu
    with stack(mtu=1000) as s:
        made = s.listen()
        other = s.peer().open(mss=1460)
        made[0].send(bytes(3000))
        assert max(len(segment.data) for segment in other.get()) == 1000 - 40


def test_3_3_3_fragmentation() -> None:
    payload = bytes(i * 7 & 255 for i in range(3000))
    with datagrams() as net:
        frames = [frame for frame in send(net, HOST_ADDRESS, payload) if IP in frame]
        assert len(frames) == 3 and all(frame[IP].len <= 1500 for frame in frames)
        assert len({frame[IP].id for frame in frames}) == 1
        whole = b"".join(bytes(frame[IP].payload)[: frame[IP].len - 20] for frame in frames)
        assert whole[8:] == payload and [frame[IP].frag * 8 for frame in frames] == [0, 1480, 2960]


def test_3_3_3_unfragmented_is_nothing_longer() -> None:
    with datagrams() as net:
        handler = Datagram()
        net.udp.bind(7, handler, dont_fragment=True)
        assert handler.send_to(bytes(1472), HOST_ADDRESS, 53) == 1
        with pytest.raises(OSError, match="the path takes 1472") as failed:
            handler.send_to(bytes(1473), HOST_ADDRESS, 53)
        assert failed.value.errno == errno.EMSGSIZE and len(net.sent()) == 1


def test_3_3_4_2_reply_is_from_the_address_that_was_asked() -> None:
    config = InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.9/24", "10.98.0.2/24"))
    with datagrams(config=config) as net:
        net.bind(7, receive=lambda self, datagram, source: self.reply(datagram))
        for address in (OUR_ADDRESS, "10.99.0.9", "10.98.0.2"):
            (frame,) = net.arrives(dst=address)
            assert Ether(frame)[IP].src == address


def test_3_3_4_2_choice_of_the_local_address() -> None:
    config = InterfaceConfig(f"{OUR_ADDRESS}/24", secondary=("10.99.0.9/24",))
    with datagrams(config=config) as net:
        net.bind(7, address="10.99.0.9").send_to(b"x", HOST_ADDRESS, 53)
        assert [packet.src for packet in net.sent()] == [bytes([10, 99, 0, 9])]
    with stack(interface=config) as s:
        s.tcp.connect(HOST_ADDRESS, 80, Recorder, local_address="10.99.0.9")
        (frame,) = [frame for frame in map(Ether, s.frames()) if TCP in frame]
        assert frame[IP].src == "10.99.0.9"


def test_3_3_4_2_in_by_its_interface_only() -> None:
    with Wires() as wires:
        assert wires.ping(0, "10.98.0.2", "10.99.0.1") == [] and wires.ping(1, "10.99.0.2", "10.98.0.1") == []
        assert wires.node.counters()["NetworkManager"]["ipv4_other_interface"] == 2


def test_3_3_4_2_out_by_its_interface_only() -> None:
    """The gateway is on the first wire: who asks the second address from afar gets no answer, on neither."""
    with Wires() as wires:
        assert wires.ping(0, "10.99.0.2", FAR) == [f"10.99.0.2 > {FAR}"]
        assert wires.ping(1, "10.98.0.2", FAR) == [] and wires.received(0) == []


def test_3_3_5_told_is_nobody() -> None:
    with datagrams(gateway=FIRST) as net:
        for destination in (OUR_ADDRESS, FAR):
            assert net.arrives(dst=destination, options=[b"\x83\x07\x04\xc0\0\2\1\0"]) == []


def test_3_3_6_zero_is_not_received() -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        for destination in ("10.99.0.0", "0.0.0.0"):
            assert net.arrives(dst=destination, mac=b"\xff" * 6) == []
        assert handler.received == []


def test_3_3_6_default_form_has_ones() -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        for destination in (BROADCAST, "255.255.255.255"):
            handler.send_to(b"x", destination, 53)
        net.node.core.settle()
        frames = [Ether(frame) for frame in net.node.host.receive()]
        assert [(frame.dst, frame[IP].dst) for frame in frames] == [
            ("ff:ff:ff:ff:ff:ff", BROADCAST),
            ("ff:ff:ff:ff:ff:ff", "255.255.255.255"),
        ]
        with pytest.raises(OSError, match="no route"):
            handler.send_to(b"x", "10.99.0.0", 53)


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255"])
def test_3_3_6_formats_that_are_recognized(destination: str) -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        net.arrives(dst=destination, mac=b"\xff" * 6)
        assert [source.broadcast for source in handler.sources] == [True]


def test_3_3_6_link_broadcasts_are_broadcasts_of_ip() -> None:
    """What goes to everybody on the link has such a destination, and what has none goes to one."""
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        for destination in (HOST_ADDRESS, BROADCAST, "255.255.255.255"):
            handler.send_to(b"x", destination, 53)
        net.node.core.settle()
        frames = [Ether(frame) for frame in net.node.host.receive()]
        everybody = [frame.dst == "ff:ff:ff:ff:ff:ff" for frame in frames]
        assert everybody == [frame[IP].dst.endswith("255") for frame in frames] == [False, True, True]


def test_3_3_6_link_only_is_silently_discarded() -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        for mac in (b"\xff" * 6, b"\1\0\x5e\0\0\1"):
            assert net.arrives(mac=mac) == [] and net.arrives(mac=mac, dport=9) == []
        assert handler.received == [] and net.node.counters()["ipv4_link_broadcast"] == 4


def test_3_3_7_all_hosts_is_joined() -> None:
    with datagrams() as net:
        handler = net.bind(7, broadcast=True)
        net.arrives(b"hosts", dst="224.0.0.1", mac=b"\1\0\x5e\0\0\1")
        net.arrives(b"others", dst="224.0.0.251", mac=b"\1\0\x5e\0\0\xfb")
        assert handler.received == [b"hosts"]
