"""A device that is an enemy. It has a queue's memory, as the driver made it known, and shares nothing with the model's
rings: it uses buffers as a device would, mostly, and then ids, lengths, indices, flags or just bytes are anything."""

from __future__ import annotations

import ctypes
import random

from tests.virtio.model.device import Queue

_WORDS = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32, 8: ctypes.c_uint64}
_NEXT, _INDIRECT = 1, 4
_AVAILABLE, _USED = 0x80, 0x8000
_HEADER_ROOM = 12


def load(at: int, width: int) -> int:
    return int(_WORDS[width].from_address(at).value)


def store(at: int, width: int, value: int) -> None:
    _WORDS[width].from_address(at).value = value & ((1 << 8 * width) - 1)


def writable() -> list[tuple[int, int]]:
    """Memory in which a buffer may lie: the pool's, and rings'."""
    ranges = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            parts = line.split()
            if parts[1].startswith("rw") and len(parts) < 6:
                low, high = parts[0].split("-")
                ranges.append((int(low, 16), int(high, 16)))
    return ranges


class Enemy:
    """At one queue. `evil`: how often it does what no device may."""

    def __init__(self, queue: Queue, packed: bool, merged: bool, chance: random.Random, evil: float) -> None:
        self.queue, self.packed, self.chance, self.evil = queue, packed, chance, evil
        self.size = queue.size
        self.areas = (queue.descriptors, queue.driver, queue.device)
        self.ranges = writable()
        self.seen = self.used = 0
        self.merged = merged
        self.left = 1
        """Buffers of the frame that is being received, with this one."""
        self.has: list[tuple[int, int, int, int]] = []
        """Of each buffer: id, descriptors, address, bytes."""

    def _hit(self) -> bool:
        return self.chance.random() < self.evil

    def _inside(self, address: int, length: int) -> bool:
        return any(low <= address and address + length <= high for low, high in self.ranges)

    def _first(self, at: int) -> tuple[int, int]:
        """Address and length of a buffer's first element."""
        address, length = load(at, 8), load(at + 8, 4)
        flags = load(at + (14 if self.packed else 12), 2)
        if not flags & _INDIRECT:
            return address, length
        return (load(address, 8), load(address + 8, 4)) if self._inside(address, 16) else (0, 0)

    def _look(self) -> None:
        descriptors, driver, _ = self.areas
        if not self.packed:
            for _ in range(min((load(driver + 2, 2) - self.seen) & 0xFFFF, self.size)):
                head = load(driver + 4 + 2 * (self.seen % self.size), 2) % self.size
                self.has.append((head, 1, *self._first(descriptors + 16 * head)))
                self.seen += 1
            return
        for _ in range(self.size):
            turn, slot = divmod(self.seen, self.size)
            flags = load(descriptors + 16 * slot + 14, 2)
            if flags & (_AVAILABLE | _USED) != (_USED if turn & 1 else _AVAILABLE):
                return
            count = 1
            while flags & _NEXT and count < self.size:
                last = (self.seen + count) % self.size
                flags = load(descriptors + 16 * last + 14, 2)
                count += 1
            last = (self.seen + count - 1) % self.size
            number = load(descriptors + 16 * last + 12, 2)
            self.has.append((number, count, *self._first(descriptors + 16 * slot)))
            self.seen += count

    def _put(self, number: int, length: int, count: int) -> None:
        descriptors, _, device = self.areas
        if self.packed:
            turn, slot = divmod(self.used, self.size)
            at = descriptors + 16 * slot
            store(at + 12, 2, number)
            store(at + 8, 4, length)
            store(at + 14, 2, 0 if turn & 1 else _AVAILABLE | _USED)
        else:
            at = device + 4 + 8 * (self.used % self.size)
            store(at, 4, number)
            store(at + 4, 4, length)
        self.used += count

    def _frame(self, address: int) -> int:
        """A header, unless a frame goes on here; how long it says that all is."""
        chance = self.chance
        self.left -= 1
        if self.left <= 0 and self._inside(address, _HEADER_ROOM):
            self.left = chance.choice((1, 1, 1, 2, 3)) if self.merged and len(self.has) > 3 else 1
            store(address, 8, chance.getrandbits(64) if chance.random() < 0.25 else 0)
            store(address + 8, 2, chance.getrandbits(16))
            store(address + 10, 2, chance.choice((0, 3, self.size + 1, 0xFFFF)) if self._hit() else self.left)
        return 1932 if self.left > 1 else chance.choice((13, 72, 1512, 1932))

    def use(self, receive: bool) -> None:
        """Some buffers, in some order."""
        chance = self.chance
        self._look()
        if chance.random() < 0.3:
            chance.shuffle(self.has)
        most = chance.randint(0, min(len(self.has), 20))
        while self.has and (most > 0 or self.left > 1):
            most -= 1
            number, count, address, _ = self.has.pop(0)
            length = self._frame(address) if receive else 0
            if self._hit():
                number = chance.choice((number ^ 1, chance.randrange(self.size), self.size, 0xFFFF, 0xFFFFFFFF))
            if self._hit():
                length = chance.choice((0, 1, 11, 12, 1933, 65575, chance.getrandbits(32)))
            self._put(number, length, 1 if self._hit() else count)
        device = self.areas[2]
        if not self.packed:
            store(device + 2, 2, self.used + (chance.choice((1, -1, self.size, 0x8000)) if self._hit() else 0))
        # What it wants to be told of is its own affair.
        if chance.random() < 0.3:
            event = device if self.packed else device + 4 + 8 * self.size
            store(event, 2, chance.getrandbits(16))
            store(device + 2 if self.packed else device, 2, chance.choice((0, 1, 2, 3)))

    def scribble(self) -> None:
        """Into what the two of them share."""
        lengths = (16, 4, 4) if self.packed else (16, 6, 6)
        each = (0, 0, 0) if self.packed else (0, 2, 8)
        for _ in range(self.chance.choice((1, 2, 8, 64))):
            i = self.chance.choice((0, 2))
            length = 16 * self.size if i == 0 else lengths[i] + each[i] * self.size
            store(self.areas[i] + self.chance.randrange(length), 1, self.chance.getrandbits(8))
