"""The device-specific configuration, and how a driver reads it (VIRTIO 1.2, 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.virtio.model.device import Device


class Field(NamedTuple):
    """Of the device-specific configuration."""

    name: str
    offset: int
    width: int
    times: int
    needs: tuple[str, ...]


class ConfigurationSpace:
    def __init__(self, fields: Sequence[Field], device: Device) -> None:
        self._device = device
        self._fields = {field.offset + i * field.width: field for field in fields for i in range(field.times)}
        self.data = bytearray(max(self._fields) + 8)
        self.generation = 0
        self.reading = ""
        """Of a field of many bytes: what was read of it and of the generation, in which order."""

    def change(self, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data
        self.generation += 1

    def read(self, offset: int, width: int, rule: str) -> int:
        """`rule`: of the transport, about the width of accesses."""
        device = self._device
        field = self._fields.get(offset)
        if field is None:
            inside = any(at <= offset < at + known.width for at, known in self._fields.items())
            device.rules.fail(rule if inside else "config-beyond", f"{width} bytes at {offset}")
            return 0
        # 64 bits are read as two of 32.
        device.rules.check(width == min(field.width, 4), rule, f"{width} bytes of {field.name}")
        if field.needs:
            device.rules.check(any(device.offers(name) for name in field.needs), "config-optional", field.name)
        if field.times > 1:
            self.reading = {"": "without", "before": "between", "late": "between"}.get(self.reading, self.reading)
        device.faults.configuration_read(device)
        return int.from_bytes(self.data[offset : offset + width], "little")

    def write(self, offset: int, width: int) -> None:
        self._device.rules.fail("net-config-write", f"{width} bytes at {offset}")

    def read_generation(self) -> int:
        self.reading = {"without": "late", "late": "late"}.get(self.reading, "before")
        return self.generation & 0xFF

    def check_generation(self) -> None:
        """When the driver believes what it read."""
        said = {"without": "not read", "late": "not read before", "between": "not read after"}.get(self.reading, "")
        self._device.rules.check(not said, "config-generation", f"the generation was {said}")
