"""UDP sockets: what comes in, what goes out, callbacks, ports, zero copies."""

import errno

import dpkt
import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from netapp.drivers.device import CHECKSUM, RX_CHECKSUM, RX_USO, USO, Offload
from netapp.ebb.core import UDP as UDP_ID
from netapp.ebb.core import EbbError
from netapp.event.virtual import VirtualEntropy
from netapp.iobuf.chain import Chain
from netapp.net.udp import UdpManager
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.support.datagrams import BROADCAST, Datagrams, Recorder, datagrams, packet_of
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC

HOST, OURS = b"\x0a\x63\0\1", b"\x0a\x63\0\2"


def echo(handler: Recorder, datagram: Chain, source: Endpoint) -> None:
    assert handler.reply(datagram) == 1


def headers_taken(net: Datagrams) -> int:
    """Slots for headers that the pool ever carved."""
    return next(used + free for size, used, free in net.node.pool.classes() if size == 128)


# --- receiving ---------------------------------------------------------------------------------------------------


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


# --- sending -----------------------------------------------------------------------------------------------------


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
        net.node.core.settle()
        (request,) = net.node.host.receive()
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
        frames = first + [bytes(frame) for frame in _frames(net)]
        assert [packet_of(frame).data.data[:1] for frame in frames] == [b"A", b"B", b"C", b"D", b"E", b"F"]
        data.clear()


def _frames(net: Datagrams) -> list[bytes]:
    net.node.core.settle()
    return net.node.host.receive()


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


# --- sockets with a peer -----------------------------------------------------------------------------------------


def test_connect() -> None:
    with datagrams() as net:
        handler = net.connect(53)
        assert handler.socket is not None
        address, port = handler.socket.local
        assert address == OUR_ADDRESS and 49152 <= port <= 65535
        assert handler.socket.remote == (HOST_ADDRESS, 53) and handler.socket.path_mtu == 1500
        assert handler.send(b"question") == 1
        (packet,) = net.sent()
        assert (packet.data.sport, packet.data.dport, packet.data.data) == (port, 53, b"question")
        net.arrives(b"answer", sport=53, dport=port)
        # From others, and from another port of the peer.
        net.arrives(b"forged", sport=53, dport=port, src="10.99.0.3")
        net.arrives(b"forged", sport=54, dport=port)
        assert handler.received == [b"answer"]
        assert net.counters["dropped_no_socket"] == 2
        with pytest.raises(OSError, match="has a peer"):
            handler.send_to(b"x", HOST_ADDRESS, 53)


def test_reply_to_the_peer() -> None:
    with datagrams() as net:
        net.connect(4000, local_port=7, handler=Recorder(receive=echo))
        (frame,) = net.arrives(b"hello")
        assert packet_of(frame).data.data == b"hello"


def test_the_socket_that_fits_best_gets_the_datagram() -> None:
    with datagrams() as net:
        anybody, ours = net.bind(7), net.bind(7, address=OUR_ADDRESS)
        peer = net.connect(4000, local_port=7)
        net.arrives(b"1")
        assert (anybody.received, ours.received, peer.received) == ([], [], [b"1"])
        peer.close()
        net.arrives(b"2")
        assert (anybody.received, ours.received, peer.received) == ([], [b"2"], [b"1"])
        ours.close()
        net.arrives(b"3")
        assert anybody.received == [b"3"]
        anybody.close()
        net.arrives(b"4")
        assert net.counters["dropped_no_socket"] == 1 and net.udp.sockets() == []


# --- ports -------------------------------------------------------------------------------------------------------


def test_ports_that_are_taken() -> None:
    with datagrams() as net:
        net.bind(7)
        net.bind(7, address=OUR_ADDRESS)
        net.connect(53, local_port=7)
        for call in (
            lambda: net.bind(7),
            lambda: net.bind(7, address=OUR_ADDRESS),
            lambda: net.connect(53, local_port=7),
        ):
            with pytest.raises(OSError, match="already") as failed:
                call()
            assert failed.value.errno == errno.EADDRINUSE
        net.connect(54, local_port=7)
        assert len(net.udp.sockets()) == 4


def test_ephemeral_ports() -> None:
    with datagrams() as net:
        handlers = [net.bind(0) for _ in range(50)] + [net.connect(53) for _ in range(50)]
        ports = {handler.socket.local[1] for handler in handlers if handler.socket}
        assert len(ports) == 100 and all(49152 <= port <= 65535 for port in ports)
        # Another peer, another place to begin (RFC 6056, 3.3.3).
        first, other = net.connect(53), net.connect(54)
        assert first.socket and other.socket
        assert abs(first.socket.local[1] - other.socket.local[1]) > 2
        for handler in handlers:
            handler.close()


def test_every_port_is_used_before_there_is_none() -> None:
    with datagrams() as net:
        handlers = [net.bind(0) for _ in range(16384)]
        with pytest.raises(OSError, match="no port is free"):
            net.bind(0)
        handlers[77].close()
        net.bind(0)


def test_what_is_refused() -> None:
    with datagrams() as net:
        for port in (-1, 65536):
            with pytest.raises(ValueError, match="is no port"):
                net.bind(port)
        with pytest.raises(ValueError, match="is no port"):
            net.connect(0)
        with pytest.raises(OSError, match="not an address of this node"):
            net.bind(7, address=HOST_ADDRESS)
        with pytest.raises(OSError, match="no route"):
            net.connect(7, "10.98.0.1")
        with pytest.raises(TypeError, match="is no UdpHandler"):
            net.udp.bind(7, object())
        handler = net.bind(7)
        with pytest.raises(ValueError, match="has a socket already"):
            net.udp.bind(8, handler)
        assert len(net.udp.sockets()) == 1


# --- callbacks ---------------------------------------------------------------------------------------------------


def test_an_exception_leaves_the_socket_and_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def fail(handler: Recorder, *arguments: object) -> None:
        raise RuntimeError("by the test")

    with datagrams() as net:
        handler, other = net.bind(7, receive=fail), net.bind(8)
        net.arrives(b"1")
        net.arrives(b"2", dport=8)
        net.arrives(b"3")
        assert handler.received == [b"1", b"3"] and other.received == [b"2"]
        assert net.counters["callback_exceptions"] == 2
        assert "receive() of Recorder raised" in caplog.text


def test_an_exception_of_any_callback_is_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def fail(handler: Recorder, *arguments: object) -> None:
        raise RuntimeError("by the test")

    with datagrams(capacity=1) as net:
        handler = net.bind(7, error=fail, writable=fail, closed=fail)
        handler.send_to(b"1", HOST_ADDRESS, 9)
        assert handler.send_to(b"2", HOST_ADDRESS, 9) == 0
        (sent,) = _frames(net)
        net.error(bytes(sent))
        net.node.core.settle()
        handler.close()
        assert sorted(handler.calls) == ["closed", "error", "writable"]
        assert net.counters["callback_exceptions"] == 3 and not net.udp.sockets()
        for name in handler.calls:
            assert f"{name}() of Recorder raised" in caplog.text


def test_a_handler_may_leave_every_callback_out() -> None:
    class Deaf(UdpHandler):
        pass

    with datagrams(capacity=1) as net:
        handler = Deaf()
        net.udp.bind(7, handler)
        handler.send_to(b"1", HOST_ADDRESS, 9)
        assert handler.send_to(b"2", HOST_ADDRESS, 9) == 0
        (sent,) = _frames(net)
        net.error(bytes(sent))
        assert net.arrives() == []
        net.node.core.settle()
        assert net.counters["datagrams_in"] == net.counters["errors_in"] == 1
        assert repr(handler.socket) == "<UdpSocket ('0.0.0.0', 7) *>"
        handler.close()
        assert handler.socket is None and "callback_exceptions" not in net.counters


def test_who_has_no_peer_has_no_path_to_it() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        assert handler.socket is not None
        with pytest.raises(OSError, match="has no peer") as failed:
            handler.socket.path_mtu  # noqa: B018
        assert failed.value.errno == errno.EDESTADDRREQ
        handler.close()


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


def test_close() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        socket = handler.socket
        assert socket is not None
        handler.close()
        assert handler.calls == ["closed"] and handler.end is None and handler.socket is None
        socket.close()
        handler.close()
        assert handler.calls == ["closed"]
        for call in (lambda: socket.send_to(b"x", HOST_ADDRESS, 1), lambda: handler.send_to(b"x", HOST_ADDRESS, 1)):
            with pytest.raises(ConnectionError):
                call()
        net.bind(7)


def test_close_within_receive() -> None:
    def leave(handler: Recorder, datagram: Chain, source: Endpoint) -> None:
        handler.reply(b"bye")
        handler.close()
        assert handler.calls == ["receive"]  # closed() comes when this has returned
        with pytest.raises(ConnectionError):
            handler.reply(b"more")

    with datagrams() as net:
        handler = net.bind(7, receive=leave)
        assert [packet_of(frame).data.data for frame in net.arrives()] == [b"bye"]
        assert handler.calls == ["receive", "closed"]


def test_the_end_of_the_node() -> None:
    with datagrams() as net:
        handler = net.bind(7)
    assert isinstance(handler.end, ConnectionAbortedError)


def test_a_handler_may_have_no_callbacks() -> None:
    with datagrams() as net:
        handler = UdpHandler()
        net.udp.bind(7, handler)
        net.arrives()
        handler.close()
        with pytest.raises(ConnectionError):
            handler.send(b"x")


def test_reply_to_nowhere_is_counted() -> None:
    with datagrams() as net:
        net.bind(7, receive=echo)
        assert net.arrives(sport=0) == []
        assert net.arrives(src="10.98.0.1") == []  # no gateway leads back
        assert net.counters["replies_undeliverable"] == 2


# --- broadcast ---------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("destination", [BROADCAST, "255.255.255.255"])
def test_sending_to_everybody(destination: str) -> None:
    with datagrams() as net:
        handler, plain = net.bind(7, broadcast=True), net.bind(8)
        assert handler.send_to(b"all", destination, 67) == 1
        net.node.core.settle()
        (frame,) = net.node.host.receive()
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


def test_endpoints() -> None:
    one, same, other = Endpoint("10.0.0.1", 5), Endpoint("10.0.0.1", 5), Endpoint("10.0.0.1", 6)
    assert one == same and one != other and one != "10.0.0.1" and len({one, same, other}) == 2
    assert one.address == "10.0.0.1" and one.port == 5
    for port in (0, 65536):
        with pytest.raises(ValueError, match="is no port"):
            Endpoint("10.0.0.1", port)


def test_sixteen_senders_at_once() -> None:
    """Datagrams of one turn, from many, each with its own source."""
    with datagrams() as net:
        net.bind(7, receive=echo)
        frames = [net.frame(b"%d" % i, sport=1000 + i) for i in range(16)]
        answers = [packet_of(frame).data for frame in net.node.exchange(*frames)]
        assert [(answer.dport, answer.data) for answer in answers] == [(1000 + i, b"%d" % i) for i in range(16)]


# --- ICMP errors, long datagrams ---------------------------------------------------------------------------------


def sent_frame(net: Datagrams) -> bytes:
    net.node.core.settle()
    (frame,) = net.node.host.receive()
    return frame


@pytest.mark.parametrize(
    ("type", "code", "number"),
    [
        (3, 0, errno.ENETUNREACH),
        (3, 1, errno.EHOSTUNREACH),
        (3, 2, errno.ECONNREFUSED),
        (3, 3, errno.ECONNREFUSED),
        (3, 13, errno.EHOSTUNREACH),
        (11, 0, errno.EHOSTUNREACH),
        (12, 0, errno.EPROTO),
    ],
)
@pytest.mark.parametrize("connected", [False, True])
def test_errors_are_passed_up(connected: bool, type: int, code: int, number: int) -> None:
    with datagrams() as net:
        if connected:
            handler = net.connect(53)
            handler.send(b"x")
        else:
            handler = net.bind(7)
            handler.send_to(b"x", HOST_ADDRESS, 53)
        assert net.error(sent_frame(net), type, code) == []
        ((error, destination),) = handler.errors
        assert error.errno == number and f"type {type}, code {code}, from {HOST_ADDRESS}" in str(error)
        assert destination == Endpoint(HOST_ADDRESS, 53)
        if number == errno.ECONNREFUSED:
            assert isinstance(error, ConnectionRefusedError)
        # The socket goes on.
        assert handler.calls == ["error"] and handler.socket is not None
        assert net.counters["errors_in"] == 1


def test_errors_about_what_nobody_sends() -> None:
    with datagrams() as net:
        handler = net.connect(53)
        handler.send(b"x")
        frame = bytearray(sent_frame(net))
        frame[36:38] = (54).to_bytes(2, "big")  # to another port
        net.error(bytes(frame))
        assert handler.errors == [] and net.counters["errors_unmatched"] == 1


@pytest.mark.parametrize("features", [0, CHECKSUM, CHECKSUM | USO])
def test_a_long_datagram_goes_in_fragments(features: int) -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams(features_a=features) as net:
        handler = net.bind(7)
        assert handler.send_to(payload, HOST_ADDRESS, 53) == 1
        net.node.core.settle()
        frames = net.node.host.receive()
        assert len(frames) == 4 and all(len(frame) <= 1514 for frame in frames)
        whole = b"".join(frame[34:] for frame in frames)
        pseudo = OURS + HOST + b"\0\x11" + len(whole).to_bytes(2, "big")
        assert whole[8:] == payload and dpkt.in_cksum(pseudo + whole) == 0
        assert net.counters == {"datagrams_out": 1}


def test_a_datagram_that_came_in_fragments() -> None:
    payload = bytes(i * 7 & 255 for i in range(5000))
    with datagrams() as net:
        handler = net.bind(7, receive=echo)
        packet = IP(src=HOST_ADDRESS, dst=OUR_ADDRESS, id=9) / UDP(sport=4000, dport=7) / payload
        answers = net.node.exchange(*(Ether(src=HOST_MAC, dst=OUR_MAC) / piece for piece in fragment(packet, 1480)))
        assert handler.received == [payload]
        assert b"".join(frame[34:] for frame in answers)[8:] == payload


@pytest.mark.parametrize("connected", [False, True])
def test_path_mtu(connected: bool) -> None:
    with datagrams() as net:
        handler = Recorder()
        if connected:
            net.connect(53, handler=handler, dont_fragment=True)
        else:
            net.udp.bind(7, handler, dont_fragment=True)

        def send(data: bytes) -> int:
            return handler.send(data) if connected else handler.send_to(data, HOST_ADDRESS, 53)

        assert send(bytes(1472)) == 1
        frame = sent_frame(net)
        assert frame[20] & 0x40  # DF
        with pytest.raises(OSError, match="the path takes 1472") as failed:
            send(bytes(1473))
        assert failed.value.errno == errno.EMSGSIZE
        net.error(frame, 3, 4, mtu=1000)
        assert handler.errors[0][0].errno == errno.EMSGSIZE and "MTU 1000" in str(handler.errors[0][0])
        if connected and handler.socket:
            assert handler.socket.path_mtu == 1000
        with pytest.raises(OSError, match="the path takes 972"):
            send(bytes(973))
        assert send(bytes(972)) == 1


def test_a_path_mtu_from_anybody_is_not_believed() -> None:
    """An error about a datagram to where none was sent, to a port that is bound."""
    with datagrams() as net:
        handler = net.bind(7)
        packet = IP(src=OUR_ADDRESS, dst="10.99.0.1", flags="DF") / UDP(sport=7, dport=53) / bytes(1400)
        net.error(bytes(14) + bytes(packet), 3, 4, mtu=600)
        assert len(handler.errors) == 1
        assert net.connect(53).socket.path_mtu == 1500


def test_what_ip_says_of_a_datagram() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        net.arrives(ttl=3, tos=0xB8)
        net.arrives(options=b"\x44\x08\x05\0\0\0\0\0")  # a time stamp
        plain, with_options = handler.sources
        assert (plain.ttl, plain.traffic_class) == (3, 0xB8) and plain.options is None
        assert (with_options.ttl, with_options.options) == (64, b"\x44\x08\x05\0\0\0\0\0")


def test_paths_follow_the_routes() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        connected = None
        with pytest.raises(OSError, match="no route"):
            handler.send_to(b"1", "10.98.0.1", 53)
        net.node.network.add_route("10.98.0.0/24", HOST_ADDRESS)
        connected = net.connect(53, "10.98.0.1")
        assert handler.send_to(b"1", "10.98.0.1", 53) == connected.send(b"2") == 1
        assert len(net.sent()) == 2
        net.node.network.remove_route("10.98.0.0/24", HOST_ADDRESS)
        for send in (lambda: handler.send_to(b"1", "10.98.0.1", 53), lambda: connected.send(b"2")):
            with pytest.raises(OSError, match="no route"):
                send()


def test_the_udp_manager_is_not_replaced() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        with pytest.raises(EbbError, match="the UDP manager cannot be replaced: sockets"):
            net.node.core.namespace.rebind(UDP_ID, lambda core, ebb_id: UdpManager(VirtualEntropy(9)))
        net.arrives(b"still here")
        assert handler.received == [b"still here"]
