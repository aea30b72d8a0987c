"""What the device's side of split and packed rings has in common. Positions count from 0 and do not wrap."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tests.virtio.model.exposed import Exposed
from tests.virtio.model.memory import Memory
from tests.virtio.model.rules import Rules

NEXT, WRITE, INDIRECT = 1, 2, 4

_EDGE = 64  # bytes at each end of an element to be written that are looked after
_CANARY = b"\xa5" * _EDGE
_TABLES = 1 << 16


class Areas(NamedTuple):
    """Of a queue: what the driver wrote into its registers."""

    size: int
    descriptors: int
    driver: int
    device: int


class Buffer:
    """What the driver made available: a chain (split) or list (packed) of elements (address, length)."""

    __slots__ = ("capacity", "id", "images", "length", "readable", "slots", "sums", "writable")

    def __init__(self, buffer_id: int) -> None:
        self.id = buffer_id
        self.readable: list[tuple[int, int]] = []
        self.writable: list[tuple[int, int]] = []
        self.slots: list[int] = []
        """Of the ring, in the order of the chain."""
        self.images: list[tuple[int, bytes]] = []
        """Address and bytes of what describes it and must not change."""
        self.sums: list[int] = []
        self.capacity = 0
        """Bytes that it can take."""
        self.length = 0
        """Bytes to be read."""


class Ring:
    def __init__(self, areas: Areas, features: dict[str, bool], memory: Memory, rules: Rules, exposed: Exposed) -> None:
        self.exposed = exposed
        self.areas = areas
        self.size = areas.size
        self.memory = memory
        self.rules = rules
        self.event_idx = features["EVENT_IDX"]
        self.indirect = features["INDIRECT_DESC"]
        self.in_order = features["IN_ORDER"]
        self.seen = 0
        """Position up to which the driver's entries were taken."""
        self.used = 0
        """Position up to which used entries were written."""
        self.ready: deque[Buffer] = deque()
        self.outstanding: dict[int, Buffer] = {}
        """All that the driver gave and did not get back, by id, in the order in which it came."""
        self.taken = self.returned = 0
        self.elements = 0
        self.longest = 0
        self.canaries = True
        self.inspect: Callable[[Buffer], None] | None = None
        """Called with each buffer that is taken."""
        self._armed: int | None = 0  # position whose passing is to be told; rings are zero at first: it is the first
        self._told = 0  # position at the last notification, or look

    # --- what the driver made available ----------------------------------------------------------------------------

    def look(self) -> int:
        """Takes what is new into `ready`; how many buffers. Broken: the ring cannot be used any more."""
        raise NotImplementedError

    def _owed(self, old: int, new: int) -> bool:
        """Whether what was made available from `old` to `new` has to be told."""
        armed = self._armed
        return new > old and armed is not None and (not self.event_idx or old <= armed < new)

    def notified(self) -> bool:
        """The driver notified: whether it had to."""
        old = self._told
        self.look()
        self._told = self.seen
        return self._owed(old, self.seen)

    def look_untold(self) -> bool:
        """look() without a notification: whether there should have been one."""
        old = self._told
        self.look()
        self._told = self.seen
        return self._owed(old, self.seen)

    def pop(self) -> Buffer | None:
        return self.ready.popleft() if self.ready else None

    def _element(self, buffer: Buffer, address: int, length: int, flags: int, first: str, memory: str) -> None:
        need = self.rules.need
        if flags & WRITE:
            buffer.writable.append((address, length))
            buffer.capacity += length
        else:
            need(not buffer.writable, first, f"element {len(buffer.readable) + len(buffer.writable)} of {buffer.id}")
            buffer.readable.append((address, length))
            buffer.length += length
        need(length, "descriptor-empty", f"at {address:#x} of buffer {buffer.id}")
        if not self.memory.covers(address, length, flags & WRITE != 0):
            need(False, memory, f"{length} bytes at {address:#x} of buffer {buffer.id}")

    def _taken(self, buffer: Buffer) -> None:
        """All of it was read and found well: it is the device's."""
        self.taken += 1
        count = len(buffer.readable) + len(buffer.writable)
        self.elements += count
        self.longest = max(self.longest, count)
        buffer.sums = [hash(self.memory.read(address, length)) for address, length in buffer.readable]
        if self.canaries:
            for address, length in buffer.writable:
                if length >= 2 * _EDGE:
                    self.memory.write(address, _CANARY)
                    self.memory.write(address + length - _EDGE, _CANARY)
        if self.inspect is not None:
            self.inspect(buffer)
        self.exposed.add(buffer.readable, buffer.writable)
        self.outstanding[buffer.id] = buffer
        self.ready.append(buffer)

    def _table(self, address: int, length: int, rule: str, memory: str) -> list[tuple[int, int, int, int]]:
        """The descriptors of an indirect table as (address, length, 16 bits, 16 bits)."""
        need = self.rules.need
        need(length and length % 16 == 0 and length <= _TABLES * 16, rule, f"{length} bytes")
        need(self.memory.covers(address, length, False), memory, f"table of {length} bytes at {address:#x}")
        return list(struct.iter_unpack("<QIHH", self.memory.read(address, length)))

    def _given(self, buffer: Buffer) -> None:
        """It is the driver's again."""
        self.exposed.remove(buffer.readable, buffer.writable)
        del self.outstanding[buffer.id]

    # --- what the device gives back --------------------------------------------------------------------------------

    def unchanged(self, buffer: Buffer) -> None:
        """Checks, before the device writes, that the driver left the bytes alone; use() looks at the descriptors."""
        read, check = self.memory.read, self.rules.check
        for (address, length), known in zip(buffer.readable, buffer.sums):
            if hash(read(address, length)) != known:
                check(False, "buffer-altered", f"{length} bytes of buffer {buffer.id}")
        if self.canaries:
            for address, length in buffer.writable:
                if length >= 2 * _EDGE and (
                    read(address, _EDGE) != _CANARY or read(address + length - _EDGE, _EDGE) != _CANARY
                ):
                    check(False, "buffer-written", f"{length} bytes of buffer {buffer.id}")

    def use(self, done: list[tuple[Buffer, int]]) -> None:
        """Gives buffers back, each with the bytes that were written: the driver sees all of them at once."""
        raise NotImplementedError

    def write_used(self, buffer_id: int, length: int) -> None:
        """An entry whatever it says, and without a buffer: what a device that is broken does."""
        raise NotImplementedError

    def wants_interrupt(self, old: int) -> bool:
        """Whether the driver is to be told that positions from `old` to `used` were used."""
        raise NotImplementedError

    # --- what the device wants to be told --------------------------------------------------------------------------

    def arm(self) -> None:
        """Notifications from the next entry on; whoever calls it looks again."""
        raise NotImplementedError

    def suppress(self) -> None:
        raise NotImplementedError

    @property
    def armed(self) -> bool:
        return self._armed is not None

    @staticmethod
    def missing_rule() -> str:
        raise NotImplementedError

    def release(self) -> None:
        """Lets go of the driver's memory."""
        raise NotImplementedError
