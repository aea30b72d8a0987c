"""Rules of packed rings (VIRTIO 1.2, 2.8): each fires where a driver breaks it."""

from __future__ import annotations

import struct

from tests.virtio.bare import AVAIL, NEXT, USED, WRITE, Bare
from tests.virtio.cases import PACKED, PLAIN, Cases, table

CASES = Cases()
breaks = CASES.breaks


@CASES.parametrized
def test_the_rule_fires(rule, case):
    CASES.check(rule, case)


def packed(*descriptors: tuple[int, int, int, int], offered: str = PACKED) -> Bare:
    """Descriptors (address, length, id, flags); AVAIL is added to all but 0."""
    bare = Bare(offered).steps()
    good = bare.arena.put(PLAIN)
    for i, (address, length, number, flags) in enumerate(descriptors):
        bare.tx.descriptor(bare.tx.areas[0] + 16 * i, good if address == 1 else address, length, number, flags)
    bare.notify(bare.tx)
    return bare


@breaks("packed-zero")
def a_ring_of_old():
    bare = Bare(PACKED)
    bare.negotiate()
    areas = bare.arena.take(256), bare.arena.take(4), bare.arena.take(4)
    bare.arena.word(areas[0] + 16 + 14, AVAIL | USED)
    bare.queue(0, areas=areas)
    return bare


@breaks("packed-wrap")
def the_second_is_not_available():
    return packed((1, 60, 0, AVAIL | NEXT), (1, 60, 0, 0))


@breaks("packed-flags")
def a_flag_that_is_reserved():
    return packed((1, 60, 0, AVAIL | 8))


@breaks("packed-id")
def an_id_twice():
    return packed((1, 60, 7, AVAIL), (1, 60, 7, AVAIL))


@breaks("packed-list")
def more_than_are_free():
    return packed(*[(1, 60, 0, AVAIL | NEXT)] * 16)


@breaks("packed-list")
def a_table_larger_than_the_queue():
    bare = Bare(PACKED).steps()
    bare.transmit(PLAIN + bytes(40), pieces=28, indirect=True)
    return bare


@breaks("packed-writable-first")
def packed_readable_after_writable():
    return packed((1, 60, 0, AVAIL | NEXT | WRITE), (1, 60, 0, AVAIL))


@breaks("packed-indirect-negotiated")
def packed_indirect_all_the_same():
    bare = Bare("mac RING_PACKED").steps()
    bare.transmit(PLAIN, indirect=True)
    return bare


@breaks("packed-indirect-flags")
def next_in_a_table():
    return table((1, 60, 0, NEXT), (1, 60, 0, 0), offered=PACKED)


@breaks("packed-indirect-next")
def a_list_with_a_table():
    return table((1, 60, 0, 0), offered=PACKED, flags=NEXT)


@breaks("packed-indirect-length")
def packed_half_a_descriptor():
    return table((1, 60, 0, 0), offered=PACKED, length=8)


@breaks("packed-event")
def event_flags_3():
    bare = Bare(PACKED).steps()
    bare.arena.write(bare.tx.areas[1], struct.pack("<HH", 0, 3))
    return bare


@breaks("packed-event")
def event_offset_beyond():
    bare = Bare(PACKED).steps()
    bare.arena.write(bare.tx.areas[1], struct.pack("<HH", 16, 2))
    return bare


@breaks("packed-event")
def events_of_descriptors_without_event_idx():
    bare = Bare("mac RING_PACKED").steps()
    bare.tx.events(True, position=0)
    return bare
