"""virtio over MMIO (4.2): a window of registers and a wired interrupt, as QEMU's microvm and Firecracker have them."""

from __future__ import annotations

from netapp.drivers.interrupts import InterruptController
from netapp.drivers.registers import Registers
from netapp.drivers.virtio.transport import (
    CONFIGURATION_CHANGED,
    USED_BUFFERS,
    Notification,
    Sources,
    Transport,
    VirtioError,
)

_MAGIC = 0x74726976
# Table 4.1.
_MAGIC_VALUE, _VERSION, _DEVICE_ID = 0x000, 0x004, 0x008
_DEVICE_FEATURES, _DEVICE_FEATURES_SEL, _DRIVER_FEATURES, _DRIVER_FEATURES_SEL = 0x010, 0x014, 0x020, 0x024
_QUEUE_SEL, _QUEUE_NUM_MAX, _QUEUE_NUM, _QUEUE_READY, _QUEUE_NOTIFY = 0x030, 0x034, 0x038, 0x044, 0x050
_INTERRUPT_STATUS, _INTERRUPT_ACK, _STATUS = 0x060, 0x064, 0x070
_QUEUE_DESC, _QUEUE_DRIVER, _QUEUE_DEVICE, _CONFIG_GENERATION, _CONFIG = 0x080, 0x090, 0x0A0, 0x0FC, 0x100


class MmioTransport(Transport):
    def __init__(self, registers: Registers, line: int, edge: bool = True, name: str = "virtio-mmio") -> None:
        """`line`: the number of its interrupt. VirtioError: no modern device is there; `device_type` 0: none at all."""
        self.name = name
        self._registers = registers
        self._line, self._edge = line, edge
        # In this order, and nothing else of a device that is not one (4.2.3.1.1).
        if registers.size < _CONFIG or registers.read32(_MAGIC_VALUE) != _MAGIC:
            raise VirtioError(f"{name}: no virtio device is there")
        version = registers.read32(_VERSION)
        if version != 2:
            raise VirtioError(
                f"{name}: the device has version {version} of the interface, not 2: let the hypervisor give it the "
                "modern one (of QEMU: -global virtio-mmio.force-legacy=false)"
            )
        self.device_type = registers.read32(_DEVICE_ID)
        self.config = registers.window(_CONFIG, registers.size - _CONFIG)

    @property
    def status(self) -> int:
        return self._registers.read32(_STATUS)

    @status.setter
    def status(self, status: int) -> None:
        self._registers.write32(_STATUS, status)

    def device_feature_word(self, select: int) -> int:
        self._registers.write32(_DEVICE_FEATURES_SEL, select)
        return self._registers.read32(_DEVICE_FEATURES)

    def set_driver_feature_word(self, select: int, features: int) -> None:
        self._registers.write32(_DRIVER_FEATURES_SEL, select)
        self._registers.write32(_DRIVER_FEATURES, features)

    def config_generation(self) -> int:
        return self._registers.read32(_CONFIG_GENERATION)

    def queue_size(self, index: int) -> int:
        self._registers.write32(_QUEUE_SEL, index)
        return self._registers.read32(_QUEUE_NUM_MAX)

    def set_queue(self, index: int, size: int, areas: tuple[int, int, int], pair: int | None) -> None:
        registers = self._registers
        registers.write32(_QUEUE_SEL, index)
        # 4.2.3.2
        if registers.read32(_QUEUE_READY) != 0:
            raise VirtioError(f"{self.name}: queue {index} is in use after a reset")
        registers.write32(_QUEUE_NUM, size)
        for register, area in zip((_QUEUE_DESC, _QUEUE_DRIVER, _QUEUE_DEVICE), areas):
            registers.write64(register, area)
        registers.write32(_QUEUE_READY, 1)

    def set_up_interrupts(self, controller: InterruptController, pairs: int) -> Sources:
        source = controller.line(self._line, self._edge)
        return Sources(source, (source,))

    def set_config_vector(self) -> None:
        pass

    def notification(self, index: int) -> Notification:
        return Notification(self._registers, _QUEUE_NOTIFY, index, 32)

    @property
    def needs_acknowledgment(self) -> bool:
        return True

    def acknowledge(self) -> int:
        # 4.2.3.4.1; undefined bits are ignored, and stay as they are (4.2.2.2).
        told = self._registers.read32(_INTERRUPT_STATUS) & (USED_BUFFERS | CONFIGURATION_CHANGED)
        if told:
            self._registers.write32(_INTERRUPT_ACK, told)
        return told

    def close(self) -> None:
        pass
