"""virtio over PCI, the device's side (VIRTIO 1.2, 4.1): configuration space, BARs and MSI-X, as Registers."""

from __future__ import annotations

import struct

from netapp.drivers.registers import Registers
from tests.virtio.model.common import CommonStructure
from tests.virtio.model.device import CONFIGURATION_CHANGED, USED_BUFFERS, Device, Queue
from tests.virtio.model.interrupts import ModelInterrupts

_MEMORY, _BUS_MASTER, _NO_LINE = 2, 4, 0x400
_MSIX_BAR, _BAR = 1, 4
_MSIX_BYTES, _BAR_BYTES = 0x1000, 0x4000
# Where the structures lie in the BAR, as QEMU has them.
COMMON, ISR, DEVICE, NOTIFY, NOTIFY_MULTIPLIER = 0x0000, 0x1000, 0x2000, 0x3000, 4
_PENDING = 0x800  # in the BAR of MSI-X

NO_VECTOR = 0xFFFF
_UNACKNOWLEDGED = 1000


class PciModel:
    """A function at `place`: bus, device, function. `configuration` and `memory` are what a platform gives a driver."""

    def __init__(
        self,
        device: Device,
        interrupts: ModelInterrupts,
        *,
        vectors: int = 3,
        place: tuple[int, int, int] = (0, 3, 0),
        addresses: tuple[int, int] = (0xFEBD1000, 0x8_0000_4000),
        line: int = 11,
        decoys: bool = True,
        multiplier: int = NOTIFY_MULTIPLIER,
    ) -> None:
        """`vectors` of MSI-X, 0: a line only. `addresses`: of the two BARs, as firmware left them. `decoys`:
        capabilities that a driver must ignore (4.1.4.1)."""
        self.device = device
        self.interrupts = interrupts
        self.place = place
        self.line = line
        self.vectors = vectors
        self.multiplier = multiplier
        device.wires = self
        device.waits_for_reset = True
        self.isr = 0
        self.isr_reads = 0
        self.common = CommonStructure(self)
        self.table = [[0, 0, 0, 1] for _ in range(vectors)]
        self.pending: set[int] = set()
        self.config = Configuration(self, addresses, decoys)

    # --- what a platform gives -------------------------------------------------------------------------------------

    def configuration(self, bus: int, device: int, function: int) -> Registers:
        return self.config if (bus, device, function) == self.place else Nothing(256)

    def memory(self, address: int, size: int) -> Registers:
        return BarWindow(self, address, size)

    # --- the device's wires ----------------------------------------------------------------------------------------

    def interrupt(self, queue: Queue | None) -> None:
        if self.config.msix_enabled:
            vector = self.common.config_vector if queue is None else queue.vector
            if vector < self.vectors:
                self._message(vector)
            return
        self.isr |= CONFIGURATION_CHANGED if queue is None else USED_BUFFERS
        if not self.config.command & _NO_LINE:
            self.interrupts.set_level(self.line, True)

    def _message(self, vector: int) -> None:
        low, high, data, control = self.table[vector]
        if control & 1 or self.config.msix_masked:
            self.pending.add(vector)
        else:
            self.pending.discard(vector)
            self.interrupts.deliver(low | high << 32, data)

    def unmasked(self) -> None:
        """6.8.2.9: what is pending is sent."""
        for vector in sorted(self.pending):
            self._message(vector)

    def was_reset(self) -> None:
        self.common.clear()
        self.isr = 0
        self.pending.clear()
        self.interrupts.set_level(self.line, False)

    def started(self) -> None:
        self.device.rules.check(self.config.command & _BUS_MASTER, "pci-bus-master")

    def turn(self) -> bool:
        done = self.device.pump()
        if self.isr and self.interrupts.still(self.line) == _UNACKNOWLEDGED:
            self.device.rules.fail("interrupt-unacknowledged")
        return done

    def idle_time(self) -> int:
        return self.device.idle_time()

    # --- memory ----------------------------------------------------------------------------------------------------

    def bar_access(self, bar: int, offset: int, width: int, value: int | None) -> int:
        """A read (`value` None) or write in a BAR."""
        if bar == _MSIX_BAR:
            return self._msix_access(offset, width, value)
        if offset >= NOTIFY:
            return self._notify(offset - NOTIFY, width, value)
        if offset >= DEVICE:
            if value is None:
                return self.device.configuration.read(offset - DEVICE, width, "pci-width")
            self.device.configuration.write(offset - DEVICE, width)
            return 0
        if offset >= ISR:
            return self._read_isr(offset - ISR, width, value)
        if value is None:
            return self.common.read(offset, width)
        self.common.write(offset, width, value)
        return 0

    def _notify(self, offset: int, width: int, value: int | None) -> int:
        rules = self.device.rules
        if value is None or width != 2:
            rules.fail("pci-notify", f"{'read' if value is None else f'{width} bytes'}")
            return 0
        place = self.common.notify_off(value) * self.multiplier
        if offset != place:
            rules.fail("pci-notify", f"queue {value} at {offset}, not {place}")
        self.device.notify(value)
        return 0

    def _read_isr(self, offset: int, width: int, value: int | None) -> int:
        if offset or value is not None:
            self.device.rules.fail("pci-undefined", f"ISR status: {offset}")
            return 0
        self.device.rules.check(width == 1, "pci-width", f"{width} bytes of ISR status")
        self.isr_reads += 1
        isr, self.isr = self.isr, 0
        self.interrupts.set_level(self.line, False)
        return isr

    def _msix_access(self, offset: int, width: int, value: int | None) -> int:
        vector, at = divmod(offset, 16)
        rules = self.device.rules
        if offset >= _PENDING and value is None:
            bits = sum(1 << number for number in self.pending)
            return bits >> 8 * (offset - _PENDING) & (1 << 8 * width) - 1
        if vector >= self.vectors or width != 4:
            rules.fail("pci-undefined", f"MSI-X table: {width} bytes at {offset:#x}")
            return 0
        entry = self.table[vector]
        if value is None:
            return entry[at // 4]
        if at < 12 and not entry[3] & 1 and self.config.msix_enabled and not self.config.msix_masked:
            rules.fail("pci-msix-unmasked", f"vector {vector}")
        entry[at // 4] = value
        if at == 12:
            self.unmasked()
        return 0


class Nothing(Registers):
    """Where no function answers."""

    def read8(self, offset: int) -> int:
        return 0xFF

    def read16(self, offset: int) -> int:
        return 0xFFFF

    def read32(self, offset: int) -> int:
        return 0xFFFFFFFF

    def write8(self, offset: int, value: int) -> None:
        pass

    def write16(self, offset: int, value: int) -> None:
        pass

    def write32(self, offset: int, value: int) -> None:
        pass


class BarWindow(Registers):
    """Physical addresses: what answers there is decided at each access."""

    def __init__(self, model: PciModel, address: int, size: int) -> None:
        super().__init__(size)
        self._model = model
        self._address = address

    def _access(self, offset: int, width: int, value: int | None = None) -> int:
        model = self._model
        found = model.config.decode(self._address + offset)
        if found is None or offset + width > self.size:
            model.device.rules.fail("pci-decode", f"{self._address + offset:#x}")
            return (1 << 8 * width) - 1
        if offset % width:
            model.device.rules.fail("pci-width", f"{width} bytes at {offset:#x}")
        return model.bar_access(*found, width, value)

    def read8(self, offset: int) -> int:
        return self._access(offset, 1)

    def read16(self, offset: int) -> int:
        return self._access(offset, 2)

    def read32(self, offset: int) -> int:
        return self._access(offset, 4)

    def write8(self, offset: int, value: int) -> None:
        self._access(offset, 1, value)

    def write16(self, offset: int, value: int) -> None:
        self._access(offset, 2, value)

    def write32(self, offset: int, value: int) -> None:
        self._access(offset, 4, value)


class Configuration(Registers):
    """256 bytes of configuration space; `_mask` says which bits can be written."""

    def __init__(self, model: PciModel, addresses: tuple[int, int], decoys: bool) -> None:
        super().__init__(256)
        self._model = model
        self._bytes = bytearray(256)
        self._mask = bytearray(256)
        device = model.device
        self._put(0x00, "<HH", 0x1AF4, 0x1040 + device.device_type)
        self._put(0x04, "<HH", 0, 0x10, mask=struct.pack("<HH", 0x0407, 0))
        self._put(0x08, "<BBH", 1, 0, 0x0200)
        # An address counts in whole ranges.
        self._put(0x10 + 4 * _MSIX_BAR, "<I", addresses[0], mask=struct.pack("<I", -_MSIX_BYTES & 0xFFFFFFFF))
        if not model.vectors:
            self._put(0x10 + 4 * _MSIX_BAR, "<I", 0, mask=bytes(4))
        self._put(0x10 + 4 * _BAR, "<Q", addresses[1] | 0xC, mask=struct.pack("<Q", -_BAR_BYTES & (1 << 64) - 1))
        self._put(0x2C, "<HH", 0x1AF4, 0x1100)
        self._put(0x3C, "<BB", model.line, 1, mask=b"\xff\0")
        self._next = 0x34
        self._free = 0x40
        self.msix = self.window_at = 0
        if model.vectors:
            self.msix = self._capability(0x11, struct.pack("<HII", model.vectors - 1, _MSIX_BAR, _PENDING | _MSIX_BAR))
            self._mask[self.msix + 3] = 0xC0
        if decoys:
            self._structure(0x80, _BAR, 0x3F00, 16)  # a cfg_type of the future
            self._structure(1, 7, 0, 56)  # a BAR that is reserved
        self._structure(1, _BAR, COMMON, 0x1000, bytes(8) if decoys else b"")
        self._structure(3, _BAR, ISR, 0x1000)
        self._structure(4, _BAR, DEVICE, 0x1000)
        self._structure(2, _BAR, NOTIFY, 0x1000, struct.pack("<I", model.multiplier))
        self.window_at = self._structure(5, 0, 0, 0, bytes(4))
        for at in (4, *range(8, 16)):
            self._mask[self.window_at + at] = 0xFF
        if decoys:
            self._structure(1, _BAR, 0x0F00, 56)  # the first is to be preferred

    def _put(self, at: int, form: str, *values: int, mask: bytes | None = None) -> None:
        struct.pack_into(form, self._bytes, at, *values)
        if mask is not None:
            self._mask[at : at + len(mask)] = mask

    def _capability(self, number: int, body: bytes) -> int:
        at = self._free
        self._bytes[self._next] = at
        self._bytes[at : at + 2] = bytes([number, 0])
        self._bytes[at + 2 : at + 2 + len(body)] = body
        self._next = at + 1
        self._free = (at + 2 + len(body) + 3) & ~3
        assert self._free <= 256
        return at

    def _structure(self, kind: int, bar: int, offset: int, length: int, more: bytes = b"") -> int:
        """struct virtio_pci_cap: 4.1.4"""
        body = struct.pack("<BBBBHII", 16 + len(more), kind, bar, 0, 0, offset, length) + more
        return self._capability(9, body)

    # --- what it says ----------------------------------------------------------------------------------------------

    @property
    def command(self) -> int:
        return self._bytes[4] | self._bytes[5] << 8

    @property
    def msix_enabled(self) -> bool:
        return bool(self.msix and self._bytes[self.msix + 3] & 0x80)

    @property
    def msix_masked(self) -> bool:
        return bool(self._bytes[self.msix + 3] & 0x40)

    def decode(self, address: int) -> tuple[int, int] | None:
        """(BAR, offset) of what answers at an address."""
        if not self.command & _MEMORY:
            return None
        for bar, size, form in ((_MSIX_BAR, _MSIX_BYTES, "<I"), (_BAR, _BAR_BYTES, "<Q")):
            first = struct.unpack_from(form, self._bytes, 0x10 + 4 * bar)[0] & ~0xF
            if first and first <= address < first + size:
                return bar, address - first
        return None

    # --- accesses --------------------------------------------------------------------------------------------------

    def _window(self, width: int) -> tuple[int, int] | None:
        """4.1.4.9.2: (BAR, offset) that PCI_CFG reaches."""
        bar = self._bytes[self.window_at + 4]
        offset, length = struct.unpack_from("<II", self._bytes, self.window_at + 8)
        held = length in (1, 2, 4) and length == width and offset % length == 0 and bar == _BAR
        held = held and offset + length <= _BAR_BYTES
        self._model.device.rules.check(held, "pci-cfg-window", f"{length} bytes at {offset:#x} of BAR {bar}")
        return (bar, offset) if held else None

    def _read(self, offset: int, width: int) -> int:
        if offset % width or offset + width > 256:
            self._model.device.rules.fail("pci-width", f"{width} bytes at {offset:#x} of configuration space")
            return 0
        if offset == self.window_at + 16:
            found = self._window(width)
            return self._model.bar_access(*found, width, None) if found else 0
        return int.from_bytes(self._bytes[offset : offset + width], "little")

    def _write(self, offset: int, width: int, value: int) -> None:
        if offset % width or offset + width > 256:
            self._model.device.rules.fail("pci-width", f"{width} bytes at {offset:#x} of configuration space")
            return
        if offset == self.window_at + 16:
            found = self._window(width)
            if found:
                self._model.bar_access(*found, width, value)
            return
        for at, byte in enumerate(value.to_bytes(width, "little"), offset):
            mask = self._mask[at]
            self._bytes[at] = self._bytes[at] & ~mask | byte & mask
        if self.msix and offset <= self.msix + 3 < offset + width and not self.msix_masked:
            self._model.unmasked()

    def read8(self, offset: int) -> int:
        return self._read(offset, 1)

    def read16(self, offset: int) -> int:
        return self._read(offset, 2)

    def read32(self, offset: int) -> int:
        return self._read(offset, 4)

    def write8(self, offset: int, value: int) -> None:
        self._write(offset, 1, value)

    def write16(self, offset: int, value: int) -> None:
        self._write(offset, 2, value)

    def write32(self, offset: int, value: int) -> None:
        self._write(offset, 4, value)
