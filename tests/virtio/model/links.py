"""What lies behind the network device: a test's list, netapp's memory wire, or a tap device."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Protocol

from netapp.drivers.device import Offload
from netapp.drivers.memory import MemoryEnd
from netapp.ebb.core import Core
from tests.virtio.model.frames import HEADER_BYTES, Header, segments

_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_OFFLOAD_CSUM, _OFFLOAD_TSO4, _OFFLOAD_USO4 = 0x01, 0x02, 0x20
_BUDGET = 64


class Link(Protocol):
    """What lies behind the network device."""

    def transmit(self, frame: bytes, header: Header) -> bool:
        """False: not now; the device tries again."""
        ...

    def poll(self) -> list[tuple[bytes, Header]]:
        """What arrived; the header says what is still to be done for it, as a driver would."""
        ...


class ListLink:
    """Keeps what is transmitted; `arrive()` is what comes."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Header]] = []
        self.full = False
        self._arrived: list[tuple[bytes, Header]] = []

    def transmit(self, frame: bytes, header: Header) -> bool:
        if not self.full:
            self.sent.append((frame, header))
        return not self.full

    def arrive(self, frame: bytes, header: Header | None = None) -> None:
        self._arrived.append((frame, header or Header()))

    def poll(self) -> list[tuple[bytes, Header]]:
        arrived, self._arrived = self._arrived, []
        return arrived

    @property
    def frames(self) -> list[bytes]:
        """What was transmitted, as it leaves: cut, and with checksums."""
        return [piece for frame, header in self.sent for piece in segments(frame, header)]


class MemoryLink:
    """An end of a memory wire, which does for the other end what that cannot; used on `core`."""

    def __init__(self, end: MemoryEnd, core: Core) -> None:
        self._end = end
        self._core = core

    def transmit(self, frame: bytes, header: Header) -> bool:
        with self._core:
            return self._end.send(frame, Offload(*header[:6]))

    def poll(self) -> list[tuple[bytes, Header]]:
        with self._core:
            return [(data, Header(*offload)) for data, offload in self._end.receive_offloaded()]


class TapLink:
    """A tap device that is there, or is made; the kernel does what is left to do for a frame."""

    def __init__(self, name: str, offloads: bool = True, uso: bool = False) -> None:
        self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.file, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
        fcntl.ioctl(self.file, _TUNSETVNETHDRSZ, struct.pack("i", HEADER_BYTES))
        taken = (_OFFLOAD_CSUM | _OFFLOAD_TSO4 | (_OFFLOAD_USO4 if uso else 0)) if offloads else 0
        fcntl.ioctl(self.file, _TUNSETOFFLOAD, taken)

    def transmit(self, frame: bytes, header: Header) -> bool:
        try:
            os.write(self.file, header.pack() + frame)
        except BlockingIOError:
            return False
        except OSError:
            pass  # the interface is down
        return True

    def poll(self) -> list[tuple[bytes, Header]]:
        frames = []
        for _ in range(_BUDGET):
            try:
                data = os.read(self.file, 1 << 17)
            except OSError:
                break
            frames.append((data[HEADER_BYTES:], Header.unpack(data)._replace(num_buffers=0)))
        return frames

    def close(self) -> None:
        os.close(self.file)
