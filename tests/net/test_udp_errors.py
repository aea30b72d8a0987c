"""UDP: what ICMP and routes say of what was sent."""

import errno

import pytest
from scapy.layers.inet import IP, UDP

from netapp.net.udp_socket import Endpoint
from tests.support.datagrams import Recorder, datagrams
from tests.support.network import HOST_ADDRESS, OUR_ADDRESS


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
        assert net.error(net.frame_sent(), type, code) == []
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
        frame = bytearray(net.frame_sent())
        frame[36:38] = (54).to_bytes(2, "big")  # to another port
        net.error(bytes(frame))
        assert handler.errors == [] and net.counters["errors_unmatched"] == 1


# --- the path's MTU ----------------------------------------------------------------------------------------------


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
        frame = net.frame_sent()
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
