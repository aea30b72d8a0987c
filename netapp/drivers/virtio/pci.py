"""virtio over PCI (4.1): the modern interface, whose registers lie in memory."""

from __future__ import annotations

from collections.abc import Iterator

from netapp.drivers.interrupts import InterruptController
from netapp.drivers.pci import (
    COMMAND_BUS_MASTER,
    COMMAND_MEMORY,
    COMMAND_NO_LINE,
    INTERRUPT_LINE,
    VENDOR_CAPABILITY,
    Function,
    Memory,
    Msix,
)
from netapp.drivers.registers import MemoryRegisters, Registers
from netapp.drivers.virtio.transport import (
    CONFIGURATION_CHANGED,
    NO_VECTOR,
    USED_BUFFERS,
    Notification,
    Sources,
    Transport,
    VirtioError,
)

VIRTIO_VENDOR = 0x1AF4
_FIRST, _MODERN, _LAST = 0x1000, 0x1040, 0x107F  # of the devices' numbers (4.1.2)

# cfg_type of a capability (4.1.4), and the least bytes of what it tells of.
_COMMON, _NOTIFY, _ISR, _DEVICE = 1, 2, 3, 4
_LEAST = {_COMMON: 56, _NOTIFY: 2, _ISR: 1, _DEVICE: 1}
_MOST = 4096  # of a structure that is looked at

# struct virtio_pci_common_cfg (4.1.4.3).
_DEVICE_FEATURE_SELECT, _DEVICE_FEATURE, _DRIVER_FEATURE_SELECT, _DRIVER_FEATURE = 0, 4, 8, 12
_CONFIG_VECTOR, _NUM_QUEUES, _STATUS, _GENERATION = 16, 18, 20, 21
_QUEUE_SELECT, _QUEUE_SIZE, _QUEUE_VECTOR, _QUEUE_ENABLE, _QUEUE_NOTIFY_OFF = 22, 24, 26, 28, 30
_QUEUE_DESCRIPTOR, _QUEUE_DRIVER, _QUEUE_DEVICE = 32, 40, 48


def is_virtio(function: Function) -> bool:
    return function.vendor == VIRTIO_VENDOR and _FIRST <= function.device <= _LAST


class PciTransport(Transport):
    def __init__(self, function: Function, memory: Memory = MemoryRegisters) -> None:
        """`memory`: where the registers of an address are found. VirtioError: it lacks the modern interface."""
        self.name = f"PCI {function.name}"
        self.device_type = function.device - _MODERN if function.device >= _MODERN else function.subsystem
        self._function = function
        self._memory = memory
        self._multiplier = 0
        structures: dict[int, Registers] = {}
        for kind, registers, multiplier in self._structures():
            # The first one that can be used is the best (4.1.4.1).
            if kind not in structures:
                structures[kind] = registers
                if kind == _NOTIFY:
                    self._multiplier = multiplier
        # A legacy device lacks them: to fail gracefully is 4.1.5.1.1.1.
        if not {_COMMON, _NOTIFY, _ISR} <= structures.keys():
            raise VirtioError(
                f"{self.name}: the device has no modern virtio interface in memory: let the hypervisor give it one "
                "(of QEMU: disable-legacy=on)"
            )
        self._common, self._notify, self._isr = structures[_COMMON], structures[_NOTIFY], structures[_ISR]
        self.config = structures.get(_DEVICE) or self._isr.window(0, 0)
        self._msix: Msix | None = None
        self._shared = False
        self._vectors: list[int] = []
        function.set_command(COMMAND_MEMORY | COMMAND_BUS_MASTER)

    def _structures(self) -> Iterator[tuple[int, Registers, int]]:
        """(cfg_type, registers, multiplier of a notification's) of each capability that can be used (4.1.4)."""
        config, bars = self._function.config, self._function.bars()
        for capability, at in self._function.capabilities():
            if capability != VENDOR_CAPABILITY or at + 16 > config.size:
                continue
            kind, bar_number = config.read8(at + 3), config.read8(at + 4)
            offset, length = config.read32(at + 8), config.read32(at + 12)
            # Reserved values are to be ignored (4.1.4.1); an I/O range is not reached from here.
            if kind not in _LEAST or bar_number > 5:
                continue
            bar = bars[bar_number]
            if bar is None or not bar.is_memory or not bar.address:
                continue
            if length < _LEAST[kind] or offset + length > bar.size or (kind == _NOTIFY and at + 20 > config.size):
                continue
            multiplier = config.read32(at + 16) if kind == _NOTIFY else 0
            # The notifications of many queues may be far apart.
            size = length if kind == _NOTIFY else min(length, _MOST)
            yield kind, self._memory(bar.address + offset, size), multiplier

    def reset(self) -> None:
        try:
            super().reset()
        except VirtioError:
            # It does not say that it leaves our memory alone: so it is kept from it.
            self._function.set_command(0, COMMAND_BUS_MASTER)
            raise

    @property
    def status(self) -> int:
        return self._common.read8(_STATUS)

    @status.setter
    def status(self, status: int) -> None:
        self._common.write8(_STATUS, status)

    def device_feature_word(self, select: int) -> int:
        self._common.write32(_DEVICE_FEATURE_SELECT, select)
        return self._common.read32(_DEVICE_FEATURE)

    def set_driver_feature_word(self, select: int, features: int) -> None:
        self._common.write32(_DRIVER_FEATURE_SELECT, select)
        self._common.write32(_DRIVER_FEATURE, features)

    def config_generation(self) -> int:
        return self._common.read8(_GENERATION)

    def queue_size(self, index: int) -> int:
        if index >= self._common.read16(_NUM_QUEUES):
            return 0
        self._common.write16(_QUEUE_SELECT, index)
        return self._common.read16(_QUEUE_SIZE)

    def set_queue(self, index: int, size: int, areas: tuple[int, int, int], pair: int | None) -> None:
        common = self._common
        common.write16(_QUEUE_SELECT, index)
        common.write16(_QUEUE_SIZE, size)
        if self._msix is not None:
            self._set_vector(_QUEUE_VECTOR, NO_VECTOR if pair is None else self._vectors[pair])
        for register, area in zip((_QUEUE_DESCRIPTOR, _QUEUE_DRIVER, _QUEUE_DEVICE), areas):
            common.write64(register, area)
        common.write16(_QUEUE_ENABLE, 1)  # after the others (4.1.4.3.2)

    def _set_vector(self, register: int, vector: int) -> None:
        self._common.write16(register, vector)
        # 4.1.5.1.2.2: what is read tells whether it was done.
        if self._common.read16(register) != vector:
            raise VirtioError(f"{self.name}: the device has no interrupt vector left: give it more")

    def set_up_interrupts(self, controller: InterruptController, pairs: int) -> Sources:
        try:
            self._msix = self._function.msix(self._memory)
        except ValueError as error:
            raise VirtioError(str(error)) from None
        if self._msix is None:
            source = controller.line(self._function.config.read8(INTERRUPT_LINE), False)
            return Sources(source, (source,))
        self._function.set_command(COMMAND_NO_LINE)
        messages = [controller.message() for _ in range(min(self._msix.size, pairs + 1))]
        for vector, message in enumerate(messages):
            self._msix.set(vector, message)
        self._msix.enable()
        sources = [message.source for message in messages]
        # Any number is to be done with (4.1.5.1.2.2): one is for both.
        self._shared = len(messages) == 1
        self._vectors = [0] if self._shared else list(range(1, len(messages)))
        return Sources(sources[0], tuple(sources[vector] for vector in self._vectors))

    def set_config_vector(self) -> None:
        if self._msix is not None:
            self._set_vector(_CONFIG_VECTOR, 0)

    def notification(self, index: int) -> Notification:
        self._common.write16(_QUEUE_SELECT, index)
        # 4.1.4.4
        offset = self._common.read16(_QUEUE_NOTIFY_OFF) * self._multiplier
        if offset + 2 > self._notify.size or offset % 2:
            raise VirtioError(f"{self.name}: notifications of queue {index} lie beyond their structure")
        return Notification(self._notify, offset, index, 16)

    @property
    def needs_acknowledgment(self) -> bool:
        return self._msix is None or self._shared

    def acknowledge(self) -> int:
        if self._msix is not None:
            return USED_BUFFERS | CONFIGURATION_CHANGED  # not told apart
        return self._isr.read8(0) & (USED_BUFFERS | CONFIGURATION_CHANGED)  # reading ends the interrupt (4.1.4.5)

    def close(self) -> None:
        if self._msix is not None:
            self._msix.disable()
        self._function.set_command(COMMAND_NO_LINE, COMMAND_BUS_MASTER)
