"""A driver in a few lines, for the tests of the device model: each step is a method, so that a test leaves one out, or
does it wrong. It shares nothing with the model, nor with netapp's driver."""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Sequence
from typing import Any

from tests.virtio.model import features as feature_bits
from tests.virtio.model import mmio, pci
from tests.virtio.model.faults import Faults
from tests.virtio.model.interrupts import ModelInterrupts
from tests.virtio.model.links import ListLink
from tests.virtio.model.net import NetDevice

Elements = Sequence[tuple[int, int]]
NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 0x80, 0x8000


class Clock:
    time = 0


class Arena:
    """Memory that the device may reach."""

    def __init__(self, size: int = 1 << 20) -> None:
        self._map = mmap.mmap(-1, size)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self.size = size
        self._used = 64

    def take(self, length: int, align: int = 16) -> int:
        self._used = -(-self._used // align) * align
        address = self.address + self._used
        self._used += length
        assert self._used <= self.size
        ctypes.memset(address, 0, length)
        return address

    def put(self, data: bytes, align: int = 16) -> int:
        address = self.take(len(data), align)
        self.write(address, data)
        return address

    @staticmethod
    def write(address: int, data: bytes) -> None:
        ctypes.memmove(address, data, len(data))

    @staticmethod
    def read(address: int, length: int) -> bytes:
        return ctypes.string_at(address, length)

    def word(self, address: int, value: int | None = None) -> int:
        if value is not None:
            self.write(address, struct.pack("<H", value & 0xFFFF))
        return struct.unpack("<H", self.read(address, 2))[0]


class BareQueue:
    def __init__(self, arena: Arena, index: int, size: int) -> None:
        self.arena = arena
        self.index = index
        self.size = size
        self.in_flight: dict[int, int] = {}
        self.allocate()

    def allocate(self) -> None:
        raise NotImplementedError

    def descriptor(self, at: int, address: int, length: int, third: int, fourth: int) -> None:
        self.arena.write(at, struct.pack("<QIHH", address, length, third, fourth))


class BareSplit(BareQueue):
    def allocate(self) -> None:
        take, size = self.arena.take, self.size
        self.areas = (take(16 * size), take(6 + 2 * size), take(6 + 8 * size))
        self.idx = self.seen = self.next = 0

    def add(self, readable: Elements, writable: Elements = (), indirect: bool = False) -> int:
        """Puts a chain into the table and the available ring, not yet published."""
        elements = [(a, n, 0) for a, n in readable] + [(a, n, WRITE) for a, n in writable]
        head = self.next
        if indirect:
            table = self.arena.take(16 * len(elements))
            for i, (address, length, flags) in enumerate(elements):
                more = NEXT if i + 1 < len(elements) else 0
                self.descriptor(table + 16 * i, address, length, flags | more, i + 1)
            self.descriptor(self.areas[0] + 16 * head, table, 16 * len(elements), INDIRECT, 0)
            self.next = (head + 1) % self.size
        else:
            for i, (address, length, flags) in enumerate(elements):
                at = (head + i) % self.size
                more = NEXT if i + 1 < len(elements) else 0
                self.descriptor(self.areas[0] + 16 * at, address, length, flags | more, (at + 1) % self.size)
            self.next = (head + len(elements)) % self.size
        self.offer(head)
        return head

    def offer(self, head: int) -> None:
        self.arena.word(self.areas[1] + 4 + 2 * (self.idx % self.size), head)
        self.idx += 1

    def publish(self) -> None:
        self.arena.word(self.areas[1] + 2, self.idx)

    def reap(self) -> list[tuple[int, int]]:
        """(id, length) of what was used."""
        found = []
        while self.seen % 65536 != self.arena.word(self.areas[2] + 2):
            at = self.areas[2] + 4 + 8 * (self.seen % self.size)
            found.append(struct.unpack("<II", self.arena.read(at, 8)))
            self.seen += 1
        return found

    def events(self, on: bool, position: int | None = None) -> None:
        """Used buffer notifications."""
        if position is not None:
            self.arena.word(self.areas[1] + 4 + 2 * self.size, position)
        else:
            self.arena.word(self.areas[1], 0 if on else 1)

    def wants(self) -> int:
        """avail_event, or flags."""
        return self.arena.word(self.areas[2] + 4 + 8 * self.size)


class BarePacked(BareQueue):
    def allocate(self) -> None:
        take = self.arena.take
        self.areas = (take(16 * self.size), take(4), take(4))
        self.position = self.seen = 0
        self.first: tuple[int, int] | None = None
        self.lists: dict[int, int] = {}
        self.next = 0

    def flags(self, position: int) -> int:
        return USED if position // self.size & 1 else AVAIL

    def add(self, readable: Elements, writable: Elements = (), indirect: bool = False) -> int:
        elements = [(a, n, 0) for a, n in readable] + [(a, n, WRITE) for a, n in writable]
        number = self.next
        self.next += 1
        if indirect:
            table = self.arena.take(16 * len(elements))
            for i, (address, length, flags) in enumerate(elements):
                self.descriptor(table + 16 * i, address, length, 0, flags)
            elements = [(table, 16 * len(elements), INDIRECT)]
        for i, (address, length, flags) in enumerate(elements):
            flags |= self.flags(self.position) | (NEXT if i + 1 < len(elements) else 0)
            at = self.areas[0] + 16 * (self.position % self.size)
            if self.first is None:
                self.first = at, flags
                self.arena.write(at, struct.pack("<QIH", address, length, number))
            else:
                self.descriptor(at, address, length, number, flags)
            self.position += 1
        self.lists[number] = len(elements)
        return number

    def publish(self) -> None:
        if self.first is not None:
            self.arena.word(self.first[0] + 14, self.first[1])
            self.first = None

    def reap(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        while True:
            at = self.areas[0] + 16 * (self.seen % self.size)
            _, length, number, flags = struct.unpack("<QIHH", self.arena.read(at, 16))
            if flags & (AVAIL | USED) != (0 if self.seen // self.size & 1 else AVAIL | USED):
                return found
            found.append((number, length))
            self.seen += self.lists.pop(number, 1)

    def events(self, on: bool, position: int | None = None) -> None:
        if position is not None:
            turn, slot = divmod(position, self.size)
            self.arena.write(self.areas[1], struct.pack("<HH", slot | (0 if turn & 1 else 0x8000), 2))
        else:
            self.arena.write(self.areas[1], struct.pack("<HH", 0, 0 if on else 1))


class Bare:
    """A network device, and its driver so far as a test has come. `steps()` does all up to DRIVER_OK."""

    def __init__(self, offered: str = "all", transport: str = "mmio", size: int = 16, **device: Any) -> None:
        self.link = ListLink()
        self.clock = Clock()
        self.raised: list[object] = []
        self.arena = Arena()
        self.interrupts = ModelInterrupts(self.raised.append)
        faults = device.pop("faults", None) or Faults()
        vectors = device.pop("vectors", 3)
        self.device = NetDevice(offered, self.link, self.clock, queue_size=size, faults=faults, **device)
        self.model: Any
        if transport == "mmio":
            self.model = self.registers = mmio.MmioModel(self.device, self.interrupts)
            self.interrupts.line(self.model.line, True)
        else:
            self.model = pci.PciModel(self.device, self.interrupts, vectors=vectors)
            self.model.config.write16(4, 6)
            self.registers = self.model.memory(0x8_0000_4000, 0x4000)
        self.transport = transport
        self.queues: dict[int, Any] = {}
        self.accepted = 0

    @property
    def broken(self) -> list[str]:
        return [name for name, _ in self.device.rules.broken]

    # --- initialization --------------------------------------------------------------------------------------------

    def identify(self) -> None:
        if self.transport == "mmio":
            for register in (mmio.MAGIC, mmio.VERSION, mmio.DEVICE_ID):
                self.registers.read32(register)

    def status(self, value: int | None = None) -> int:
        wide = self.transport == "mmio"
        if value is not None:
            (self.registers.write32 if wide else self.registers.write8)(mmio.STATUS if wide else 20, value)
            return value
        return (self.registers.read32 if wide else self.registers.read8)(mmio.STATUS if wide else 20)

    def reset(self) -> None:
        self.status(0)
        while self.status():
            pass

    def features(self) -> int:
        value = 0
        for word in (0, 1):
            if self.transport == "mmio":
                self.registers.write32(mmio.DEVICE_FEATURES_SEL, word)
                value |= self.registers.read32(mmio.DEVICE_FEATURES) << 32 * word
            else:
                self.registers.write32(0, word)
                value |= self.registers.read32(4) << 32 * word
        return value

    def accept(self, features: int) -> None:
        self.accepted = features
        for word in (0, 1):
            if self.transport == "mmio":
                self.registers.write32(mmio.DRIVER_FEATURES_SEL, word)
                self.registers.write32(mmio.DRIVER_FEATURES, features >> 32 * word & 0xFFFFFFFF)
            else:
                self.registers.write32(8, word)
                self.registers.write32(12, features >> 32 * word & 0xFFFFFFFF)

    def negotiate(self, without: str = "") -> None:
        self.identify()
        self.reset()
        self.status(1)
        self.status(3)
        self.accept(self.features() & ~feature_bits.bits(without))
        self.status(11)
        assert self.status() == 11

    def queue(self, index: int, size: int | None = None, areas: tuple[int, int, int] | None = None) -> Any:
        size = self.device.queues[index].max_size if size is None else size
        packed = self.accepted & feature_bits.bits("RING_PACKED")
        made = self.queues[index] = (BarePacked if packed else BareSplit)(self.arena, index, size or 1)
        if areas is not None:
            made.areas = areas
        if self.transport == "mmio":
            self.registers.write32(mmio.QUEUE_SEL, index)
            self.registers.write32(mmio.QUEUE_NUM, size)
            for register, area in zip((mmio.QUEUE_DESC, mmio.QUEUE_DRIVER, mmio.QUEUE_DEVICE), made.areas):
                self.registers.write64(register, area)
            self.registers.write32(mmio.QUEUE_READY, 1)
        else:
            self.registers.write16(22, index)
            self.registers.write16(24, size)
            if self.model.vectors:
                self.registers.write16(26, 0)
                assert self.registers.read16(26) == 0
            for register, area in zip((32, 40, 48), made.areas):
                self.registers.write64(register, area)
            self.registers.write16(28, 1)
        return made

    def steps(self, without: str = "", queues: int | None = None) -> Bare:
        self.negotiate(without)
        for index in range(len(self.device.queues) if queues is None else queues):
            self.queue(index)
        self.status(15)
        return self

    # --- operation -------------------------------------------------------------------------------------------------

    @property
    def rx(self) -> Any:
        return self.queues[0]

    @property
    def tx(self) -> Any:
        return self.queues[1]

    @property
    def control(self) -> Any:
        return self.queues[self.device.control_queue]

    def notify(self, queue: Any) -> None:
        if self.transport == "mmio":
            self.registers.write32(mmio.QUEUE_NOTIFY, queue.index)
        else:
            self.registers.write16(pci.NOTIFY + 4 * queue.index, queue.index)

    def transmit(self, data: bytes, notify: bool = True, pieces: int = 1, **how: Any) -> int:
        """`data`: with its header."""
        cut = -(-len(data) // pieces)
        elements = [(self.arena.put(data[i : i + cut]), len(data[i : i + cut])) for i in range(0, len(data), cut)]
        number = self.tx.add(elements, **how)
        self.tx.publish()
        if notify:
            self.notify(self.tx)
        return number

    def post(self, length: int, count: int = 1, notify: bool = True) -> list[int]:
        """Receive buffers; their addresses."""
        addresses = []
        for _ in range(count):
            addresses.append(self.arena.take(length))
            self.rx.add([], [(addresses[-1], length)])
            self.rx.publish()
        if notify:
            self.notify(self.rx)
        return addresses

    def command(self, kind: int, command: int, data: bytes) -> int:
        answer = self.arena.put(b"\xff")
        self.control.add([(self.arena.put(bytes([kind, command]) + data), 2 + len(data))], [(answer, 1)])
        self.control.publish()
        self.notify(self.control)
        self.pump()
        return self.arena.read(answer, 1)[0]

    def pump(self) -> None:
        """Until there is nothing to do; raises what was broken."""
        while self.model.turn():
            pass
