"""Frames by the tap device, whole, with offloads, in many views; the Linux kernel has the other end."""

import os
import socket

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Raw

from netapp.drivers import device
from netapp.drivers.device import Offload
from netapp.drivers.tap import stable_mac
from netapp.iobuf.chain import Chain
from tests.support.namespaces import ip
from tests.support.taps import HOSTS, OURS, PARTIAL, TCPV4, UDP_L4, partial, peer

pytestmark = pytest.mark.system


def test_offloads_are_negotiated_and_addresses_set(core, io):
    with peer(io=io) as host:
        every = device.CHECKSUM | device.TSO4 | device.RX_CHECKSUM | device.RX_TSO4
        # Kernels before 6.2 do not know of USO.
        assert host.tap.features in (every, every | device.USO | device.RX_USO)
        assert host.tap.mtu == 1500
        assert host.tap.mac == stable_mac("tap-test") and host.tap.mac[0] & 3 == 2
        assert host.ours != host.hosts
        shown = ip("addr show tap-test")
        assert "inet 10.99.0.1/24" in shown and ",UP" in shown and "inet6" not in shown
    assert "tap-test" not in ip("link")


def test_frames_both_ways(core, io):
    with peer(io=io) as host:
        for length in (60, 61, 1514):
            sent = bytes.fromhex((host.hosts + host.ours).replace(":", "")) + b"\x88\xb5" + bytes(range(256)) * 6
            assert host.port.send(sent[:length])
            while True:
                arrived, address = host.raw.recvfrom(65536)
                if arrived[12:14] == b"\x88\xb5" and address[2] != socket.PACKET_OUTGOING:
                    break
            assert arrived == sent[:length]
            host.raw.send(sent[:length])
            _, data, offload = next(host.received(lambda frame: frame.type == 0x88B5))
            assert data == sent[:length] and offload.gso_type == 0
        counters = host.tap.counters()
        assert counters["tx_frames"] == 3 and counters["tx_bytes"] == 60 + 61 + 1514
        assert counters["rx_frames"] >= 3


def test_without_offloads_the_host_computes_checksums(core, io):
    with peer(io=io, offloads=False) as host:
        assert host.tap.features == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((HOSTS, 5000))
            sender.sendto(b"hello", (OURS, 6000))
        frame, data, offload = next(host.received(lambda frame: UDP in frame))
        assert offload == Offload(0, 0, 0, 0, 0, 0)
        again = frame.copy()
        del again[UDP].chksum
        assert bytes(again) == data


def test_checksums_are_left_to_the_device_both_ways(core, io):
    with peer(io=io) as host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_host:
        at_host.bind((HOSTS, 5000))
        at_host.settimeout(20)
        at_host.sendto(b"hello", (OURS, 6000))
        _, data, offload = next(host.received(lambda frame: UDP in frame))
        assert (offload.flags, offload.gso_type, offload.csum_start, offload.csum_offset) == (PARTIAL, 0, 34, 6)
        assert data[42:] == b"hello"
        assert host.port.send(*partial(host.headers(UDP(sport=6000, dport=5000)) / Raw(b"good morning")))
        assert at_host.recvfrom(100) == (b"good morning", (OURS, 6000))


def test_large_segments_both_ways(core, io):
    """A TCP connection with the kernel, by hand: segments beyond the MTU go both ways in one frame."""
    data = os.urandom(60_000)
    with peer(io=io) as host, socket.socket() as listener:
        listener.bind((HOSTS, 5000))
        listener.listen()

        def send(payload=b"", gso_size=0, **fields):
            segment = TCP(sport=6000, dport=5000, window=65535, **fields)
            assert host.port.send(*partial(host.headers(segment) / Raw(payload), gso_size))

        segments = host.received(lambda frame: TCP in frame)
        syn = TCP(sport=6000, dport=5000, window=65535, seq=1000, flags="S", options=[("MSS", 1460), ("WScale", 4)])
        host.port.send(bytes(host.headers(syn)))
        answer, _, _ = next(segments)
        assert answer[TCP].flags == "SA"
        ack = answer[TCP].seq + 1
        send(seq=1001, ack=ack, flags="A")
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            arrived = b""
            # The receive window that the kernel begins with is about 64,000 bytes.
            send(data[:43_800], 1460, seq=1001, ack=ack, flags="PA")
            while len(arrived) < 43_800:
                arrived += connection.recv(65536)
            assert arrived == data[:43_800]

            connection.sendall(data)
            seen = bytearray()
            largest = 0
            for frame, raw, offload in segments:
                start = 34 + frame[TCP].dataofs * 4
                if len(raw) == start:
                    continue
                if (frame[TCP].seq - ack - len(seen)) & 0xFFFFFFFF:
                    continue  # sent again, where our acknowledgment was late
                assert offload.flags == PARTIAL and offload.csum_start == 34
                if len(raw) > 1514:
                    assert offload.gso_type == TCPV4 and offload.gso_size == 1460
                largest = max(largest, len(raw))
                seen += raw[start:]
                if len(seen) == len(data):
                    break
                send(seq=1001 + 43_800, ack=ack + len(seen), flags="A")
            assert bytes(seen) == data
            assert largest > 10_000
            send(seq=1001 + 43_800, ack=ack + len(seen), flags="RA")


def test_segments_of_udp_both_ways(core, io):
    """Datagrams that the kernel's socket sends in one go come in one frame, and it cuts what we send so."""
    data = os.urandom(60_000)
    with peer(io=io) as host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        if not host.tap.features & device.USO:
            pytest.skip("this kernel has no USO for taps")
        theirs.bind((HOSTS, 5000))
        theirs.settimeout(20)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        datagrams = host.headers(UDP(sport=6000, dport=5000)) / Raw(data)
        assert host.port.send(*partial(datagrams, 1200))
        arrived = [theirs.recv(65536) for _ in range(50)]
        assert [len(one) for one in arrived] == [1200] * 50 and b"".join(arrived) == data

        theirs.connect((OURS, 6000))
        theirs.setsockopt(socket.IPPROTO_UDP, 103, 1200)  # UDP_SEGMENT
        theirs.send(data)
        _, raw, offload = next(host.received(lambda frame: UDP in frame and frame[UDP].dport == 6000))
        assert (offload.flags, offload.gso_type, offload.gso_size) == (PARTIAL, UDP_L4, 1200)
        assert raw[42:] == data


def test_a_frame_of_very_many_views(core, io):
    with peer(io=io) as host:
        frame = Chain(bytes.fromhex((host.hosts + host.ours).replace(":", "")) + b"\x88\xb5")
        expected = bytes(frame)
        for i in range(1100):
            piece = bytes([i % 256]) * 20
            expected += piece
            frame.append(Chain(piece))
        assert frame.count > 1024
        before = core.pool.copied()["device"]
        assert host.port.send(frame)
        assert len(frame) == 0
        while True:
            arrived = host.raw.recv(65536)
            if arrived[12:14] == b"\x88\xb5":
                break
        assert arrived == expected
        assert core.pool.copied()["device"] - before == len(expected)
        assert host.tap.counters()["tx_flattened"] == 1


def test_headers_in_a_slot_of_several_views(core, io):
    """There is no headroom that is the frame's alone: the device's header goes in front by itself."""
    with peer(io=io) as host:
        whole = bytes.fromhex((host.hosts + host.ours).replace(":", "")) + b"\x88\xb5" + bytes(range(200))
        frame = Chain(whole)
        other = frame.clone()
        assert host.port.send(frame)
        while True:
            arrived = host.raw.recv(65536)
            if arrived[12:14] == b"\x88\xb5":
                break
        assert arrived == whole and bytes(other) == whole


def test_a_large_mtu(core, io):
    with peer(io=io, mtu=9000, offloads=False) as host:
        assert "mtu 9000" in ip("link show tap-test")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(range(250)) * 35, (OURS, 6000))
        _, data, _ = next(host.received(lambda frame: UDP in frame))
        assert data[42:] == bytes(range(250)) * 35
