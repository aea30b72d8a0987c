"""Cases of drivers that break a rule of the device model, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.virtio.bare import AVAIL, INDIRECT, Bare, BarePacked
from tests.virtio.model.frames import Header
from tests.virtio.model.rules import RULES, Violation

Case = Callable[[], Bare]
PLAIN = Header().pack() + b"\2" * 12 + b"\x88\xb5" + bytes(46)
SPLIT, PACKED = "all -RING_PACKED -IN_ORDER", "all -IN_ORDER"


class Cases:
    """Of one file."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Case]] = []

    def breaks(self, rule: str) -> Callable[[Case], Case]:
        """Decorates a driver that breaks `rule`, and no other before it."""

        def add(case: Case) -> Case:
            self.all.append((rule, case))
            return case

        return add

    def parametrized(self, test: Callable[[str, Case], None]) -> Callable[[str, Case], None]:
        """Decorates the test of a file, whose cases may come after it."""
        return pytest.mark.parametrize("rule, case", self.all)(test)

    @staticmethod
    def check(rule: str, case: Case) -> None:
        bare = case()
        with pytest.raises(Violation) as raised:
            bare.pump()
            bare.device.verify()
        assert bare.broken[0] == rule, bare.device.rules.broken
        assert RULES[rule].section in str(raised.value)


def in_flight(offered: str) -> Bare:
    """A buffer that the device has taken and keeps."""
    bare = Bare(offered).steps()
    bare.link.full = True
    bare.transmit(PLAIN)
    bare.device.faults.slow = (5, 5)
    bare.model.turn()
    return bare


def table(*descriptors: tuple[int, int, int, int], length: int | None = None, flags: int = 0, offered=SPLIT) -> Bare:
    """An indirect table, as chain()."""
    bare = Bare(offered).steps()
    good = bare.arena.put(PLAIN)
    at = bare.arena.take(16 * len(descriptors) + 16)
    for i, (address, count, third, fourth) in enumerate(descriptors):
        bare.tx.descriptor(at + 16 * i, good if address == 1 else address, count, third, fourth)
    length = 16 * len(descriptors) if length is None else length
    if isinstance(bare.tx, BarePacked):
        bare.tx.descriptor(bare.tx.areas[0], at, length, 0, INDIRECT | AVAIL | flags)
    else:
        bare.tx.descriptor(bare.tx.areas[0], at, length, INDIRECT | flags, 1)
        bare.tx.offer(0)
        bare.tx.publish()
    bare.notify(bare.tx)
    return bare


def sized(transport: str, size: int, offered: str = SPLIT) -> Bare:
    bare = Bare(offered, transport)
    bare.negotiate()
    bare.queue(0, size)
    return bare
