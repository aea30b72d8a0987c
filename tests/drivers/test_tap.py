"""The tap device against the Linux kernel, in a network namespace of its own."""

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from netapp.drivers import device
from netapp.drivers.device import Offload
from netapp.drivers.polling import AdaptivePolling
from netapp.drivers.python import RawPort
from netapp.drivers.tap import TapDevice, stable_mac
from netapp.drivers.tap_queue import TapError
from netapp.ebb.core import EbbRef
from netapp.event.manager import OUTPUT, EndOfTurnFunction
from netapp.hosted.platform import EpollInterrupts, MonotonicClock
from netapp.hosted.tap_setup import host_tap
from netapp.iobuf.chain import Chain
from tests.support.namespaces import ip, network_namespace
from tests.support.pools import core_with_pool

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parent.parent.parent
PARTIAL, TCPV4, UDP_L4 = 1, 1, 5
OURS, HOSTS = "10.99.0.2", "10.99.0.1"


@pytest.fixture
def core():
    with network_namespace(), core_with_pool() as made:
        yield made


@pytest.fixture(params=["rw", "uring"])
def io(request):
    """The ways by which frames go. A test that has no use for it has the one that is chosen where none is asked for."""
    return request.param


class Peer:
    """The host's side of the tap, and frames of ours that suit it."""

    def __init__(self, tap: TapDevice) -> None:
        self.tap = tap
        self.port = RawPort(tap.queue)
        self.ours = tap.mac.hex(":")
        self.hosts = ip(f"link show {tap.name}").split("link/ether ")[1].split()[0]
        ip(f"neigh replace {OURS} lladdr {self.ours} dev {tap.name}")
        self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.raw.bind((tap.name, 0))
        self.raw.settimeout(5)

    def close(self) -> None:
        self.raw.close()
        self.port.close()

    def headers(self, transport):
        return Ether(src=self.ours, dst=self.hosts) / IP(src=OURS, dst=HOSTS, id=1) / transport

    def received(self, wanted):
        """The next frames for which `wanted` is true, with their offloads, as they come."""
        until = time.monotonic() + 5
        while True:
            while self.port.received:
                data, offload = self.port.received.pop(0)
                frame = Ether(data)
                if wanted(frame):
                    yield frame, data, offload
            assert time.monotonic() < until, "the frame did not come"
            self.port.poll()


@contextlib.contextmanager
def peer(**options):
    with host_tap("tap-test", f"{HOSTS}/24", **options) as tap:
        made = Peer(tap)
        try:
            yield made
        finally:
            made.close()


def partial(frame, gso_size=0):
    """With only the pseudo-header's sum in the checksum's field, and what the device is to do."""
    at = 16 if TCP in frame else 6
    frame = frame.copy()
    (frame[TCP] if TCP in frame else frame[UDP]).chksum = 0
    data = bytearray(bytes(frame))
    pseudo = data[26:34] + bytes([0, data[23]]) + (len(data) - 34).to_bytes(2, "big")
    total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, len(pseudo), 2))
    total = (total & 0xFFFF) + (total >> 16)
    data[34 + at : 36 + at] = total.to_bytes(2, "big")
    headers = 34 + (20 if TCP in frame else 8)
    kind = TCPV4 if TCP in frame else UDP_L4
    return bytes(data), Offload(PARTIAL, kind if gso_size else 0, headers, gso_size, 34, at)


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
        at_host.settimeout(5)
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
            connection.settimeout(5)
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
        theirs.settimeout(5)
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


def test_an_exhausted_pool_drops_frames_and_counts(io):
    with network_namespace(), core_with_pool(size=64 * 4096, reserve=0), peer(io=io) as host:
        hoard: list[Chain] = []
        with pytest.raises(MemoryError):
            while True:
                hoard.append(Chain())
                hoard[-1].write(bytes(2048))
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        for _ in range(5):
            host.raw.send(frame)
        until = time.monotonic() + 5
        while host.tap.counters()["rx_no_slots"] < 5 and time.monotonic() < until:
            host.port.poll()
        assert host.tap.counters()["rx_no_slots"] >= 5
        hoard.clear()
        host.raw.send(frame)
        assert next(host.received(lambda frame: frame.type == 0x88B5))[1] == frame


def test_slots_that_only_make_reading_cheaper_give_way():
    """Several frames are read at once, into slots of their own: a part of the pool, which is not kept from others."""
    size = 32 << 20
    with network_namespace(), core_with_pool(size=size, reserve=0) as core, peer(io="uring") as host:
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        for _ in range(300):
            host.raw.send(frame)
        assert len(host.port.receive()) >= 300
        batches = host.tap.counters()["submits"]
        assert 30 < batches < 100
        pinned = core.pool.pinned()["device"]
        assert 5 * 16 * 4096 < pinned <= size // 64
        hoard: list[Chain] = []

        def exhaust() -> None:
            for length in (2048, 100):
                with contextlib.suppress(MemoryError):
                    while True:
                        hoard.append(Chain())
                        hoard[-1].write(bytes(length))

        exhaust()
        for _ in range(6):
            host.raw.send(frame)
            assert host.port.poll(1) == 1 and host.port.received.pop()[0] == frame
            exhaust()
        assert host.tap.counters()["rx_no_slots"] == 0
        assert core.pool.pinned()["device"] < pinned // 2
        hoard.clear()


def test_no_frame_is_slept_through(io):
    """Whenever it comes: while the loop polls, arms, goes to sleep; alone or with others, before or behind a reply."""
    interrupts = EpollInterrupts()
    random = Random(1)
    failures = []
    with (
        network_namespace(),
        core_with_pool(clock=MonotonicClock(), interrupts=interrupts) as core,
        peer(io=io) as host,
    ):
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        ebb = core.namespace.create(lambda core_, ebb_id: AdaptivePolling(interrupts))
        EbbRef(ebb)().attach(host.tap.queue)
        arrived = 0

        def answer() -> None:
            nonlocal arrived
            while host.port.received:
                arrived += host.port.received.pop()[0][12:14] == b"\x88\xb5"
                host.port.send(bytes(60))

        def feed() -> None:
            sent = 0
            try:
                for _ in range(600):
                    for _ in range(random.choice((1, 1, 1, 2, 3, 6, 12))):
                        host.raw.send(frame)
                        sent += 1
                    until = time.monotonic() + 5
                    while arrived < sent:
                        if time.monotonic() > until:
                            failures.append(f"{arrived} of {sent} frames")
                            return
                        time.sleep(0)
                    time.sleep(random.choice((0, 1e-6, 50e-6, 200e-6)))
            finally:
                events.stop()

        events = core.events
        hook = EndOfTurnFunction(answer)
        events.at_end_of_turn(hook, OUTPUT)
        thread = threading.Thread(target=feed)
        thread.start()
        events.run()
        thread.join()
        assert not failures
        assert events.counters()["sleeps"] > 100
        assert (host.tap.counters().get("submits", 0) > 0) == (io == "uring")
        events.remove_end_of_turn(hook)
        core.namespace.destroy(ebb)
    interrupts.close()


def test_frames_that_the_kernel_has_no_room_for_wait_and_keep_their_order(core, io):
    """Behind a slow link the tap's send buffer, which is bounded here, is full."""
    with peer(io=io) as host, ExitStack() as stack:
        for command in (
            "link add slow type veth peer name far",
            "link add bridge type bridge",
            "link set slow master bridge",
            "link set tap-test master bridge",
            "link set slow up",
            "link set far up",
            "link set bridge up",
        ):
            ip(command)
        subprocess.run("tc qdisc add dev slow root tbf rate 1mbit burst 1540 limit 1000000".split(), check=True)
        (device_file,) = (int(name) for name in os.listdir("/proc/self/fd") if _is_tap(name))
        fcntl.ioctl(device_file, 0x400454D4, struct.pack("i", 4000))  # TUNSETSNDBUF
        raw = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        raw.bind(("far", 0))
        raw.settimeout(10)
        head = b"\x02far.." + host.tap.mac + b"\x88\xb5"
        frames = [head + bytes([i]) * 1000 for i in range(20)]
        host.port.enable_interrupts()
        taken = refused = waited = 0

        def look() -> None:
            """What waits goes in a later turn, though nobody polls."""
            nonlocal waited
            waits = host.tap.counters()["tx_frames"] < taken
            assert core.events.idle_time() == (0 if waits else -1)
            waited += waits
            core.events.turn()

        for frame in frames:
            while not host.port.send(frame):
                refused += 1
                look()
                assert host.port.enable_interrupts() or io == "uring", "room tells nobody: somebody has to look"
            taken += 1
            look()
        until = time.monotonic() + 10
        while host.tap.counters()["tx_frames"] < len(frames):
            assert time.monotonic() < until
            host.port.flush()
        assert bool(waited) == (io == "uring")
        arrived: list[bytes] = []
        while len(arrived) < len(frames):
            frame = raw.recv(65536)
            if frame[12:14] == b"\x88\xb5":
                arrived.append(frame)
        assert arrived == frames
        counters = host.tap.counters()
        assert refused and counters["tx_full"] >= refused and counters["tx_errors"] == 0


def _is_tap(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}") == "/dev/net/tun"
    except OSError:
        return False


def test_frames_that_came_with_what_was_sent_are_waiting_when_interrupts_are_enabled(core):
    with peer(io="uring") as host:
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        # Of single frames it would not read one ahead.
        for _ in range(4):
            host.raw.send(frame)
        assert host.port.poll() >= 4
        host.raw.send(frame)
        assert host.port.send(bytes(60))
        assert host.port.enable_interrupts()
        assert frame in host.port.receive()
        assert not host.port.enable_interrupts()


def test_what_comes_while_interrupts_are_enabled_is_left_for_them(core, io):
    """A frame that is fetched before epoll has looked would wake nobody."""
    with peer(io=io) as host:
        host.port.receive()
        assert not host.port.enable_interrupts()
        host.raw.send(bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100))
        assert host.port.send(bytes(60))
        (file,) = (int(name) for name in os.listdir("/proc/self/fd") if _is_tap(name))
        assert select.select([file], [], [], 0)[0]


def test_a_link_that_is_down_drops_and_counts(core, io):
    with peer(io=io) as host:
        ip("link set tap-test down")
        assert host.port.send(bytes(60))
        assert host.tap.counters()["tx_link_down"] == 1
        ip("link set tap-test up")
        assert host.port.send(bytes(Ether(src=host.ours, dst=host.hosts) / ARP()))
        assert host.tap.counters()["tx_frames"] == 1


def test_an_interface_that_is_removed(core, io):
    with peer(io=io) as host:
        ip("link del tap-test")
        with pytest.raises(TapError, match="tap-test was removed"):
            host.port.poll()
        assert host.port.poll() == 0, "it is said once"
        assert not host.port.enable_interrupts()
        assert host.port.send(bytes(60))
        assert host.tap.counters()["tx_link_down"] == 1


def test_who_wants_to_know_is_told_that_the_interface_was_removed(core, io):
    with peer(io=io) as host:
        told: list[bool] = []
        host.tap.when_removed = lambda: told.append(host.tap.gone)
        host.port.poll()
        ip("link del tap-test")
        assert host.port.poll() == host.port.poll() == 0
        assert told == [True]


def test_a_large_mtu(core, io):
    with peer(io=io, mtu=9000, offloads=False) as host:
        assert "mtu 9000" in ip("link show tap-test")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(range(250)) * 35, (OURS, 6000))
        _, data, _ = next(host.received(lambda frame: UDP in frame))
        assert data[42:] == bytes(range(250)) * 35


def test_a_tap_that_exists_is_used_and_stays(core, io):
    ip("tuntap add dev tap-test mode tap")
    ip("addr add 192.0.2.1/24 dev tap-test")
    ip("link set tap-test mtu 1400")
    with host_tap("tap-test", f"{HOSTS}/24", io=io) as tap:
        assert tap.persistent and tap.mtu == 1400
        assert ",UP" in ip("link show tap-test")
        ip(f"neigh replace 192.0.2.2 lladdr {tap.mac.hex(':')} dev tap-test")
        port = RawPort(tap.queue)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", ("192.0.2.2", 6000))
        until = time.monotonic() + 5
        while not any(data.endswith(b"hello") for data, _ in port.received):
            assert time.monotonic() < until
            port.poll()
        port.close()
    shown = ip("addr show tap-test")
    assert "192.0.2.1/24" in shown and HOSTS not in shown
    # And again, by one who has no use for offloads.
    with host_tap("tap-test", f"{HOSTS}/24", offloads=False, io=io) as tap:
        assert tap.features == 0
    ip("link del tap-test")


def test_closing_twice_and_opening_again(core, io):
    for _ in range(3):
        with host_tap("tap-test", f"{HOSTS}/24", io=io) as tap:
            tap.close()
            assert "tap-test" not in ip("link")


@pytest.mark.parametrize(
    ("name", "address", "text"),
    [
        ("tap-test", "10.99.0.1", "is no IPv4 address with its prefix length"),
        ("tap-test", "10.99.0/24", "is no IPv4 address with its prefix length"),
        ("tap-test", "fd00::1/64", "is no IPv4 address with its prefix length"),
        ("tap-test", "10.99.0.0/24", "no host's address: choose one like 10.99.0.1/24"),
        ("tap-test", "10.99.0.255/24", "no host's address"),
        ("tap-test", "10.99.0.1/31", "leaves no address for the appliance"),
        ("tap-test", "10.7.0.1/24", "the address 10.7.0.1 is on other0 already"),
        ("tap-test", "10.7.0.9/24", "10.7.0.0/24 overlaps 10.7.0.1/24 on other0"),
        ("tap-test", "10.0.0.1/8", "10.0.0.0/8 overlaps 10.7.0.1/24 on other0"),
        ("tap-test", "10.8.0.1/24", "10.8.0.0/24 is routed to other0"),
        ("lo", "10.99.0.1/24", "the interface lo is no tap device"),
        ("much-too-long-name", "10.99.0.1/24", "is no name for an interface"),
        ("a/b", "10.99.0.1/24", "is no name for an interface"),
        ("tap%d", "10.99.0.1/24", "is no name for an interface"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(core, name, address, text):
    ip("tuntap add dev other0 mode tap")
    ip("addr add 10.7.0.1/24 dev other0")
    ip("link set other0 up")
    ip("route add 10.8.0.0/24 dev other0")
    with pytest.raises(TapError) as caught, host_tap(name, address):
        pass
    assert text in str(caught.value) and "\n" not in str(caught.value)
    assert "tap-test" not in ip("link")


def test_a_name_in_use(core):
    with (
        host_tap("tap-test", f"{HOSTS}/24"),
        pytest.raises(TapError, match="another process uses the tap device tap-test") as caught,
        host_tap("tap-test", f"{HOSTS}/24"),
    ):
        pass
    assert caught.value.errno == errno.EBUSY


def test_no_device_node(core, monkeypatch):
    def missing(*_arguments):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "open", missing)
    with pytest.raises(TapError, match=r"/dev/net/tun is missing: modprobe tun, or .* mknod /dev/net/tun c 10 200"):
        TapDevice("tap-test")


# Installs a seccomp filter, as containers have one: io_uring_setup, _enter and _register fail with this error.
FORBIDDEN = """
import ctypes, struct
rules = [(0x20, 0, 0, 0), (0x35, 0, 2, 425), (0x25, 1, 0, 427), (0x06, 0, 0, 0x50000 | ERROR), (0x06, 0, 0, 0x7FFF0000)]
rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 5, ctypes.addressof(rules)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EPERM, "io_uring is forbidden: let the container or service (its seccomp filter) use io_uring_setup"),
        (errno.ENOSYS, "there is no io_uring here: take a kernel that has it"),
        (errno.ENOMEM, "io_uring gets no memory: raise ulimit -l"),
    ],
)
def test_where_the_kernel_forbids_io_uring_it_is_said_and_auto_does_without(core, error, text):
    forbidden = FORBIDDEN.replace("ERROR", str(int(error)))
    process = run(forbidden + OPEN.replace('/24")', '/24", io="uring")'))
    _, said = process.communicate()
    assert process.returncode == 1
    assert said.startswith(text) and said.endswith("or let frames go by readv and writev (--io rw)\n")
    assert said.count("\n") == 1
    show = OPEN.replace('print("open"', "print(tap.io, tap.no_uring").replace(
        '"10.99.0.1/24")', '"10.99.0.1/24") as tap'
    )
    process = run(forbidden + "import os; sys_stdin = os.close(0)\n" + show.replace("sys.stdin.read()", "pass"))
    shown, said = process.communicate()
    assert (shown.startswith(f"rw {text}"), said) == (True, "")


def test_io_uring_is_what_auto_takes_where_it_is_allowed(core):
    with peer() as host:
        assert (host.tap.io, host.tap.no_uring) == ("uring", None)
    with pytest.raises(ValueError, match="choose auto, rw or uring"):
        TapDevice("tap-test", io="epoll")
    assert "tap-test" not in ip("link")


def run(script, *, before=()):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))}
    return subprocess.Popen(
        [*before, sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


OPEN = """
import sys
from netapp.hosted.tap_setup import host_tap
try:
    with host_tap("tap-test", "10.99.0.1/24"):
        print("open", flush=True)
        sys.stdin.read()
except OSError as error:
    sys.exit(str(error))
"""


def test_nothing_is_left_after_sigkill_and_it_starts_again(core):
    for _ in range(3):
        process = run("import os, sys; sys.stdin = os.fdopen(os.pipe()[0])\n" + OPEN)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n", process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with host_tap("tap-test", f"{HOSTS}/24"):
        pass
    assert "tap-test" not in ip("link") and "10.99" not in ip("route")


def test_without_permission(core):
    process = run(OPEN, before=["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
    _, error = process.communicate()
    assert error == "no permission for the tap device tap-test: run as root (CAP_NET_ADMIN) or as its owner\n"
