"""Which virtio devices the bare machine has, and how they are reached."""

from __future__ import annotations

from collections.abc import Iterator

from netapp.drivers.pci import functions
from netapp.drivers.virtio.mmio import MmioTransport
from netapp.drivers.virtio.pci import PciTransport, is_virtio
from netapp.drivers.virtio.transport import Transport
from netapp.native.platform import PciConfiguration, device_registers, windows

NETWORK_CARD = 1
"""Transport.device_type (VIRTIO 1.2, 5)."""


def transports(device_type: int = NETWORK_CARD) -> Iterator[Transport]:
    """Those of this kind, PCI functions first, then windows by address. VirtioError: a device is not modern."""
    for function in functions(PciConfiguration):
        if is_virtio(function):
            pci = PciTransport(function, device_registers)
            if pci.device_type == device_type:
                yield pci
    for address, size, line, edge in sorted(windows()):
        mmio = MmioTransport(device_registers(address, size), line, edge, f"virtio-mmio {address:#x}")
        if mmio.device_type == device_type:
            yield mmio
