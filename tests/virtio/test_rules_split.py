"""Rules of split rings (VIRTIO 1.2, 2.7): each fires where a driver breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtio.bare import INDIRECT, NEXT, WRITE, Bare
from tests.virtio.cases import PACKED, PLAIN, SPLIT, Cases, table
from tests.virtio.model.memory import Memory
from tests.virtio.model.rules import Violation

CASES = Cases()
breaks = CASES.breaks


@CASES.parametrized
def test_the_rule_fires(rule, case):
    CASES.check(rule, case)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("packed", [False, True])
def test_alignment_of_each_area(packed, which):
    bare = Bare(PACKED if packed else SPLIT)
    bare.negotiate()
    off = [0, 0, 0]
    off[which] = (8, 2, 2)[which] if packed else (8, 1, 2)[which]
    bare.queue(0, areas=(bare.arena.take(512) + off[0], bare.arena.take(64) + off[1], bare.arena.take(512) + off[2]))
    assert bare.broken == ["packed-alignment" if packed else "split-alignment"]


@breaks("split-alignment")
def split_table_at_8():
    bare = Bare(SPLIT)
    bare.negotiate()
    bare.queue(0, areas=(bare.arena.take(512) + 8, bare.arena.take(64), bare.arena.take(256)))
    return bare


@breaks("packed-alignment")
def packed_ring_at_8():
    bare = Bare(PACKED)
    bare.negotiate()
    bare.queue(0, areas=(bare.arena.take(512) + 8, bare.arena.take(64), bare.arena.take(256)))
    return bare


@breaks("area-memory")
def used_ring_nowhere():
    bare = Bare(SPLIT)
    bare.negotiate()
    bare.queue(0, areas=(bare.arena.take(512), bare.arena.take(64), 0x1000))
    return bare


@breaks("area-memory")
def no_address():
    bare = Bare(PACKED)
    bare.negotiate()
    bare.queue(0, areas=(0, bare.arena.take(64), bare.arena.take(64)))
    return bare


def chain(*descriptors: tuple[int, int, int, int], heads: tuple[int, ...] = (0,), offered: str = SPLIT) -> Bare:
    """Descriptors as they are given, in the transmit queue; address 1 is that of a frame."""
    bare = Bare(offered).steps()
    good = bare.arena.put(PLAIN)
    for i, (address, length, flags, after) in enumerate(descriptors):
        bare.tx.descriptor(bare.tx.areas[0] + 16 * i, good if address == 1 else address, length, flags, after)
    for head in heads:
        bare.tx.offer(head)
    bare.tx.publish()
    bare.notify(bare.tx)
    return bare


@breaks("writable-first")
def readable_after_writable():
    return chain((1, 60, NEXT | WRITE, 1), (1, 60, 0, 0))


@breaks("descriptor-empty")
def nothing_behind_a_frame():
    return chain((1, 60, NEXT, 1), (1, 0, 0, 0))


@breaks("descriptor-memory")
def a_wild_address():
    return chain((0x1234, 60, 0, 0))


@breaks("descriptor-memory")
def beyond_a_region():
    bare = Bare(SPLIT)
    bare.device.memory = Memory([(bare.arena.address, bare.arena.size)])
    bare.steps()
    bare.tx.add([(bare.arena.address + bare.arena.size - 30, 60)])
    bare.tx.publish()
    bare.notify(bare.tx)
    return bare


@breaks("descriptor-memory")
def to_be_written_where_nothing_can_be():
    bare = Bare(SPLIT).steps()
    line = next(line for line in Path("/proc/self/maps").read_text().splitlines() if " r-" in line)
    bare.rx.add([], [(int(line.split("-")[0], 16), 2048)])
    bare.rx.publish()
    bare.notify(bare.rx)
    return bare


@breaks("descriptor-flags")
def an_unknown_flag():
    return chain((1, 60, 8, 0))


@breaks("descriptor-next")
def next_beyond():
    return chain((1, 60, NEXT, 16))


@breaks("descriptor-loop")
def to_itself():
    return chain((1, 60, NEXT, 0))


@breaks("descriptor-loop")
def round_about():
    return chain((1, 60, NEXT, 1), (1, 60, NEXT, 0))


@breaks("in-order-next")
def not_the_next():
    return chain((1, 60, NEXT, 2), (0, 0, 0, 0), (1, 60, 0, 0), offered="all -RING_PACKED")


@breaks("in-order-head")
def not_the_first():
    return chain((0, 0, 0, 0), (1, 60, 0, 0), heads=(1,), offered="all -RING_PACKED")


@breaks("indirect-negotiated")
def indirect_all_the_same():
    bare = Bare("mac").steps()
    bare.transmit(PLAIN, indirect=True)
    return bare


@breaks("indirect-nested")
def a_table_in_a_table():
    return table((1, 60, INDIRECT, 0))


@breaks("indirect-next")
def goes_on_after_a_table():
    return table((1, 60, 0, 0), flags=NEXT)


@breaks("indirect-length")
def half_a_descriptor():
    return table((1, 60, 0, 0), length=24)


@breaks("indirect-length")
def an_empty_table():
    return table((1, 60, 0, 0), length=0)


@breaks("descriptor-loop")
def a_loop_in_a_table():
    return table((1, 60, NEXT, 1), (1, 60, NEXT, 0))


@breaks("descriptor-next")
def out_of_a_table():
    return table((1, 60, NEXT, 2), (1, 60, 0, 0))


@breaks("indirect-order")
def backwards_in_a_table():
    rows = (1, 60, NEXT, 2), (1, 60, 0, 0), (1, 60, NEXT, 1)
    return table(*rows, offered="all -RING_PACKED")


@breaks("chain-length")
def more_than_the_queue_has():
    bare = Bare(SPLIT).steps()
    bare.transmit(PLAIN + bytes(40), pieces=28, indirect=True)
    return bare


@breaks("available-index")
def steps_back():
    bare = Bare(SPLIT).steps()
    bare.transmit(PLAIN)
    bare.pump()
    bare.tx.idx -= 1
    bare.tx.publish()
    return bare


@breaks("available-index")
def more_than_there_is_room_for():
    return chain((1, 60, 0, 0), heads=tuple(range(17)))


@breaks("available-head")
def no_descriptor():
    return chain((1, 60, 0, 0), heads=(16,))


@breaks("available-flags")
def a_flag_with_events():
    bare = Bare(SPLIT).steps()
    bare.tx.events(False)
    return bare


@breaks("available-flags")
def a_flag_of_no_meaning():
    bare = Bare("mac").steps()
    bare.arena.word(bare.tx.areas[1], 2)
    return bare


@breaks("used-zero")
def a_used_ring_of_old():
    bare = Bare(SPLIT)
    bare.negotiate()
    areas = bare.arena.take(256), bare.arena.take(64), bare.arena.take(256)
    bare.arena.word(areas[2], 1)
    bare.queue(0, areas=areas)
    return bare


@breaks("notification-missing")
def silent_with_events():
    bare = Bare(SPLIT).steps()
    bare.pump()
    bare.transmit(PLAIN, notify=False)
    return bare


@breaks("notification-missing")
def silent_without_events():
    bare = Bare("mac").steps()
    bare.pump()
    bare.transmit(PLAIN, notify=False)
    return bare


@breaks("packed-notification-missing")
def silent():
    bare = Bare(PACKED).steps()
    bare.pump()
    bare.transmit(PLAIN, notify=False)
    return bare


@pytest.mark.parametrize("offered", [SPLIT, PACKED, "mac", "mac RING_PACKED"])
def test_notifications_that_are_suppressed_are_neither_missed_nor_wanted(offered):
    bare = Bare(offered).steps()
    bare.pump()
    bare.transmit(PLAIN)
    queue = bare.device.queues[1]
    assert bare.model.turn(), "it is at work now, and wants to hear nothing"
    bare.transmit(PLAIN, notify=False)
    assert bare.model.turn()
    bare.transmit(PLAIN)
    assert (queue.notifications, queue.superfluous) == (2, 1)
    bare.pump()
    bare.transmit(PLAIN)
    bare.notify(bare.tx)
    assert (queue.notifications, queue.superfluous) == (4, 2)


def test_a_violation_tells_its_section():
    with pytest.raises(Violation, match=r"VIRTIO 1\.2, 2\.7\.5\.2: no loops"):
        to_itself().pump()
