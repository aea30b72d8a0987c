"""Memory of the driver's, by address: what the device reaches, and nothing else.

Hosted, a bus address is an address of this process: an access to what is not mapped would end it, so each range is
looked up first, in the regions that a test names or else in the process's mappings.
"""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

_MAPPING = re.compile("^([0-9a-f]+)-([0-9a-f]+) r(.)", re.MULTILINE)


class Memory:
    def __init__(self, regions: Iterable[tuple[int, int]] | None = None) -> None:
        """`regions`: (address, length) of all that the driver may name."""
        self._fixed = regions is not None
        self._set([(start, start + length, True) for start, length in regions or ()])

    def _set(self, ranges: list[tuple[int, int, bool]]) -> None:
        """Neighbours become one."""
        self._ranges: dict[bool, tuple[list[int], list[int]]] = {}
        for written in (False, True):
            starts: list[int] = []
            ends: list[int] = []
            for start, end, writable in sorted(ranges):
                if written and not writable:
                    continue
                if ends and start == ends[-1]:
                    ends[-1] = end
                else:
                    starts.append(start)
                    ends.append(end)
            self._ranges[written] = starts, ends

    def _look_again(self) -> None:
        if not self._fixed:
            found = _MAPPING.findall(Path("/proc/self/maps").read_text())
            self._set([(int(start, 16), int(end, 16), right == "w") for start, end, right in found])

    def forget(self) -> None:
        """What was unmapped since is not covered any more."""
        if not self._fixed:
            self._set([])

    def _inside(self, address: int, length: int, written: bool) -> bool:
        starts, ends = self._ranges[written]
        place = bisect_right(starts, address) - 1
        return place >= 0 and address + length <= ends[place]

    def covers(self, address: int, length: int, written: bool) -> bool:
        if self._inside(address, length, written):
            return True
        self._look_again()
        return self._inside(address, length, written)

    @staticmethod
    def words(address: int, count: int) -> memoryview:
        """16 bits each: a ring's. Must be covered."""
        return memoryview((ctypes.c_char * (2 * count)).from_address(address)).cast("B").cast("H")

    @staticmethod
    def octets(address: int, length: int) -> memoryview:
        return memoryview((ctypes.c_char * length).from_address(address)).cast("B")

    read = staticmethod(ctypes.string_at)
    """(address, length) -> bytes"""

    @staticmethod
    def write(address: int, data: bytes) -> None:
        ctypes.memmove(address, data, len(data))
