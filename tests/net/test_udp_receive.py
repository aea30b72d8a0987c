"""UDP: what comes in, up to the handler, by reference."""

import dpkt
import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import Ether

from netapp.drivers.device import CHECKSUM, RX_CHECKSUM, RX_USO, USO, Offload
from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint
from tests.support.datagrams import BROADCAST, Datagrams, Recorder, datagrams, echo, packet_of
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC

HOST, OURS = b"\x0a\x63\0\1", b"\x0a\x63\0\2"


def headers_taken(net: Datagrams) -> int:
    """Slots for headers that the pool ever carved."""
    return next(used + free for size, used, free in net.node.pool.classes() if size == 128)


@pytest.mark.parametrize("length", [0, 1, 8, 18, 1472])
def test_a_datagram_goes_up_whole(length: int) -> None:
    payload = bytes(i & 255 for i in range(length))
    with datagrams() as net:
        handler = net.bind(7)
        assert net.arrives(payload) == []
        assert handler.received == [payload]
        (source,) = handler.sources
        assert (source.address, source.port, source.destination) == (HOST_ADDRESS, 4000, OUR_ADDRESS)
        assert not source.broadcast and repr(source) == "<Endpoint 10.99.0.1:4000>"
        assert net.counters == {"datagrams_in": 1}


@pytest.mark.parametrize("length", [0, 1, 8, 18, 1471, 1472])
def test_echo_is_by_reference_and_headers_are_prepended_in_place(length: int) -> None:
    payload = bytes(i * 7 & 255 for i in range(length))
    with datagrams() as net:
        net.bind(7, receive=echo)
        copied = net.node.pool.copied()
        (frame,) = net.arrives(payload)
        packet = packet_of(frame)
        assert (packet.src, packet.dst, packet.ttl, packet.tos) == (OURS, HOST, 64, 0)
        assert (packet.data.sport, packet.data.dport, packet.data.data) == (7, 4000, payload)
        copied["user"] += length  # the recorder's
        assert net.node.pool.copied() == copied
        assert (headers_taken(net) > 0) == (length == 0)  # an empty datagram has no slot to prepend to


def test_large_datagrams_arrive_over_many_slots() -> None:
    payload = bytes(i * 7 & 255 for i in range(65507))
    with datagrams(mtu=65535) as net:
        handler = net.bind(7, receive=echo)
        (frame,) = net.arrives(payload)
        assert handler.received == [payload] and packet_of(frame).data.data == payload


def test_a_datagram_may_be_kept_and_sent_later() -> None:
    with datagrams() as net:
        kept: list[tuple[Chain, Endpoint]] = []
        handler = net.bind(7, receive=lambda self, datagram, source: kept.append((datagram, source)))
        net.arrives(b"first", sport=1001)
        net.arrives(b"second", sport=1002)
        # An endpoint that somebody keeps does not change.
        assert [source.port for _, source in kept] == [1001, 1002]
        for datagram, source in kept:
            assert handler.send_to(datagram, source) == 1
        del datagram, source
        assert [(p.data.dport, p.data.data) for p in net.sent()] == [(1001, b"first"), (1002, b"second")]
        kept.clear()


def test_length_of_udp_is_its_own() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        frame = bytearray(net.frame(b"hello, and padding", chksum=0))
        frame[38:40] = (8 + 5).to_bytes(2, "big")
        net.node.exchange(frame)
        assert handler.received == [b"hello"]


@pytest.mark.parametrize("length", [0, 7, 14, 65535])
def test_a_length_that_cannot_be_is_dropped(length: int) -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(b"hello", len=length, chksum=0)
        assert handler.received == [] and net.counters == {"dropped_length": 1}


def test_less_than_a_header_is_dropped() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.node.exchange(net.frame(b"")[: 14 + 20 + 7].replace(b"\0\x1c\0\x01", b"\0\x1b\0\x01", 1))
        frame = bytearray(net.frame(b"")[: 14 + 20 + 7])
        frame[16:18] = (27).to_bytes(2, "big")
        frame[24:26] = b"\0\0"
        frame[24:26] = dpkt.in_cksum(bytes(frame[14:34])).to_bytes(2, "big")
        net.node.exchange(frame)
        assert handler.received == [] and net.counters == {"dropped_short": 1}


def test_checksum() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        good = net.frame(b"hello")
        for at in range(34, len(good)):
            if at in (36, 37, 38, 39):
                continue  # another port, another length
            bad = bytearray(good)
            bad[at] ^= 0x10
            net.node.exchange(bad)
        assert handler.received == []
        assert net.counters == {"dropped_checksum": len(good) - 34 - 4}
        # None was made.
        net.arrives(b"unchecked", chksum=0)
        assert handler.received == [b"unchecked"] and net.counters["unchecked"] == 1


def test_addresses_are_covered_by_the_checksum() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        frame = bytearray(net.frame(b"hello"))
        frame[26:30] = b"\x0a\x63\0\3"
        frame[24:26] = b"\0\0"
        frame[24:26] = dpkt.in_cksum(bytes(frame[14:34])).to_bytes(2, "big")
        net.node.exchange(frame)
        assert handler.received == [] and net.counters == {"dropped_checksum": 1}


def test_a_checksum_that_the_device_vouches_for() -> None:
    with datagrams(features_a=RX_CHECKSUM, features_b=CHECKSUM) as net:
        handler = net.bind(7)
        frame = bytearray(net.frame(b"hello"))
        frame[40:42] = b"\0\1"
        net.node.host.send(frame, Offload(1, 0, 42, 0, 34, 6))
        net.node.core.settle()
        assert handler.received == [b"hello"]


def test_nobody_there() -> None:
    with datagrams() as net:
        (frame,) = net.arrives(b"hello", dport=9)
        packet = packet_of(frame)
        assert (packet.p, packet.data.type, packet.data.code) == (1, 3, 3)
        assert net.arrives(dport=9, mac=b"\xff" * 6, dst=BROADCAST) == []
        assert net.counters == {"dropped_no_socket": 2}


def test_sixteen_senders_at_once() -> None:
    """Datagrams of one turn, from many, each with its own source."""
    with datagrams() as net:
        net.bind(7, receive=echo)
        frames = [net.frame(b"%d" % i, sport=1000 + i) for i in range(16)]
        answers = [packet_of(frame).data for frame in net.node.exchange(*frames)]
        assert [(answer.dport, answer.data) for answer in answers] == [(1000 + i, b"%d" % i) for i in range(16)]


def test_reply_to_nowhere_is_counted() -> None:
    with datagrams() as net:
        net.bind(7, receive=echo)
        assert net.arrives(sport=0) == []
        assert net.arrives(src="10.98.0.1") == []  # no gateway leads back
        assert net.counters["replies_undeliverable"] == 2


def test_a_datagram_from_port_0_takes_no_reply() -> None:
    refused = []

    def answer(handler: Recorder, datagram: Chain, source: Endpoint) -> None:
        handler.reply(b"dropped, and counted")
        with pytest.raises(ValueError, match="port 0"):
            handler.send_to(b"x", source)
        refused.append(source.port)

    with datagrams() as net:
        net.bind(7, receive=answer)
        assert net.arrives(sport=0) == [] and refused == [0]


# --- datagrams of one frame, of fragments ------------------------------------------------------------------------


@pytest.mark.parametrize("features", [0, RX_CHECKSUM | RX_USO])
def test_datagrams_of_one_frame_are_cut_by_reference(features: int) -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams(features_a=features, features_b=CHECKSUM | USO) as net:
        handler = net.bind(7, receive=echo)
        data = bytearray(net.frame(payload))
        pseudo = data[26:34] + bytes([0, 17]) + (5008).to_bytes(2, "big")
        data[40:42] = (~dpkt.in_cksum(bytes(pseudo)) & 0xFFFF).to_bytes(2, "big")
        copied = net.node.pool.copied()
        assert net.node.host.send(data, Offload(1, 5, 42, 1200, 34, 6))
        replies = net.sent()
        assert [len(one) for one in handler.received] == [1200] * 4 + [200]
        assert b"".join(handler.received) == payload
        assert b"".join(packet.data.data for packet in replies) == payload
        copied["user"] += 5000  # the recorder's
        assert net.node.pool.copied() == copied
        assert net.counters.get("cut_in", 0) == (5 if features else 0)


def test_datagrams_of_one_frame_whose_slots_go_with_them_have_its_ttl() -> None:
    ttls: list[int] = []
    with datagrams(features_a=RX_CHECKSUM | RX_USO, features_b=CHECKSUM | USO) as net:

        def receive(handler: Recorder, datagram: Chain, source: Endpoint) -> None:
            datagram.clear()
            ttls.append(source.ttl)
            Chain(bytes(2000)).write(b"\xff" * 2000)  # where the frame lay, perhaps

        net.bind(7, receive=receive)
        assert net.node.host.send(net.frame(bytes(5000)), Offload(1, 5, 42, 1200, 34, 6))
        net.node.core.settle()
        assert ttls == [64] * 5


def test_a_socket_that_closes_gets_no_more_of_a_frame() -> None:
    with datagrams(features_a=RX_CHECKSUM | RX_USO, features_b=CHECKSUM | USO) as net:
        handler = net.bind(7, receive=lambda self, datagram, source: self.close())
        assert net.node.host.send(net.frame(bytes(5000)), Offload(1, 5, 42, 1200, 34, 6))
        net.node.core.settle()
        assert handler.calls == ["receive", "closed"]


def test_a_datagram_that_came_in_fragments() -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams() as net:
        handler = net.bind(7, receive=echo)
        packet = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, id=9) / UDP(sport=4000, dport=7) / payload
        answers = net.node.exchange(*(Ether(src=HOST_MAC, dst=OUR_MAC) / piece for piece in fragment(packet, 1480)))
        assert handler.received == [payload]
        assert b"".join(frame[34:] for frame in answers)[8:] == payload


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255"])
def test_broadcasts_are_for_who_asked(destination: str) -> None:
    with datagrams() as net:
        plain, asked = net.bind(7), net.bind(8, broadcast=True, receive=echo)
        assert net.arrives(mac=b"\xff" * 6, dst=destination) == []
        (frame,) = net.arrives(b"all", mac=b"\xff" * 6, dst=destination, dport=8)
        assert plain.received == [] and asked.received == [b"all"]
        assert asked.sources[0].broadcast and asked.sources[0].destination == destination
        assert packet_of(frame).src == OURS  # never a broadcast address
        assert net.counters["dropped_broadcast"] == 1


def test_what_ip_says_of_a_datagram() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(ttl=3, tos=0xB8)
        net.arrives(options=b"\x44\x08\x05\0\0\0\0\0")  # a time stamp
        plain, with_options = handler.sources
        assert (plain.ttl, plain.traffic_class) == (3, 0xB8) and plain.options is None
        assert (with_options.ttl, with_options.options) == (64, b"\x44\x08\x05\0\0\0\0\0")
