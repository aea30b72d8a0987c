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
from netapp.tcp.config import TcpConfig

_log = logging.getLogger("netapp.native")

_MIB = 1 << 20
_LEAST_POOL, _LEAST_REST = 4 * _MIB, 3 * _MIB
_CONNECTION = 1400  # bytes that Python and tables have of one, the pool's apart
# 256 bytes and more are queued by reference, with a view of 32; of send_limit_total at most five times as much.
_QUEUED = 8
_REST = 8  # of what is free, this part is not the pool's

# Ctrl-C, as a terminal sends it, and Ctrl-D; Ctrl-T, with which BSD's terminals ask how a program is.
_ENDS = frozenset(b"\x03\x04")
_ASKS = 0x14


@dataclass(frozen=True)
class Bare:
    """What a node runs on."""

    platform: Platform
    device: VirtioNet
    controller: native.NativeInterruptController
    wire: str
    ends: str = "Ctrl-C on its console"

    @contextmanager
    def told(self, end: Callable[[], object], tell: Callable[[dict[str, int]], object]) -> Iterator[None]:
        """Within it, `end` is called when somebody types Ctrl-C on the console, and for Ctrl-T `tell`, with the
        interrupts that were taken, by what they were of."""

        def typed(text: bytes) -> None:
            if _ASKS in text:
                taken = native.interrupts_taken()
                timers, keys = taken[native.TIMER], taken[console.source]
                tell({"devices": sum(taken) - timers - keys, "timers": timers, "the console": keys})
            if _ENDS.intersection(text):
                end()

        console = native.Console(self.controller, typed)
        self.platform.interrupts.attach(console.source, console)
        try:
            yield
        finally:
            self.platform.interrupts.detach(console.source)

    def pool_bytes(self, asked: int) -> int:
        """How large the buffer pool can be, where an appliance asks for so much; there must be room for connections,
        tables and Python, too. MemoryError: too little for any pool."""
        _, free, largest = native.memory()
        room = min(free - max(free // _REST, _LEAST_REST), largest) // _MIB * _MIB
        if room < _LEAST_POOL:
            raise MemoryError(f"{free // _MIB} MiB of memory are free, too few for packets: give the machine more")
        if room < asked:
            _log.info("a pool of %d MiB, not %d, is what the memory allows", room // _MIB, asked // _MIB)
        return min(asked, room)

    def tcp(self, pool: int) -> TcpConfig:
        """Limits that keep what is in memory beside a pool of such a size: connections, each of which is a while in
        TIME-WAIT, and views of what is queued, for which a quarter of it is enough by `_QUEUED`."""
        rest = native.memory()[1] - pool
        return TcpConfig(
            max_connections=max(1, min(rest // 2 // _CONNECTION, TcpConfig.max_connections)),
            send_limit_total=max(1, min(rest // 4 * _QUEUED // 5, TcpConfig.send_limit_total)),
        )

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
    size, free, _ = native.memory()
    _log.info("%d MiB of memory, %d free; the clock is the %s", size >> 20, free >> 20, native.clock_name())
    yield Bare(
        Platform(native.NativeClock(), native.NativeWallClock(), native.NativeEntropy(), interrupts),
        device,
        controller,
        f"{device.name}, {device.mac.hex(':')}",
    )
