"""Which virtio devices the bare machine has, and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netapp.drivers.pci import functions
from netapp.drivers.virtio.mmio import MmioTransport
from netapp.drivers.virtio.pci import PciTransport, is_virtio
from netapp.drivers.virtio.transport import Transport, VirtioError
from netapp.native.platform import PciConfiguration, device_registers

NETWORK_CARD = 1
"""Transport.device_type (VIRTIO 1.2, 5)."""

_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# As Linux has it (Documentation/admin-guide/kernel-parameters.txt); QEMU's microvm and Firecracker add it.
_MMIO = re.compile(r"virtio_mmio\.device=(\w+?)([kmg]?)@(\w+):(\w+)(?::\w+)?", re.IGNORECASE)


def mmio_windows(command_line: str) -> Iterator[tuple[int, int, int]]:
    """(address, size, interrupt line) of the virtio windows that the command line names."""
    for word in command_line.split():
        if word.startswith("virtio_mmio.device="):
            found = _MMIO.fullmatch(word)
            try:
                if found is None:
                    raise ValueError
                size, unit, address, line = found.groups()
                yield int(address, 0), int(size, 0) * _SIZE_UNITS[unit.lower()], int(line, 0)
            except ValueError:
                raise VirtioError(f"kernel command line: {word} is not virtio_mmio.device=SIZE@ADDRESS:LINE") from None


def transports(command_line: str, device_type: int = NETWORK_CARD) -> Iterator[Transport]:
    """Those of this kind: the PCI functions in their order, then the windows by address. VirtioError: one is not modern."""
    for function in functions(PciConfiguration):
        if is_virtio(function):
            pci = PciTransport(function, device_registers)
            if pci.device_type == device_type:
                yield pci
    for address, size, line in sorted(mmio_windows(command_line)):
        mmio = MmioTransport(device_registers(address, size), line, name=f"virtio-mmio {address:#x}")
        if mmio.device_type == device_type:
            yield mmio
