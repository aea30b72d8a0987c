"""The device's side of a packed virtqueue (VIRTIO 1.2, 2.8)."""

from __future__ import annotations

import struct

from tests.virtio.model.exposed import Exposed
from tests.virtio.model.memory import Memory
from tests.virtio.model.ring import INDIRECT, NEXT, WRITE, Areas, Buffer, Ring
from tests.virtio.model.rules import Broken, Rules

AVAIL, USED = 1 << 7, 1 << 15
ENABLE, DISABLE, DESC = 0, 1, 2

_DESCRIPTOR = struct.Struct("<QIHH")
_USED_BODY = struct.Struct("<IH")


class PackedRing(Ring):
    """Positions count descriptors."""

    flag_of_written = WRITE  # in used descriptors; some devices leave it out

    def __init__(self, areas: Areas, features: dict[str, bool], memory: Memory, rules: Rules, exposed: Exposed) -> None:
        super().__init__(areas, features, memory, rules, exposed)
        for address, multiple, length, written in (
            (areas.descriptors, 16, 16 * self.size, True),
            (areas.driver, 4, 4, False),
            (areas.device, 4, 4, True),
        ):
            rules.check(address % multiple == 0, "packed-alignment", f"{address:#x}")
            rules.need(address and memory.covers(address, length, written), "area-memory", f"{length} at {address:#x}")
        if (areas.descriptors | areas.driver | areas.device) % 2:
            raise Broken("packed-alignment")
        self._ring = memory.octets(areas.descriptors, 16 * self.size)
        self._words = memory.words(areas.descriptors, 8 * self.size)
        self._driver_event = memory.words(areas.driver, 2)
        self._device_event = memory.words(areas.device, 2)
        self._owner: list[Buffer | None] = [None] * self.size
        self._held = 0  # descriptors that the driver has not got back
        # What the driver put there before is taken for new buffers: bits that say so must not be set.
        rules.check(not any(self._words[8 * slot + 7] & USED for slot in range(self.size)), "packed-zero")

    def release(self) -> None:
        for view in (self._ring, self._words, self._driver_event, self._device_event):
            view.release()

    # --- what the driver made available ----------------------------------------------------------------------------

    def _is_available(self, position: int) -> bool:
        turn, slot = divmod(position, self.size)
        flags = self._words[8 * slot + 7]
        expected = USED if turn & 1 else AVAIL
        return flags & (AVAIL | USED) == expected

    def look(self) -> int:
        self._check_event()
        found = 0
        while self._is_available(self.seen):
            self._list()
            found += 1
        return found

    def _list(self) -> None:
        need, size = self.rules.need, self.size
        buffer = Buffer(-1)
        at = self.seen
        while True:
            slot = at % size
            need(len(buffer.slots) < size - self._held, "packed-list", f"{size - self._held} descriptors are free")
            need(self._owner[slot] is None, "exposed-altered", f"descriptor {slot} is the device's")
            need(self._is_available(at), "packed-wrap", f"descriptor {slot}: {self._words[8 * slot + 7]:#06x}")
            image = bytes(self._ring[16 * slot : 16 * slot + 16])
            address, length, buffer_id, flags = _DESCRIPTOR.unpack(image)
            need(not flags & ~(NEXT | WRITE | INDIRECT | AVAIL | USED), "packed-flags", f"{flags:#x}")
            buffer.slots.append(slot)
            buffer.images.append((self.areas.descriptors + 16 * slot, image))
            if flags & INDIRECT:
                need(self.indirect, "packed-indirect-negotiated")
                need(not flags & NEXT and len(buffer.slots) == 1, "packed-indirect-next")
                self._indirect(buffer, address, length)
            else:
                self._element(buffer, address, length, flags, "packed-writable-first", "descriptor-memory")
            at += 1
            if not flags & NEXT:
                break
        buffer.id = buffer_id
        need(buffer_id not in self.outstanding, "packed-id", f"{buffer_id}")
        elements = len(buffer.readable) + len(buffer.writable)
        self.rules.check(elements <= size, "packed-list", f"{elements} elements, the queue size is {size}")
        for slot in buffer.slots:
            self._owner[slot] = buffer
        self._held += len(buffer.slots)
        self.seen = at
        self._taken(buffer)

    def _indirect(self, buffer: Buffer, address: int, length: int) -> None:
        """All of a table's descriptors (2.8.7)."""
        for start, count, _, flags in self._table(address, length, "packed-indirect-length", "descriptor-memory"):
            self.rules.check(not flags & ~WRITE, "packed-indirect-flags", f"{flags:#x}")
            self._element(buffer, start, count, flags, "packed-writable-first", "descriptor-memory")
        buffer.images.append((address, self.memory.read(address, length)))

    # --- what the device gives back --------------------------------------------------------------------------------

    def use(self, done: list[tuple[Buffer, int]]) -> None:
        if self.in_order:
            # One descriptor for all, in the place of the first (2.8.8).
            self._give_back([buffer for buffer, _ in done])
            self._used_descriptor(done[-1][0].id, done[-1][1])
            self.used += sum(len(buffer.slots) for buffer, _ in done)
        else:
            # The first is written last: the driver sees all or none (2.8.9).
            position = self.used
            self._give_back([buffer for buffer, _ in done])
            places = []
            for buffer, length in done:
                places.append((position, buffer.id, length))
                position += len(buffer.slots)
            for place, buffer_id, length in reversed(places):
                self.used = place
                self._used_descriptor(buffer_id, length)
            self.used = position
        self.returned += len(done)

    def _give_back(self, buffers: list[Buffer]) -> None:
        read = self.memory.read
        for buffer in buffers:
            for address, image in buffer.images:
                slot, off = divmod(address - self.areas.descriptors, 16)
                # Where used descriptors were written since, or the driver has put new ones.
                if off == 0 and 0 <= slot < self.size and self._owner[slot] is not buffer:
                    continue
                if read(address, len(image)) != image:
                    self.rules.fail("exposed-altered", f"descriptors of buffer {buffer.id}")
            self._given(buffer)
            self._held -= len(buffer.slots)
        # Used descriptors take the slots in the order of the ring, whoever had them (2.8.12).
        position = self.used
        for buffer in buffers:
            for _ in buffer.slots:
                self._owner[position % self.size] = None
                position += 1

    def _used_descriptor(self, buffer_id: int, length: int) -> None:
        turn, slot = divmod(self.used, self.size)
        _USED_BODY.pack_into(self._ring, 16 * slot + 8, length, buffer_id)
        self._words[8 * slot + 7] = (0 if turn & 1 else AVAIL | USED) | (self.flag_of_written if length else 0)

    def write_used(self, buffer_id: int, length: int) -> None:
        self._used_descriptor(buffer_id, length)
        self.used += 1

    def wants_interrupt(self, old: int) -> bool:
        self._check_event()
        place, flags = self._driver_event
        if flags & 3 != DESC:
            return flags & 3 == ENABLE
        # The position in this turn of the ring or the last whose wrap counter (1 at first) is that one.
        turn = self.used // self.size
        if (turn & 1) == (place >> 15):
            turn -= 1
        return old <= turn * self.size + (place & 0x7FFF) < self.used

    def _check_event(self) -> None:
        place, flags = self._driver_event
        held = flags in (ENABLE, DISABLE) or (flags == DESC and self.event_idx and place & 0x7FFF < self.size)
        self.rules.check(held, "packed-event", f"{place:#x}, {flags:#x}")

    # --- what the device wants to be told --------------------------------------------------------------------------

    def arm(self) -> None:
        self._armed = self.seen
        if self.event_idx:
            turn, slot = divmod(self.seen, self.size)
            self._device_event[0] = slot | (0 if turn & 1 else 1 << 15)
            self._device_event[1] = DESC
        else:
            self._device_event[1] = ENABLE

    def suppress(self) -> None:
        self._armed = None
        self._device_event[1] = DISABLE

    @staticmethod
    def missing_rule() -> str:
        return "packed-notification-missing"
