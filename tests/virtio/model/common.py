"""The common configuration structure of virtio over PCI (VIRTIO 1.2, 4.1.4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.virtio.model.device import Queue

if TYPE_CHECKING:
    from tests.virtio.model.pci import PciModel

NO_VECTOR = 0xFFFF

# offset: (name, width, whether it can be written); those of 64 bits in two halves.
_FIELDS = {
    0: ("device_feature_select", 4, True),
    4: ("device_feature", 4, False),
    8: ("driver_feature_select", 4, True),
    12: ("driver_feature", 4, True),
    16: ("config_msix_vector", 2, True),
    18: ("num_queues", 2, False),
    20: ("device_status", 1, True),
    21: ("config_generation", 1, False),
    22: ("queue_select", 2, True),
    24: ("queue_size", 2, True),
    26: ("queue_msix_vector", 2, True),
    28: ("queue_enable", 2, True),
    30: ("queue_notify_off", 2, False),
    32: ("queue_desc", 4, True),
    36: ("queue_desc", 4, True),
    40: ("queue_driver", 4, True),
    44: ("queue_driver", 4, True),
    48: ("queue_device", 4, True),
    52: ("queue_device", 4, True),
    56: ("queue_notify_data", 2, False),
    58: ("queue_reset", 2, True),
}
_AREAS = {"queue_desc": "descriptors", "queue_driver": "driver", "queue_device": "device"}


class CommonStructure:
    def __init__(self, model: PciModel) -> None:
        self._model = model
        self._device = model.device
        self.clear()

    def clear(self) -> None:
        self._device_select = self._driver_select = self._driver_feature = 0
        self._queue_select = 0
        self.config_vector = NO_VECTOR
        self._config_vector_read = True

    def notify_off(self, index: int) -> int:
        """As QEMU has it: a place each."""
        return index

    @property
    def _queue(self) -> Queue | None:
        queues = self._device.queues
        return queues[self._queue_select] if self._queue_select < len(queues) else None

    def _field(self, offset: int, width: int, written: bool) -> str:
        rules = self._device.rules
        field = _FIELDS.get(offset)
        if field is None:
            rules.fail("pci-undefined", f"{width} bytes at {offset:#x}")
            return ""
        name, own, can_be_written = field
        if width != own:
            rules.fail("pci-width", f"{width} bytes of {name}")
            return ""
        if written and not can_be_written:
            rules.fail("pci-read-only", name)
            return ""
        return name

    def read(self, offset: int, width: int) -> int:
        name = self._field(offset, width, False)
        device, queue = self._device, self._queue
        if name == "device_status":
            return device.read_status()
        if name == "config_generation":
            return device.read_generation()
        if name == "device_feature":
            return device.read_features(self._device_select)
        if name == "driver_feature":
            return device.accepted >> 32 * self._driver_select & 0xFFFFFFFF if self._driver_select < 4 else 0
        if name == "num_queues":
            return len(device.queues)
        if name == "config_msix_vector":
            self._config_vector_read = True
            return self.config_vector
        if name in ("device_feature_select", "driver_feature_select", "queue_select"):
            return getattr(self, "_" + name.replace("_feature", ""))
        if queue is None:
            return 0
        if name == "queue_size":
            return queue.size
        if name == "queue_msix_vector":
            queue.vector_verified = True
            return queue.vector
        if name == "queue_enable":
            return int(queue.enabled)
        if name == "queue_notify_off":
            return self.notify_off(queue.index)
        if name in _AREAS:
            return getattr(queue, _AREAS[name]) >> 8 * (offset & 4) & 0xFFFFFFFF
        return 0

    def write(self, offset: int, width: int, value: int) -> None:
        name = self._field(offset, width, True)
        device = self._device
        if name == "device_status":
            if value & 4:
                device.rules.check(self._config_vector_read, "pci-vector-verify", "of the configuration")
            device.write_status(value)
        elif name == "driver_feature":
            device.write_features(self._driver_select, value)
        elif name in ("device_feature_select", "driver_feature_select", "queue_select"):
            setattr(self, "_" + name.replace("_feature", ""), value)
        elif name == "config_msix_vector":
            self.config_vector = self._vector(value)
            self._config_vector_read = False
        elif name:
            self._write_queue(name, offset, value)

    def _vector(self, value: int) -> int:
        if value == NO_VECTOR:
            return value
        self._device.rules.check(value < self._model.vectors, "pci-vector-range", f"{value} of {self._model.vectors}")
        refused = value >= self._model.vectors or self._device.faults.hit("vector-refused")
        return NO_VECTOR if refused else value

    def _write_queue(self, name: str, offset: int, value: int) -> None:
        queue, device = self._queue, self._device
        rules = device.rules
        if queue is None or queue.max_size == 0:
            rules.fail("queue-none", f"queue {self._queue_select}")
            return
        if name == "queue_reset":
            if value == 1:
                device.reset_queue(queue)
            return
        if name == "queue_enable":
            if value == 0:
                rules.fail("pci-enable-zero", f"queue {queue.index}")
            elif not queue.enabled:
                rules.check(queue.vector_verified, "pci-vector-verify", f"of queue {queue.index}")
                device.check_size(queue)
                device.enable(queue)
            return
        if queue.enabled:
            rules.fail("pci-enable-last", f"{name} of queue {queue.index}")
            return
        device.set_up_allowed(queue)
        if name == "queue_size":
            queue.size = value
            device.check_size(queue)
        elif name == "queue_msix_vector":
            queue.vector = self._vector(value)
            queue.vector_verified = False
        else:
            area, shift = _AREAS[name], 8 * (offset & 4)
            setattr(queue, area, getattr(queue, area) & ~(0xFFFFFFFF << shift) | value << shift)
