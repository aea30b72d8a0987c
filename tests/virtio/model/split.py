"""The device's side of a split virtqueue (VIRTIO 1.2, 2.7)."""

from __future__ import annotations

import struct

from tests.virtio.model.exposed import Exposed
from tests.virtio.model.memory import Memory
from tests.virtio.model.ring import INDIRECT, NEXT, WRITE, Areas, Buffer, Ring
from tests.virtio.model.rules import Broken, Rules

_DESCRIPTOR = struct.Struct("<QIHH")
_USED = struct.Struct("<II")
_POSITIONS = 1 << 16


class SplitRing(Ring):
    def __init__(self, areas: Areas, features: dict[str, bool], memory: Memory, rules: Rules, exposed: Exposed) -> None:
        super().__init__(areas, features, memory, rules, exposed)
        size = self.size
        for address, multiple, length, written in (
            (areas.descriptors, 16, 16 * size, False),
            (areas.driver, 2, 6 + 2 * size, False),
            (areas.device, 4, 6 + 8 * size, True),
        ):
            rules.check(address % multiple == 0, "split-alignment", f"{address:#x}")
            rules.need(address and memory.covers(address, length, written), "area-memory", f"{length} at {address:#x}")
        if areas.driver % 2 or areas.device % 2:
            raise Broken("split-alignment")
        self._table_view = memory.octets(areas.descriptors, 16 * size)
        self._available = memory.words(areas.driver, 3 + size)
        self._used_words = memory.words(areas.device, 3 + 4 * size)
        self._used_bytes = memory.octets(areas.device, 6 + 8 * size)
        self._owner = bytearray(size)
        self._next_head = 0
        rules.check(self._used_words[0] == 0 and self._used_words[1] == 0, "used-zero")

    def release(self) -> None:
        for view in (self._table_view, self._available, self._used_words, self._used_bytes):
            view.release()

    # --- what the driver made available ----------------------------------------------------------------------------

    def look(self) -> int:
        flags, index = self._available[0], self._available[1]
        self.rules.check(flags == 0 or (flags == 1 and not self.event_idx), "available-flags", f"{flags:#x}")
        count = (index - self.seen) % _POSITIONS
        if count == 0:
            return 0
        # Each buffer has a descriptor at least: more than that, or a step back, is no number of new buffers.
        self.rules.need(
            count <= self.size - len(self.outstanding),
            "available-index",
            f"from {self.seen % _POSITIONS} to {index}, {len(self.outstanding)} of {self.size} taken",
        )
        for _ in range(count):
            self._chain(self._available[2 + self.seen % self.size])
            self.seen += 1
        return count

    def _chain(self, head: int) -> None:
        need = self.rules.need
        need(head < self.size, "available-head", f"{head} of {self.size}")
        if self.in_order:
            need(head == self._next_head, "in-order-head", f"{head}, not {self._next_head}")
        buffer = Buffer(head)
        at = head
        total = 0
        while True:
            need(not self._owner[at], "exposed-altered", f"descriptor {at} is in a buffer that the device has")
            if at in buffer.slots:
                need(False, "descriptor-loop", f"descriptor {at} twice")
            image = bytes(self._table_view[16 * at : 16 * at + 16])
            buffer.images.append((self.areas.descriptors + 16 * at, image))
            buffer.slots.append(at)
            address, length, flags, after = _DESCRIPTOR.unpack(image)
            need(not flags & ~(NEXT | WRITE | INDIRECT), "descriptor-flags", f"{flags:#x}")
            if flags & INDIRECT:
                need(self.indirect, "indirect-negotiated")
                need(not flags & NEXT, "indirect-next")
                total += self._indirect(buffer, address, length)
                break
            total += length
            self._element(buffer, address, length, flags, "writable-first", "descriptor-memory")
            if not flags & NEXT:
                break
            need(after < self.size, "descriptor-next", f"{after} of {self.size}")
            if self.in_order:
                need(after == (at + 1) % self.size, "in-order-next", f"{after} after {at}")
            at = after
        need(total <= 1 << 32, "descriptor-loop", f"{total} bytes")
        elements = len(buffer.readable) + len(buffer.writable)
        self.rules.check(elements <= self.size, "chain-length", f"{elements} of {self.size}")
        for slot in buffer.slots:
            self._owner[slot] = 1
        self._next_head = (buffer.slots[-1] + 1) % self.size
        self._taken(buffer)

    def _indirect(self, buffer: Buffer, address: int, length: int) -> int:
        """A table's elements (2.7.5.3); how many bytes."""
        need = self.rules.need
        table = self._table(address, length, "indirect-length", "descriptor-memory")
        at = steps = total = 0
        while True:
            # One element more than the table has is the first to be seen again.
            need(steps < len(table), "descriptor-loop", "in a table")
            start, count, flags, after = table[at]
            need(not flags & INDIRECT, "indirect-nested")
            need(not flags & ~(NEXT | WRITE), "descriptor-flags", f"{flags:#x} in a table")
            self._element(buffer, start, count, flags, "writable-first", "descriptor-memory")
            total += count
            steps += 1
            if not flags & NEXT:
                break
            need(after < len(table), "descriptor-next", f"{after} of {len(table)} in a table")
            if self.in_order:
                need(after == at + 1, "indirect-order", f"{after} after {at}")
            at = after
        buffer.images.append((address, self.memory.read(address, length)))
        return total

    # --- what the device gives back --------------------------------------------------------------------------------

    def use(self, done: list[tuple[Buffer, int]]) -> None:
        if self.in_order:
            # One entry for all, in the place of the first (2.7.9).
            last, length = done[-1]
            self._entry(self.used, last.id, length)
            self.used += len(done)
        for buffer, length in done:
            for address, image in buffer.images:
                if self.memory.read(address, len(image)) != image:
                    self.rules.fail("exposed-altered", f"descriptors of buffer {buffer.id}")
            if not self.in_order:
                self._entry(self.used, buffer.id, length)
                self.used += 1
            self._given(buffer)
            for slot in buffer.slots:
                self._owner[slot] = 0
        self.returned += len(done)
        self._used_words[1] = self.used % _POSITIONS

    def _entry(self, position: int, buffer_id: int, length: int) -> None:
        _USED.pack_into(self._used_bytes, 4 + 8 * (position % self.size), buffer_id, length)

    def write_used(self, buffer_id: int, length: int) -> None:
        self._entry(self.used, buffer_id, length)
        self.used += 1
        self._used_words[1] = self.used % _POSITIONS

    def jump(self, count: int) -> None:
        """Moves the used index without entries, for good."""
        self.used += count
        self._used_words[1] = self.used % _POSITIONS

    def wants_interrupt(self, old: int) -> bool:
        flags = self._available[0]
        if not self.event_idx:
            return not flags & 1
        self.rules.check(flags == 0, "available-flags", f"{flags:#x} with EVENT_IDX")
        event = self._available[2 + self.size]
        return (event - old) % _POSITIONS < (self.used - old)

    # --- what the device wants to be told --------------------------------------------------------------------------

    def arm(self) -> None:
        self._armed = self.seen
        if self.event_idx:
            self._used_words[2 + 4 * self.size] = self.seen % _POSITIONS
        else:
            self._used_words[0] = 0

    def suppress(self) -> None:
        # With EVENT_IDX it is behind, where it was: the index passes it again after 65,536 entries.
        self._armed = None
        if self.event_idx:
            self._used_words[2 + 4 * self.size] = (self.seen - 1) % _POSITIONS
        else:
            self._used_words[0] = 1

    @staticmethod
    def missing_rule() -> str:
        return "notification-missing"
