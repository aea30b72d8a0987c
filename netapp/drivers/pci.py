"""PCI functions: how to find them, their memory, capabilities and MSI-X. Sections are those of PCI Local Bus 3.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from netapp.drivers.interrupts import Message
from netapp.drivers.registers import MemoryRegisters, Registers

Configuration = Callable[[int, int, int], Registers]
"""(bus, device, function) to its configuration space, 256 bytes. Where no function is, all ones are read."""
Memory = Callable[[int, int], Registers]
"""(address, size) to the registers there."""

# The header of type 0 (6.1), and of type 1, of a bridge (PCI-to-PCI Bridge 1.2, 3.2).
VENDOR, DEVICE, COMMAND, STATUS, REVISION, HEADER_TYPE, BARS = 0x00, 0x02, 0x04, 0x06, 0x08, 0x0E, 0x10
SECONDARY_BUS, SUBSYSTEM_VENDOR, SUBSYSTEM, CAPABILITIES, INTERRUPT_LINE = 0x19, 0x2C, 0x2E, 0x34, 0x3C

COMMAND_IO, COMMAND_MEMORY, COMMAND_BUS_MASTER, COMMAND_NO_LINE = 0x001, 0x002, 0x004, 0x400
_STATUS_CAPABILITIES = 0x10

VENDOR_CAPABILITY, MSIX_CAPABILITY = 0x09, 0x11
_MSIX_ENABLE, _MSIX_MASK_ALL, _MSIX_ENTRY_MASKED = 0x8000, 0x4000, 1
_MSIX_ENTRY_BYTES = 16


class Bar(NamedTuple):
    """A range of addresses that the function answers at (6.2.5)."""

    address: int
    size: int
    is_memory: bool


class Function:
    """A function of a device. `config` is its configuration space."""

    def __init__(self, bus: int, device: int, function: int, config: Registers) -> None:
        self.name = f"{bus:02x}:{device:02x}.{function}"
        self.config = config
        self.vendor = config.read16(VENDOR)
        self.device = config.read16(DEVICE)
        self.is_bridge = config.read8(HEADER_TYPE) & 0x7F == 1
        self._bars: list[Bar | None] | None = None

    @property
    def subsystem(self) -> int:
        return self.config.read16(SUBSYSTEM)

    def set_command(self, on: int, off: int = 0) -> None:
        self.config.write16(COMMAND, self.config.read16(COMMAND) & ~off | on)

    def bars(self) -> list[Bar | None]:
        """The six of them; the second half of one of 64 bits is None, and so is one that is not there."""
        if self._bars is None:
            command = self.config.read16(COMMAND)
            # While they are sized they hold no address to answer at.
            self.config.write16(COMMAND, command & ~(COMMAND_IO | COMMAND_MEMORY))
            self._bars = self._size_bars()
            self.config.write16(COMMAND, command)
        return self._bars

    def _size_bars(self) -> list[Bar | None]:
        bars: list[Bar | None] = []
        count = 2 if self.is_bridge else 6
        while len(bars) < count:
            at = BARS + 4 * len(bars)
            low = self.config.read32(at)
            wide = low & 7 == 4 and len(bars) + 1 < count
            mask = self._ones(at)
            address, size = low & ~0xF, mask & ~0xF
            if wide:
                address |= self.config.read32(at + 4) << 32
                size |= self._ones(at + 4) << 32
            if low & 1:
                # The upper half of an I/O range may not be there.
                size = mask & ~3 | (0xFFFF0000 if mask & 0xFFFF0000 == 0 else 0)
                bars.append(Bar(low & ~3, -size & 0xFFFF, False) if mask else None)
            else:
                bits = 64 if wide else 32
                bars.append(Bar(address, -size & (1 << bits) - 1, True) if size else None)
                if wide:
                    bars.append(None)
        return bars

    def _ones(self, at: int) -> int:
        """What stays of ones that are written there: the bits of the address that the function compares."""
        before = self.config.read32(at)
        self.config.write32(at, 0xFFFFFFFF)
        mask = self.config.read32(at)
        self.config.write32(at, before)
        return mask

    def capabilities(self) -> Iterator[tuple[int, int]]:
        """(id, offset) of each (6.7)."""
        if not self.config.read16(STATUS) & _STATUS_CAPABILITIES:
            return
        at = self.config.read8(CAPABILITIES) & ~3
        # So many fit; a list that goes in circles ends.
        for _ in range(48):
            if at < 0x40:
                return
            yield self.config.read8(at), at
            at = self.config.read8(at + 1) & ~3

    def msix(self, memory: Memory = MemoryRegisters) -> Msix | None:
        for capability, at in self.capabilities():
            if capability == MSIX_CAPABILITY:
                return Msix(self, at, memory)
        return None


class Msix:
    """The table of a function's interrupt messages (6.8.2)."""

    def __init__(self, function: Function, at: int, memory: Memory) -> None:
        config = function.config
        self._config, self._at = config, at
        self.size = (config.read16(at + 2) & 0x7FF) + 1
        place = config.read32(at + 4)
        bar = function.bars()[place & 7] if place & 7 < 6 else None
        offset = place & ~7
        if bar is None or not bar.is_memory or offset + self.size * _MSIX_ENTRY_BYTES > bar.size or not bar.address:
            raise ValueError(f"PCI function {function.name}: its table of interrupt messages is nowhere")
        self._table = memory(bar.address + offset, self.size * _MSIX_ENTRY_BYTES)

    def enable(self) -> None:
        self._config.write16(self._at + 2, self._config.read16(self._at + 2) & ~_MSIX_MASK_ALL | _MSIX_ENABLE)

    def disable(self) -> None:
        self._config.write16(self._at + 2, self._config.read16(self._at + 2) & ~(_MSIX_ENABLE | _MSIX_MASK_ALL))

    def set(self, vector: int, message: Message) -> None:
        at = vector * _MSIX_ENTRY_BYTES
        control = self._table.read32(at + 12)
        self._table.write32(at + 12, control | _MSIX_ENTRY_MASKED)  # not to be changed unmasked (6.8.2.9)
        self._table.write32(at, message.address & 0xFFFFFFFF)
        self._table.write32(at + 4, message.address >> 32)
        self._table.write32(at + 8, message.data)
        self._table.write32(at + 12, control & ~_MSIX_ENTRY_MASKED)


def functions(configuration: Configuration, bus: int = 0) -> Iterator[Function]:
    """Those that are there, behind bridges too, in the order of their numbers."""
    seen = {bus}
    buses = [bus]
    while buses:
        bus = buses.pop(0)
        for device in range(32):
            for number in range(8):
                config = configuration(bus, device, number)
                if config.read16(VENDOR) == 0xFFFF:
                    if number == 0:
                        break
                    continue
                function = Function(bus, device, number, config)
                if function.is_bridge:
                    secondary = config.read8(SECONDARY_BUS)
                    if secondary not in seen:
                        seen.add(secondary)
                        buses.append(secondary)
                yield function
                if number == 0 and not config.read8(HEADER_TYPE) & 0x80:
                    break
