"""A host that is nothing but its frames, beside a node that serves memcached: on a memory wire or on a tap."""

from __future__ import annotations

import socket
import time
from itertools import count
from typing import Any

import dpkt
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from netapp.node.simulation import Simulation
from tests.virtio.model.frames import Header, segments

OURS, HOST = "10.99.0.2", "10.99.0.9"  # the kernel's is 10.99.0.1
HOST_MAC, BROADCAST = b"\x02\0\0\0\0\x99", b"\xff" * 6
_PATIENCE = 20.0  # s
_FENCE = 0xFACE
_ETH_P_ALL, _SOL_PACKET = 3, 263
_PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING, _VNET_BYTES = 15, 23, 10


class Frames:
    """`exchange()` is all that a test needs."""

    mac = b""  # the node's

    def __init__(self) -> None:
        self._numbers = count(1)

    def send(self, frame: bytes) -> None:
        raise NotImplementedError

    def receive(self) -> list[bytes]:
        """What came since; waits a little where time is real."""
        raise NotImplementedError

    def greet(self) -> bytes:
        """The host becomes the node's neighbour; the answer."""
        question = Ether(src=HOST_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=HOST_MAC, psrc=HOST, pdst=OURS)
        self.send(bytes(question))
        end = time.monotonic() + _PATIENCE
        # What is announced comes before it, maybe.
        while not (answers := [frame for frame in self.receive() if frame[:6] == HOST_MAC and frame[20:22] == b"\0\2"]):
            assert time.monotonic() < end, "ARP is not answered"
        self.mac = answers[0][6:12]
        return answers[0]

    def to_us(self, packet: Any, **fields: Any) -> bytes:
        """A frame of a packet that has no addresses yet."""
        header = IP(**{"src": HOST, "dst": OURS, **fields})
        return bytes(Ether(src=HOST_MAC, dst=self.mac) / header / packet)

    def exchange(self, *frames: Any, answers: int | None = 0) -> list[bytes]:
        """What comes back: so many, which are waited for, and whatever else was sent before an echo, asked for behind
        the frames, came. None: however many."""
        number = next(self._numbers)
        for frame in frames:
            self.send(bytes(frame))
        self.send(self.to_us(ICMP(id=_FENCE, seq=number)))
        got: list[bytes] = []
        fenced = False
        end = time.monotonic() + _PATIENCE
        while not fenced or len(got) < (answers or 0):
            for frame in self.receive():
                if _is_fence(frame, number):
                    fenced = True
                elif not self._answered(frame):
                    got.append(frame)
            assert time.monotonic() < end, f"{len(got)} answers, {'alive' if fenced else 'dead'}: {got}"
        assert answers is None or len(got) == answers, [Ether(frame).summary() for frame in got]
        return got

    def _answered(self, frame: bytes) -> bool:
        """The node asked where the host still is."""
        ethernet = dpkt.ethernet.Ethernet(frame)
        if not isinstance(ethernet.data, dpkt.arp.ARP) or ethernet.data.op != 1:
            return False
        if ethernet.data.tpa == socket.inet_aton(HOST):
            answer = ARP(op=2, hwsrc=HOST_MAC, psrc=HOST, hwdst=ethernet.src, pdst=OURS)
            self.send(bytes(Ether(src=HOST_MAC, dst=ethernet.src) / answer))
        return True


def _is_fence(frame: bytes, number: int) -> bool:
    return frame[12:14] == b"\x08\0" and frame[23] == 1 and frame[38:42] == bytes([0xFA, 0xCE]) + number.to_bytes(2)


class MemoryFrames(Frames):
    def __init__(self, simulation: Simulation, end: Any) -> None:
        super().__init__()
        self._simulation, self._end = simulation, end

    def send(self, frame: bytes) -> None:
        with self._simulation.outside:
            assert self._end.send(frame)
        self._simulation.settle()

    def receive(self) -> list[bytes]:
        self._simulation.settle()
        with self._simulation.outside:
            return list(self._end.receive())


class TapFrames(Frames):
    """On the host's side of a tap, where frames may still be to be cut or completed. Sockets of the kernel can have the
    same tap: its frames go to another link address."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._socket.bind((name, _ETH_P_ALL))
        self._socket.settimeout(0.05)
        self._seen: set[bytes] = set()

    def send(self, frame: bytes) -> None:
        self._socket.send(bytes(_VNET_BYTES) + frame)

    def receive(self) -> list[bytes]:
        try:
            data = self._socket.recv(1 << 17)
        except TimeoutError:
            return []
        frame = data[_VNET_BYTES:]
        if frame[:6] not in (HOST_MAC, BROADCAST):
            return []
        whole = segments(frame, Header.unpack(data[:_VNET_BYTES] + bytes(2)))
        return [piece for piece in whole if not self._is_again(piece)]

    def _is_again(self, frame: bytes) -> bool:
        """A segment that was sent again, as this process took its time."""
        packet = dpkt.ethernet.Ethernet(frame).data
        if not isinstance(packet, dpkt.ip.IP) or not isinstance(packet.data, dpkt.tcp.TCP):
            return False
        segment = packet.data
        if not segment.data and not segment.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_FIN):
            return False
        key = bytes(segment)[:8] + bytes([segment.flags]) + bytes(segment.data)
        again = key in self._seen
        self._seen.add(key)
        return again

    def close(self) -> None:
        self._socket.close()
