"""virtio over MMIO, the device's side (VIRTIO 1.2, 4.2), as Registers."""

from __future__ import annotations

from netapp.drivers.registers import Registers
from tests.virtio.model.device import CONFIGURATION_CHANGED, USED_BUFFERS, Device, Queue
from tests.virtio.model.interrupts import ModelInterrupts

MAGIC, VERSION, DEVICE_ID, VENDOR_ID = 0x000, 0x004, 0x008, 0x00C
DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL = 0x010, 0x014, 0x020, 0x024
QUEUE_SEL, QUEUE_NUM_MAX, QUEUE_NUM, QUEUE_READY, QUEUE_NOTIFY = 0x030, 0x034, 0x038, 0x044, 0x050
INTERRUPT_STATUS, INTERRUPT_ACK, STATUS = 0x060, 0x064, 0x070
QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE = 0x080, 0x090, 0x0A0
SHM_SEL, SHM_LENGTH, SHM_BASE, QUEUE_RESET, CONFIG_GENERATION, CONFIG = 0x0AC, 0x0B0, 0x0B8, 0x0C0, 0x0FC, 0x100

_READ = {MAGIC, VERSION, DEVICE_ID, VENDOR_ID, DEVICE_FEATURES, QUEUE_NUM_MAX, INTERRUPT_STATUS, CONFIG_GENERATION}
_READ |= {SHM_LENGTH, SHM_LENGTH + 4, SHM_BASE, SHM_BASE + 4}
_WRITTEN = {DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL, QUEUE_SEL, QUEUE_NUM, QUEUE_NOTIFY}
_AREAS = {
    at + half: (name, 8 * half)
    for at, name in ((QUEUE_DESC, "descriptors"), (QUEUE_DRIVER, "driver"), (QUEUE_DEVICE, "device"))
    for half in (0, 4)
}
_WRITTEN |= {INTERRUPT_ACK, SHM_SEL, *_AREAS}
_BOTH = {QUEUE_READY, STATUS, QUEUE_RESET}
_IDENTIFY = (MAGIC, VERSION, DEVICE_ID)

_UNACKNOWLEDGED = 1000


class MmioModel(Registers):
    """The window of a device; its interrupt is `line` of `interrupts`."""

    def __init__(self, device: Device, interrupts: ModelInterrupts, line: int = 5, magic: int = 0x74726976) -> None:
        super().__init__(0x200)
        self.device = device
        self.interrupts = interrupts
        self.line = line
        self.magic = magic
        self.version = 2
        device.wires = self
        self._identified = 0
        self._clear()

    def _clear(self) -> None:
        self._features_sel: int | None = None
        self._driver_sel: int | None = None
        self._queue_sel = 0
        self._stopped: set[int] = set()
        self.status = 0
        self._status_read = 0

    # --- the device's wires ----------------------------------------------------------------------------------------

    def interrupt(self, queue: Queue | None) -> None:
        self.status |= CONFIGURATION_CHANGED if queue is None else USED_BUFFERS
        self.interrupts.set_level(self.line, True)

    def was_reset(self) -> None:
        self._clear()
        self.interrupts.set_level(self.line, False)

    def turn(self) -> bool:
        done = self.device.pump()
        if self.status and self.interrupts.still(self.line) == _UNACKNOWLEDGED:
            self.device.rules.fail("interrupt-unacknowledged")
        return done

    def idle_time(self) -> int:
        return self.device.idle_time()

    # --- registers -------------------------------------------------------------------------------------------------

    def _allowed(self, offset: int, width: int, written: bool) -> bool:
        fail = self.device.rules.fail
        if width != 4:
            fail("mmio-width", f"{width} bytes at {offset:#x}")
            return False
        if offset not in _READ and offset not in _WRITTEN and offset not in _BOTH:
            fail("mmio-undefined", f"{offset:#x}")
            return False
        if offset in (_READ if written else _WRITTEN):
            fail("mmio-direction", f"{offset:#x} is {'written' if written else 'read'}")
            return False
        if self._identified < 3:
            if offset == _IDENTIFY[self._identified] and not written:
                self._identified += 1
            elif offset not in _IDENTIFY[: self._identified]:
                fail("mmio-identify", f"{offset:#x} is accessed")
                self._identified = 3
        return True

    @property
    def _queue(self) -> Queue | None:
        queues = self.device.queues
        return queues[self._queue_sel] if self._queue_sel < len(queues) else None

    def _read(self, offset: int, width: int) -> int:
        device = self.device
        if offset >= CONFIG:
            return device.configuration.read(offset - CONFIG, width, "mmio-width")
        if not self._allowed(offset, width, False):
            return 0
        queue = self._queue
        if offset == STATUS:
            return device.read_status()
        if offset == INTERRUPT_STATUS:
            self._status_read = self.status
            return self.status
        if offset == DEVICE_FEATURES:
            if self._features_sel is None:
                device.rules.fail("mmio-select", "DeviceFeatures is read before DeviceFeaturesSel is written")
            return device.read_features(self._features_sel or 0)
        if offset == QUEUE_NUM_MAX:
            return queue.max_size if queue is not None else 0
        if offset == QUEUE_READY:
            self._stopped.discard(self._queue_sel)
            return int(queue is not None and queue.enabled)
        if offset == CONFIG_GENERATION:
            return device.read_generation()
        if offset in (SHM_LENGTH, SHM_LENGTH + 4, SHM_BASE, SHM_BASE + 4):
            return 0xFFFFFFFF
        return {MAGIC: self.magic, VERSION: self.version, DEVICE_ID: device.device_type, VENDOR_ID: 0x554D4551}.get(
            offset, 0
        )

    def _write(self, offset: int, width: int, value: int) -> None:
        device = self.device
        if offset >= CONFIG:
            device.configuration.write(offset - CONFIG, width)
            return
        if not self._allowed(offset, width, True):
            return
        if offset == QUEUE_NOTIFY:
            device.notify(value)
        elif offset == INTERRUPT_ACK:
            self._acknowledge(value)
        elif offset == STATUS:
            device.write_status(value)
        elif offset == DEVICE_FEATURES_SEL:
            self._features_sel = value
        elif offset == DRIVER_FEATURES_SEL:
            self._driver_sel = value
        elif offset == DRIVER_FEATURES:
            if self._driver_sel is None:
                device.rules.fail("mmio-select", "DriverFeatures is written before DriverFeaturesSel")
            device.write_features(self._driver_sel or 0, value)
        elif offset == QUEUE_SEL:
            self._queue_sel = value
        elif offset != SHM_SEL:
            self._write_queue(offset, value)

    def _write_queue(self, offset: int, value: int) -> None:
        queue, rules = self._queue, self.device.rules
        if queue is None or queue.max_size == 0:
            rules.fail("queue-none", f"queue {self._queue_sel}")
            return
        if offset == QUEUE_RESET:
            if value & 1:
                self.device.reset_queue(queue)
            return
        if offset == QUEUE_READY:
            if value & 1 and not queue.enabled:
                self.device.check_size(queue)
                self.device.enable(queue)
            elif not value:
                self.device.disable(queue)
                self._stopped.add(queue.index)
            return
        rules.check(queue.index not in self._stopped, "mmio-ready-back", f"queue {queue.index}")
        if queue.enabled:
            rules.fail("mmio-ready", f"{offset:#x} of queue {queue.index}")
            return
        self.device.set_up_allowed(queue)
        if offset == QUEUE_NUM:
            rules.check(value <= queue.max_size, "mmio-queue-size", f"{value} of {queue.max_size}")
            queue.size = value
        else:
            name, shift = _AREAS[offset]
            setattr(queue, name, getattr(queue, name) & ~(0xFFFFFFFF << shift) | value << shift)

    def _acknowledge(self, value: int) -> None:
        rules = self.device.rules
        rules.check(not value & ~3, "mmio-acknowledge", f"{value:#x}")
        rules.check(
            not value & ~self._status_read & 3, "mmio-acknowledge", f"{value:#x}, read was {self._status_read:#x}"
        )
        self.status &= ~value
        self._status_read &= ~value
        if not self.status:
            self.interrupts.set_level(self.line, False)

    # One access of that width each (netapp.drivers.registers).

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
