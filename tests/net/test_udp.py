"""UDP sockets: ports, peers, callbacks, the end."""

import errno

import pytest

from netapp.ebb.core import UDP as UDP_ID
from netapp.ebb.core import EbbError
from netapp.event.virtual import VirtualEntropy
from netapp.iobuf.chain import Chain
from netapp.net.udp import UdpManager
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.support.datagrams import Recorder, datagrams, echo, packet_of
from tests.support.network import HOST_ADDRESS, OUR_ADDRESS


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
        sent = net.frame_sent()
        net.error(sent)
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
        sent = net.frame_sent()
        net.error(sent)
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


# --- the end -----------------------------------------------------------------------------------------------------


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


def test_endpoints() -> None:
    one, same, other = Endpoint("10.0.0.1", 5), Endpoint("10.0.0.1", 5), Endpoint("10.0.0.1", 6)
    assert one == same and one != other and one != "10.0.0.1" and len({one, same, other}) == 2
    assert one.address == "10.0.0.1" and one.port == 5
    for port in (0, 65536):
        with pytest.raises(ValueError, match="is no port"):
            Endpoint("10.0.0.1", port)


def test_the_udp_manager_is_not_replaced() -> None:
    with datagrams() as net:
        handler = net.bind(7)
        with pytest.raises(EbbError, match="the UDP manager cannot be replaced: sockets"):
            net.node.core.namespace.rebind(UDP_ID, lambda core, ebb_id: UdpManager(VirtualEntropy(9)))
        net.arrives(b"still here")
        assert handler.received == [b"still here"]
