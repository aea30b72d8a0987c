"""A tap device, and the host's side of it."""

import contextlib
import os
import socket
import time

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from netapp.drivers.device import Offload
from netapp.drivers.python import RawPort
from netapp.drivers.tap import TapDevice
from netapp.hosted.tap_setup import host_tap
from tests.support.namespaces import ip

PARTIAL, TCPV4, UDP_L4 = 1, 1, 5
OURS, HOSTS = "10.99.0.2", "10.99.0.1"


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
        self.raw.settimeout(20)

    def close(self) -> None:
        self.raw.close()
        self.port.close()

    def headers(self, transport):
        return Ether(src=self.ours, dst=self.hosts) / IP(src=OURS, dst=HOSTS, id=1) / transport

    def received(self, wanted):
        """The next frames for which `wanted` is true, with their offloads, as they come."""
        until = time.monotonic() + 20
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


def is_tap(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}") == "/dev/net/tun"
    except OSError:
        return False
