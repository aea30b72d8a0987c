"""A boot image on the bare machine: the native platform and the network card that it finds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netapp.drivers.virtio.net import VirtioNet
from netapp.drivers.virtio.transport import VirtioError
from netapp.native import platform as native
from netapp.native.discovery import transports
from netapp.node.platform import Platform

_log = logging.getLogger("netapp.native")

# Ctrl-C, as a terminal sends it, and Ctrl-D.
_ENDS = frozenset(b"\x03\x04")


@dataclass(frozen=True)
class Bare:
    platform: Platform
    device: VirtioNet
    controller: native.NativeInterruptController
    wire: str
    ends: str = "Ctrl-C on its console"

    @contextmanager
    def told(self, end: Callable[[], object]) -> Iterator[None]:
        """Within it, `end` is called when somebody types Ctrl-C on the console."""

        def typed(text: bytes) -> None:
            if _ENDS.intersection(text):
                end()

        console = native.Console(self.controller, typed)
        self.platform.interrupts.attach(console.source, console)
        try:
            yield
        finally:
            self.platform.interrupts.detach(console.source)

    def check(self) -> None:
        """Raises what ended it, if that was not the user: nothing else does."""


@contextmanager
def bare() -> Iterator[Bare]:
    """VirtioError: there is no network card, or it cannot be used."""
    found = transports()
    first = next(found, None)
    if first is None:
        raise VirtioError("the machine has no virtio network card: give it one (of QEMU: -device virtio-net-pci)")
    interrupts = native.NativeInterrupts()
    controller = native.NativeInterruptController()
    device = VirtioNet(first, controller, interrupts)
    for other in found:
        _log.warning("%s: another network card, which is not used", other.name)
    size, free = native.memory()
    _log.info("%d MiB of memory, %d free; the clock is the %s", size >> 20, free >> 20, native.clock_name())
    yield Bare(
        Platform(native.NativeClock(), native.NativeWallClock(), native.NativeEntropy(), interrupts),
        device,
        controller,
        f"{device.name}, {device.mac.hex(':')}",
    )
