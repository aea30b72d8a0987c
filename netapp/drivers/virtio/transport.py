"""What a driver needs from the way by which it reaches a virtio device. Section numbers here and in the other files of
this folder are VIRTIO 1.2's.

Two implement it: `pci.PciTransport` (4.1) and `mmio.MmioTransport` (4.2). All of it is the control path, but for the
register that `notification()` names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from netapp.drivers.interrupts import InterruptController
from netapp.drivers.registers import Registers

# Device status (2.1).
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, DEVICE_NEEDS_RESET, FAILED = 1, 2, 4, 8, 64, 128

# What an interrupt tells (4.1.4.5, 4.2.2): a bit each.
USED_BUFFERS, CONFIGURATION_CHANGED = 1, 2

# Of a queue that interrupts nobody (4.1.5.1.2).
NO_VECTOR = 0xFFFF

# At the status, until a reset has ended. Each takes a virtual machine about a microsecond.
RESET_LOOKS = 200_000


class VirtioError(OSError):
    """What is wrong with a device, and where it can be, what to do, in one line."""

    def __str__(self) -> str:
        return str(self.args[0])


class Notification(NamedTuple):
    """How the driver says that buffers are available: `value` is written (2.9), 16 bits wide or 32."""

    registers: Registers
    offset: int
    value: int
    width: int


class Sources(NamedTuple):
    """What the device raises."""

    configuration: object
    """The first queue's may be the same."""
    queues: tuple[object, ...]
    """Of each pair of queues that can have one of its own, at least the first."""


class Transport(ABC):
    name: str
    """Where the device is, for messages."""
    device_type: int
    """5: 1 is a network card."""
    config: Registers
    """The device-specific configuration (2.5)."""

    def reset(self) -> None:
        """Returns when the device has done it (2.4): it uses no memory of ours any more. VirtioError: it does not."""
        self.status = 0
        for _ in range(RESET_LOOKS):
            if self.status == 0:
                return
        raise VirtioError(f"{self.name}: the device does not end its reset: start the machine anew")

    @property
    @abstractmethod
    def status(self) -> int: ...

    @status.setter
    @abstractmethod
    def status(self, status: int) -> None: ...

    def device_features(self) -> int:
        return self.device_feature_word(0) | self.device_feature_word(1) << 32

    def set_driver_features(self, features: int) -> None:
        self.set_driver_feature_word(0, features & 0xFFFFFFFF)
        self.set_driver_feature_word(1, features >> 32)

    @abstractmethod
    def device_feature_word(self, select: int) -> int:
        """Bits 32 * `select` and up."""

    @abstractmethod
    def set_driver_feature_word(self, select: int, features: int) -> None: ...

    @abstractmethod
    def config_generation(self) -> int:
        """Changes where reading fields of several accesses may have mixed two states (2.5.1)."""

    @abstractmethod
    def queue_size(self, index: int) -> int:
        """The most descriptors that it may have; 0: there is no such queue."""

    @abstractmethod
    def set_queue(self, index: int, size: int, areas: tuple[int, int, int], pair: int | None) -> None:
        """Sets a queue up and enables it. `areas`: addresses of the descriptor, driver and device area (2.6). `pair`:
        whose source tells of its used buffers; None: nothing tells."""

    @abstractmethod
    def set_up_interrupts(self, controller: InterruptController, pairs: int) -> Sources:
        """Once; what it gives stays the same over a reset."""

    @abstractmethod
    def set_config_vector(self) -> None:
        """After a reset, before queues are set up. VirtioError: the device has no vector left."""

    @abstractmethod
    def notification(self, index: int) -> Notification: ...

    @abstractmethod
    def acknowledge(self) -> int:
        """Of a source that was raised: what it tells (USED_BUFFERS, CONFIGURATION_CHANGED); done before the queue is
        looked at, so that nothing which comes later is missed."""

    @property
    @abstractmethod
    def needs_acknowledgment(self) -> bool:
        """Whether acknowledge() must be called each time a queue's source was raised."""

    @abstractmethod
    def close(self) -> None:
        """After reset(): interrupts are off."""
