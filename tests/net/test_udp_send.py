"""UDP: what goes out: a datagram, segments of one, fragments; a full ring."""

import errno

import dpkt
import pytest
from scapy.layers.l2 import ARP, Ether

from netapp.drivers.device import CHECKSUM, RX_CHECKSUM, RX_USO, USO, Offload
from netapp.ebb.core import UDP as UDP_ID
from netapp.event.virtual import VirtualEntropy
from netapp.iobuf.chain import Chain
from netapp.net.udp import UdpManager
from netapp.net.udp_socket import Endpoint
from tests.support.datagrams import BROADCAST, Recorder, datagrams, packet_of
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC

HOST, OURS = b"\x0a\x63\0\1", b"\x0a\x63\0\2"


@pytest.mark.parametrize("features", [0, CHECKSUM])
@pytest.mark.parametrize("length", [0, 1, 256, 257, 1472])
def test_send_to(length: int, features: int) -> None:
    payload = bytes(i * 7 & 255 for i in range(length))
    with datagrams(features_a=features) as net:
        handler = net.bind(7)
        for data in (payload, memoryview(payload), Chain(payload)):
            assert handler.send_to(data, HOST_ADDRESS, 53) == 1
        del data
        assert handler.send_to(payload, Endpoint(HOST_ADDRESS, 53)) == 1
        for packet in net.sent():
            assert (packet.src, packet.dst, packet.p) == (OURS, HOST, 17)
            assert (packet.data.sport, packet.data.dport, packet.data.data) == (7, 53, payload)
        assert net.counters == {"datagrams_out": 4}


def test_every_checksum() -> None:
    """Also the one that is zero, which is sent as all ones (RFC 768)."""
    with datagrams() as net:
        handler = net.bind(7)
        handler.send_to(b"\0\0", HOST_ADDRESS, 53)
        (packet,) = net.sent()
        for word in (packet.data.sum, packet.data.sum - 1, packet.data.sum + 1):
            handler.send_to(word.to_bytes(2, "big"), HOST_ADDRESS, 53)
        sums = [packet.data.sum for packet in net.sent()]
        assert sums == [0xFFFF, 1, 0xFFFE]


def test_the_first_datagram_waits_for_the_neighbours_address() -> None:
    with datagrams(greet=False) as net:
        handler = net.bind(7)
        assert handler.send_to(b"one", HOST_ADDRESS, 53) == 1 and handler.send_to(b"two", HOST_ADDRESS, 53) == 1
        request = net.frame_sent()
        assert dpkt.ethernet.Ethernet(request).type == 0x0806
        answer = ARP(op=2, hwsrc=HOST_MAC, psrc=HOST_ADDRESS, hwdst=OUR_MAC, pdst=OUR_ADDRESS)
        frames = net.node.exchange(Ether(src=HOST_MAC, dst=OUR_MAC) / answer)
        assert [packet_of(frame).data.data for frame in frames] == [b"one", b"two"]


def test_no_way() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        for address in ("10.98.0.1", "127.0.0.1", "224.0.0.1", OUR_ADDRESS, "0.0.0.0"):
            with pytest.raises(OSError, match=f"no route to {address}") as failed:
                handler.send_to(b"x", address, 53)
            assert failed.value.errno == errno.ENETUNREACH
        with pytest.raises(ValueError, match="no port"):
            handler.send_to(b"x", HOST_ADDRESS, 0)
        with pytest.raises(ValueError, match="no IP address"):
            handler.send_to(b"x", "host", 1)
        with pytest.raises(OSError, match="has no peer"):
            handler.send(b"x")
        with pytest.raises(ConnectionError, match="within receive"):
            handler.reply(b"x")
        with pytest.raises(TypeError, match="can change"):
            handler.send_to(memoryview(bytearray(300)), HOST_ADDRESS, 53)
        assert net.sent() == [] and not net.counters


def test_too_long() -> None:
    with datagrams(mtu=65535) as net:
        handler = net.bind(7)
        assert handler.send_to(bytes(65507), HOST_ADDRESS, 53) == 1
        with pytest.raises(OSError, match="65508 bytes: at most 65507") as failed:
            handler.send_to(bytes(65508), HOST_ADDRESS, 53)
        assert failed.value.errno == errno.EMSGSIZE
        assert len(net.sent()) == 1


def test_marks() -> None:
    with datagrams() as net:
        handler = net.bind(7, ttl=3, traffic_class=0xB8)
        plain = net.bind(8)
        handler.send_to(b"x", HOST_ADDRESS, 53)
        plain.send_to(b"x", HOST_ADDRESS, 53)
        assert handler.socket is not None
        handler.socket.set_marks(255, 0)
        handler.send_to(b"x", HOST_ADDRESS, 53)
        assert [(packet.ttl, packet.tos) for packet in net.sent()] == [(3, 0xB8), (64, 0), (255, 0)]
        connected = net.connect(53, ttl=9)
        connected.send(b"x")
        assert connected.socket is not None
        connected.socket.set_marks(10, 4)
        connected.send(b"x")
        assert [(packet.ttl, packet.tos) for packet in net.sent()] == [(9, 0), (10, 4)]
        for ttl, traffic_class in ((0, 0), (256, 0), (1, 256), (1, -1)):
            with pytest.raises(ValueError, match="1 to 255 and 0 to 255"):
                handler.socket.set_marks(ttl, traffic_class)


# --- a full ring -------------------------------------------------------------------------------------------------


def test_a_full_ring_says_so_and_a_chain_keeps_its_bytes() -> None:
    with datagrams(capacity=4) as net:
        handler = net.bind(7)
        data = [Chain(bytes([65 + i]) * 10) for i in range(6)]
        sent = [handler.send_to(one, HOST_ADDRESS, 53) for one in data]
        assert sent == [1, 1, 1, 1, 0, 0]
        assert [len(one) for one in data] == [0, 0, 0, 0, 10, 10]
        assert net.counters == {"datagrams_out": 4, "transmit_full": 2}
        assert bytes(data[4]) == b"E" * 10
        # Told once there may be room, in a later turn; not within the call.
        assert handler.calls == []
        net.node.events.turn()
        assert handler.calls == ["writable"]
        first = net.node.host.receive()
        assert [handler.send_to(one, HOST_ADDRESS, 53) for one in data[4:]] == [1, 1]
        frames = first + net.frames()
        assert [packet_of(frame).data.data[:1] for frame in frames] == [b"A", b"B", b"C", b"D", b"E", b"F"]
        data.clear()


def test_writable_goes_on_until_there_is_room() -> None:
    with datagrams(capacity=2) as net:
        left = [b"%d" % i for i in range(7)]

        def more(handler: Recorder) -> None:
            while left and handler.send_to(left[0], HOST_ADDRESS, 53):
                del left[0]

        handler = net.bind(7, writable=more)
        more(handler)
        found = []
        for _ in range(20):
            net.node.events.turn()
            found += [packet_of(frame).data.data for frame in net.node.host.receive()]
        assert found == [b"%d" % i for i in range(7)] and not left
        net.node.core.settle()  # and the loop may sleep again


def test_udp_may_end_while_it_says_that_there_is_room() -> None:
    with datagrams(capacity=2) as net:
        namespace = net.node.core.namespace

        def end(handler: Recorder) -> None:
            namespace.destroy(UDP_ID)

        handler = net.bind(7, writable=end)
        other = net.bind(8)
        for one in (handler, other):
            for _ in range(3):
                one.send_to(b"data", HOST_ADDRESS, 53)
        net.node.events.turn()
        assert handler.calls == ["writable", "closed"] and other.calls == ["closed"]
        net.node.core.settle()  # the loop may sleep
        namespace.install(UDP_ID, lambda core, ebb_id: UdpManager(VirtualEntropy(7)))


# --- segments ----------------------------------------------------------------------------------------------------


def test_segments_are_cut_in_software() -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams() as net:
        handler = net.bind(7)
        assert handler.send_to(payload, HOST_ADDRESS, 53, 1200) == 5
        assert handler.send_to(payload[:1200], HOST_ADDRESS, 53, 1200) == 1
        packets = net.sent()
        assert [len(packet.data.data) for packet in packets] == [1200] * 4 + [200, 1200]
        assert b"".join(packet.data.data for packet in packets[:5]) == payload
        assert net.counters == {"datagrams_out": 6, "cut_out": 5}


def test_a_full_ring_in_the_middle_of_segments() -> None:
    with datagrams(capacity=2) as net:
        handler = net.bind(7)
        data = Chain(bytes(5000))
        assert handler.send_to(data, HOST_ADDRESS, 53, 1000) == 2
        assert len(data) == 3000
        assert net.counters == {"datagrams_out": 2, "cut_out": 2, "transmit_full": 1}
        del data


@pytest.mark.parametrize("whole", [False, True])
def test_segments_are_cut_by_the_device(whole: bool) -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    features = RX_CHECKSUM | RX_USO if whole else 0
    with datagrams(features_a=CHECKSUM | USO, features_b=features) as net:
        handler = net.bind(7)
        assert handler.send_to(payload, HOST_ADDRESS, 53, 1200) == 5
        net.node.core.settle()
        frames = net.node.host.receive_offloaded()
        assert net.counters == {"datagrams_out": 5}
        if whole:
            ((frame, offload),) = frames
            assert frame[42:] == payload and frame[38:40] == (5008).to_bytes(2, "big")
            assert offload == Offload(1, 5, 42, 1200, 34, 6)
        else:
            packets = [packet_of(frame) for frame, _ in frames]
            assert [len(packet.data.data) for packet in packets] == [1200] * 4 + [200]
            assert b"".join(packet.data.data for packet in packets) == payload


def test_more_segments_than_a_packet_holds() -> None:
    payload = bytes(i * 7 & 255 for i in range(150_000))
    with datagrams(features_a=CHECKSUM | USO) as net:
        handler = net.bind(7)
        assert handler.send_to(payload, HOST_ADDRESS, 53, 1000) == 150
        assert b"".join(packet.data.data for packet in net.sent()) == payload


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255"])
def test_sending_to_everybody(destination: str) -> None:
    with datagrams() as net:
        handler, plain = net.bind(7, broadcast=True), net.bind(8)
        assert handler.send_to(b"all", destination, 67) == 1
        frame = net.frame_sent()
        ethernet = dpkt.ethernet.Ethernet(frame)
        assert (ethernet.dst, ethernet.src) == (b"\xff" * 6, OUR_MAC)
        packet = packet_of(frame)
        assert (packet.src, packet.dst) == (OURS, bytes(map(int, destination.split("."))))
        with pytest.raises(OSError, match="is a broadcast address") as failed:
            plain.send_to(b"x", destination, 67)
        assert failed.value.errno == errno.EACCES
        with pytest.raises(OSError, match="is a broadcast address"):
            net.connect(67, destination)
        assert net.connect(67, destination, broadcast=True).send(b"x") == 1
        assert len(net.sent()) == 1


@pytest.mark.parametrize("features", [0, CHECKSUM, CHECKSUM | USO])
def test_a_long_datagram_goes_in_fragments(features: int) -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams(features_a=features) as net:
        handler = net.bind(7)
        assert handler.send_to(payload, HOST_ADDRESS, 53) == 1
        frames = net.frames()
        assert len(frames) == 4 and all(len(frame) <= 1514 for frame in frames)
        whole = b"".join(frame[34:] for frame in frames)
        pseudo = OURS + HOST + b"\0\x11" + len(whole).to_bytes(2, "big")
        assert whole[8:] == payload and dpkt.in_cksum(pseudo + whole) == 0
        assert net.counters == {"datagrams_out": 1}
