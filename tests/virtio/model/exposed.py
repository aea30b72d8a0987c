"""Which memory the device has, of all its queues: what it is to write belongs to one buffer only."""

from __future__ import annotations

from bisect import bisect_left, insort

from tests.virtio.model.rules import Rules

Elements = list[tuple[int, int]]


class Exposed:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._written: Elements = []
        self._read: Elements = []

    def clear(self) -> None:
        self._written.clear()
        self._read.clear()

    def add(self, readable: Elements, writable: Elements) -> None:
        for element in writable:
            self._alone(element, self._written)
            self._alone(element, self._read)
            insort(self._written, element)
        for element in readable:
            self._alone(element, self._written)
            insort(self._read, element)

    def remove(self, readable: Elements, writable: Elements) -> None:
        for elements, known in ((readable, self._read), (writable, self._written)):
            for element in elements:
                place = bisect_left(known, element)
                if place < len(known) and known[place] == element:
                    del known[place]

    def _alone(self, element: tuple[int, int], others: Elements) -> None:
        """Those next to it tell: what is written overlaps nothing, so it is sorted by its ends too."""
        address, length = element
        place = bisect_left(others, element)
        for other, other_length in others[max(0, place - 1) : place + 1]:
            if address < other + other_length and other < address + length:
                self._rules.fail("buffer-overlap", f"{length} bytes at {address:#x}, {other_length} at {other:#x}")
