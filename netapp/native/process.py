"""A boot image as a Linux process: the hosted platform on a tap that is there already."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netapp.drivers.tap import TapDevice
from netapp.drivers.tap_queue import TapError
from netapp.hosted.platform import EpollInterrupts, MonotonicClock, RealWallClock, SystemEntropy
from netapp.hosted.signals import Signals
from netapp.native.config import ImageOptions
from netapp.node.platform import Platform
from netapp.tcp.config import TcpConfig

_log = logging.getLogger("netapp.native")


@dataclass(frozen=True)
class Process:
    """What a node runs on."""

    platform: Platform
    device: TapDevice
    interrupts: EpollInterrupts
    wire: str
    ends: str

    @contextmanager
    def told(self, end: Callable[[], object], tell: Callable[[dict[str, int]], object]) -> Iterator[None]:
        """Within it, `end` is called for SIGTERM and SIGINT, and when the tap goes away; `tell` for SIGUSR1."""
        self.device.when_removed = end
        with Signals(self.interrupts, lambda: tell({}), (signal.SIGUSR1,)), Signals(self.interrupts, end):
            yield

    def pool_bytes(self, asked: int) -> int:
        """What an appliance asks for: Linux has memory when it is touched."""
        return asked

    def tcp(self, pool: int) -> TcpConfig:
        return TcpConfig()

    def check(self) -> None:
        """Raises what ended it, if that was not the user."""
        if self.device.gone:
            raise TapError(errno.ENODEV, f"the tap device {self.device.name} was removed")


@contextmanager
def process(options: ImageOptions) -> Iterator[Process]:
    """Raises TapError."""
    interrupts = EpollInterrupts()
    try:
        device = TapDevice(options.tap, mtu=None, io=options.io)
        if not device.persistent:
            device.close()  # which takes it away again: nobody would give it an address
            raise TapError(
                errno.ENODEV,
                f"there is no tap device {options.tap}: make it (ip tuntap add dev {options.tap} mode tap), give it"
                " an address and set it up, or choose another with --tap",
            )
        if device.no_uring is not None:
            _log.warning("%s; frames go by readv and writev", device.no_uring)
        platform = Platform(MonotonicClock(), RealWallClock(), SystemEntropy(), interrupts)
        vlan = "" if options.vlan is None else f", VLAN {options.vlan}"
        yield Process(platform, device, interrupts, f"tap {options.tap}{vlan}", f"Ctrl-C, or kill {os.getpid()},")
    finally:
        interrupts.close()
