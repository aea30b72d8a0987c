"""Each rule that the device model checks fires where a driver breaks it; a driver that obeys breaks none."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.virtio.bare import AVAIL, INDIRECT, NEXT, USED, WRITE, Bare, BarePacked
from tests.virtio.model import features as feature_bits
from tests.virtio.model import mmio, pci
from tests.virtio.model.frames import GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, Header, parts, pseudo_header_sum
from tests.virtio.model.memory import Memory
from tests.virtio.model.rules import RULES, Violation
from tests.virtio.packets import tcp_packet, udp_packet

Case = Callable[[], Bare]
CASES: list[tuple[str, Case]] = []
PLAIN = Header().pack() + b"\2" * 12 + b"\x88\xb5" + bytes(46)
SPLIT, PACKED = "all -RING_PACKED -IN_ORDER", "all -IN_ORDER"


def breaks(rule: str) -> Callable[[Case], Case]:
    def add(case: Case) -> Case:
        CASES.append((rule, case))
        return case

    return add


@pytest.mark.parametrize("rule, case", CASES, ids=[f"{rule}-{case.__name__}" for rule, case in CASES])
def test_the_rule_fires(rule, case):
    bare = case()
    if not bare.broken:
        with pytest.raises(Violation) as raised:
            bare.pump()
            bare.device.verify()
        assert RULES[rule].section in str(raised.value)
    else:
        with pytest.raises(Violation):
            bare.pump()
    assert bare.broken[0] == rule, bare.device.rules.broken


def test_each_rule_has_a_case():
    assert {rule for rule, _ in CASES} == set(RULES)


# --- basic facilities ----------------------------------------------------------------------------------------------


@breaks("status-cleared")
def a_bit_is_cleared():
    bare = Bare()
    bare.negotiate()
    bare.status(9)
    return bare


@breaks("status-unknown")
def bit_4():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(0x11)
    return bare


@breaks("failed-not-reset")
def goes_on_after_failed():
    bare = Bare()
    bare.negotiate()
    bare.status(11 | 128)
    bare.status(15 | 128)
    return bare


@breaks("feature-not-offered")
def takes_more():
    bare = Bare("mac")
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.accept(bare.features() | feature_bits.bits("MTU"))
    bare.status(11)
    return bare


@breaks("feature-not-offered")
def takes_words_that_are_not_there():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.registers.write32(mmio.DRIVER_FEATURES_SEL, 4)
    bare.registers.write32(mmio.DRIVER_FEATURES, 1)
    return bare


@breaks("feature-dependency")
def tso_without_checksums():
    bare = Bare("VERSION_1 CSUM HOST_TSO4")
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.accept(bare.features() & ~feature_bits.bits("CSUM"))
    bare.status(11)
    return bare


@breaks("feature-version")
def legacy():
    bare = Bare("qemu")
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.accept(bare.features() & ~feature_bits.bits("VERSION_1"))
    bare.status(11)
    return bare


def read_mac(bare: Bare) -> None:
    for i in range(6):
        bare.registers.read8(mmio.CONFIG + i)


def generation(bare: Bare) -> None:
    bare.registers.read32(mmio.CONFIG_GENERATION)


@breaks("config-generation")
def not_asked():
    bare = Bare()
    bare.negotiate()
    read_mac(bare)
    bare.status(15)
    return bare


@breaks("config-generation")
def asked_before():
    bare = Bare()
    bare.negotiate()
    generation(bare)
    read_mac(bare)
    bare.status(15)
    return bare


@breaks("config-generation")
def asked_after():
    bare = Bare()
    bare.negotiate()
    read_mac(bare)
    generation(bare)
    bare.status(15)
    return bare


def test_the_generation_before_and_after_is_well():
    bare = Bare()
    bare.negotiate()
    read_mac(bare)
    generation(bare)
    read_mac(bare)
    generation(bare)
    bare.status(15)
    bare.pump()


@breaks("config-optional")
def mtu_that_is_not_offered():
    bare = Bare("mac")
    bare.negotiate()
    bare.registers.read16(mmio.CONFIG + 10)
    return bare


@breaks("config-beyond")
def after_the_last_field():
    bare = Bare()
    bare.negotiate()
    bare.registers.read32(mmio.CONFIG + 64)
    return bare


@breaks("init-reset")
def begins_without():
    bare = Bare()
    bare.identify()
    bare.status(1)
    return bare


@breaks("init-order")
def driver_first():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(2)
    return bare


@breaks("init-order")
def two_steps_at_once():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(3)
    return bare


@breaks("init-order")
def features_before_driver():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.features()
    return bare


@breaks("init-order")
def queues_before_features():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.accept(bare.features())
    bare.queue(0)
    return bare


@breaks("init-features-fixed")
def features_after_features_ok():
    bare = Bare()
    bare.negotiate()
    bare.accept(bare.accepted)
    return bare


@breaks("init-features-read")
def status_not_read_again():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.accept(bare.features())
    bare.status(11)
    bare.queue(0)
    return bare


@breaks("init-features-refused")
def goes_on_without_features_ok():
    bare = Bare()
    bare.device.faults.next("features-refused")
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.accept(bare.features())
    bare.status(11)
    assert bare.status() == 3
    bare.queue(0)
    return bare


@breaks("init-queues-first")
def queue_after_driver_ok():
    bare = Bare().steps(queues=1)
    bare.queue(1)
    return bare


@breaks("notify-before-ok")
def notifies_early():
    bare = Bare()
    bare.negotiate()
    bare.queue(1)
    bare.notify(bare.tx)
    return bare


@pytest.mark.parametrize("offered", [SPLIT, PACKED])
def test_a_driver_that_obeys_breaks_no_rule(offered):
    for transport in ("mmio", "pci"):
        bare = Bare(offered, transport)
        if transport == "pci":
            bare.interrupts.line(11, False)
        bare.steps()
        bare.post(100, 8)
        for turn in range(40):
            bare.transmit(PLAIN, pieces=1 + turn % 3, indirect=turn % 2 == 1)
            bare.link.arrive(bytes(60 + 10 * turn))
            bare.pump()
            bare.tx.reap()
            bare.post(100, len(bare.rx.reap()))
        assert len(bare.link.sent) == 40
        assert bare.device.count["rx_frames"] == 40
        bare.pump()
        bare.device.verify()


def in_flight(offered: str) -> Bare:
    """A buffer that the device has taken and keeps."""
    bare = Bare(offered).steps()
    bare.link.full = True
    bare.transmit(PLAIN)
    bare.device.faults.slow = (1, 1)
    bare.pump()
    return bare


@breaks("exposed-altered")
def a_descriptor_of_a_split_ring_is_changed():
    bare = in_flight(SPLIT)
    bare.arena.word(bare.tx.areas[0] + 8, 1)
    bare.clock.time += 1
    return bare


@breaks("exposed-altered")
def a_descriptor_of_a_packed_ring_is_changed():
    bare = in_flight(PACKED)
    bare.arena.word(bare.tx.areas[0] + 8, 1)
    bare.clock.time += 1
    return bare


@breaks("exposed-altered")
def a_descriptor_is_used_again_too_early():
    bare = in_flight(SPLIT)
    bare.tx.offer(0)
    bare.tx.publish()
    bare.notify(bare.tx)
    return bare


@breaks("buffer-altered")
def a_frame_is_changed_on_its_way():
    bare = in_flight(SPLIT)
    address = struct.unpack("<Q", bare.arena.read(bare.tx.areas[0], 8))[0]
    bare.arena.write(address + 20, b"new")
    bare.clock.time += 1
    return bare


@breaks("buffer-written")
def a_receive_buffer_is_written():
    bare = Bare(SPLIT).steps()
    (address,) = bare.post(2048)
    bare.arena.write(address, b"mine")
    bare.link.arrive(bytes(60))
    return bare


# --- split rings -----------------------------------------------------------------------------------------------------


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


# --- packed rings ----------------------------------------------------------------------------------------------------


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


# --- PCI -------------------------------------------------------------------------------------------------------------


def pci_at(offset: int, width: int, value: int | None = None, **how) -> Bare:
    bare = Bare(transport="pci", **how)
    access = getattr(bare.registers, f"{'read' if value is None else 'write'}{8 * width}")
    access(offset) if value is None else access(offset, value)
    return bare


@breaks("pci-width")
def status_of_32_bits():
    return pci_at(20, 4)


@breaks("pci-width")
def mac_of_32_bits():
    return pci_at(pci.DEVICE, 4)


@breaks("pci-width")
def unaligned():
    bare = Bare(transport="pci")
    bare.model.memory(0x8_0000_4000, 0x4000).read16(23)
    return bare


@breaks("pci-read-only")
def writes_num_queues():
    return pci_at(18, 2, 1)


@breaks("pci-undefined")
def after_the_structure():
    return pci_at(0x100, 4)


@breaks("pci-undefined")
def writes_isr():
    return pci_at(pci.ISR, 1, 1)


@breaks("pci-undefined")
def beyond_the_table():
    bare = Bare(transport="pci")
    bare.model.memory(0xFEBD1000, 0x1000).read32(3 * 16)
    return bare


@breaks("pci-reset-wait")
def goes_on_at_once():
    bare = Bare(transport="pci")
    bare.status(0)
    bare.status(1)
    return bare


@breaks("pci-enable-zero")
def disables():
    bare = Bare(transport="pci")
    bare.negotiate()
    bare.queue(0)
    bare.registers.write16(28, 0)
    return bare


@breaks("pci-enable-last")
def configures_what_is_enabled():
    bare = Bare(transport="pci")
    bare.negotiate()
    bare.queue(0)
    bare.registers.write32(32, 0)
    return bare


@breaks("pci-notify")
def another_index():
    bare = Bare(transport="pci").steps()
    bare.registers.write16(pci.NOTIFY, 1)
    return bare


@breaks("pci-notify")
def of_32_bits():
    bare = Bare(transport="pci").steps()
    bare.registers.write32(pci.NOTIFY + 4, 1)
    return bare


@breaks("pci-vector-verify")
def does_not_look():
    bare = Bare(transport="pci")
    bare.negotiate()
    bare.registers.write16(26, 0)
    bare.registers.write16(28, 1)
    return bare


@breaks("pci-vector-verify")
def does_not_look_at_the_configuration_s():
    bare = Bare(transport="pci")
    bare.negotiate()
    bare.registers.write16(16, 0)
    bare.status(15)
    return bare


@breaks("pci-vector-range")
def vector_3_of_3():
    bare = Bare(transport="pci")
    bare.negotiate()
    bare.registers.write16(26, 3)
    return bare


def through_configuration(bar: int, offset: int, length: int, width: int) -> Bare:
    bare = Bare(transport="pci")
    config, at = bare.model.config, bare.model.config.window_at
    config.write8(at + 4, bar)
    config.write32(at + 8, offset)
    config.write32(at + 12, length)
    getattr(config, f"read{8 * width}")(at + 16)
    return bare


@breaks("pci-cfg-window")
def not_aligned():
    return through_configuration(4, 2, 4, 4)


@breaks("pci-cfg-window")
def no_such_bar():
    return through_configuration(2, 0, 4, 4)


@breaks("pci-cfg-window")
def length_3():
    return through_configuration(4, 0, 3, 4)


def test_the_window_in_configuration_space_reaches_the_structures():
    bare = through_configuration(4, 18, 2, 2)
    assert bare.model.config.read16(bare.model.config.window_at + 16) == len(bare.device.queues)
    assert not bare.broken


@breaks("pci-decode")
def memory_is_off():
    bare = Bare(transport="pci")
    bare.model.config.write16(4, 4)
    bare.status()
    return bare


@breaks("pci-decode")
def at_another_address():
    bare = Bare(transport="pci")
    bare.model.memory(0x9000, 0x1000).read8(0)
    return bare


@breaks("pci-bus-master")
def no_master():
    bare = Bare(transport="pci")
    bare.model.config.write16(4, 2)
    bare.steps()
    return bare


@breaks("pci-msix-unmasked")
def changes_what_may_be_sent():
    bare = Bare(transport="pci")
    bare.model.config.write16(bare.model.config.msix + 2, 0x8000)
    table = bare.model.memory(0xFEBD1000, 0x1000)
    table.write32(12, 0)
    table.write32(0, 0xFEE00000)
    return bare


def sized(transport: str, size: int, offered: str = SPLIT) -> Bare:
    bare = Bare(offered, transport)
    bare.negotiate()
    bare.queue(0, size)
    return bare


@breaks("queue-size-power")
def of_12():
    return sized("pci", 12)


def test_a_packed_queue_may_have_any_size():
    assert not sized("pci", 12, PACKED).broken


@breaks("queue-size-zero")
def of_0():
    return sized("pci", 0)


@breaks("queue-size-large")
def of_32():
    return sized("pci", 32)


@breaks("queue-none")
def a_queue_that_is_not_there():
    bare = Bare("mac", "pci")
    bare.negotiate()
    bare.registers.write16(22, 2)
    bare.registers.write16(24, 8)
    return bare


@breaks("queue-none")
def notifies_a_queue_that_is_not_enabled():
    bare = Bare().steps(queues=1)
    bare.registers.write32(mmio.QUEUE_NOTIFY, 1)
    return bare


@breaks("queue-none")
def a_control_queue_that_was_not_negotiated():
    return Bare().steps(without="CTRL_VQ CTRL_RX CTRL_VLAN GUEST_ANNOUNCE MQ CTRL_MAC_ADDR NOTF_COAL")


@breaks("ring-reset")
def resets_a_queue():
    bare = Bare("mac", "pci").steps()
    bare.registers.write16(22, 0)
    bare.registers.write16(58, 1)
    return bare


def test_a_queue_that_is_reset_is_set_up_anew():
    bare = Bare(SPLIT, "pci").steps()
    bare.registers.write16(22, 0)
    bare.registers.write16(58, 1)
    assert (bare.registers.read16(58), bare.registers.read16(28)) == (0, 0)
    bare.queue(0)
    bare.post(2048)
    bare.link.arrive(bytes(60))
    bare.pump()
    assert bare.rx.reap() == [(0, 72)]


# --- MMIO ------------------------------------------------------------------------------------------------------------


@breaks("mmio-width")
def status_of_8_bits():
    bare = Bare()
    bare.registers.read8(mmio.STATUS)
    return bare


@breaks("mmio-width")
def mac_of_16_bits():
    bare = Bare()
    bare.registers.read16(mmio.CONFIG)
    return bare


@breaks("mmio-direction")
def reads_queue_sel():
    bare = Bare()
    bare.identify()
    bare.registers.read32(mmio.QUEUE_SEL)
    return bare


@breaks("mmio-direction")
def writes_version():
    bare = Bare()
    bare.identify()
    bare.registers.write32(mmio.VERSION, 1)
    return bare


@breaks("mmio-undefined")
def a_hole():
    bare = Bare()
    bare.identify()
    bare.registers.read32(0x03C)  # QueueAlign of version 1
    return bare


@breaks("mmio-identify")
def writes_status_first():
    bare = Bare()
    bare.status(0)
    return bare


@breaks("mmio-identify")
def does_not_ask_what_it_is():
    bare = Bare()
    bare.registers.read32(mmio.MAGIC)
    bare.registers.read32(mmio.VERSION)
    bare.status(0)
    return bare


@breaks("mmio-select")
def reads_without_selection():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.registers.read32(mmio.DEVICE_FEATURES)
    return bare


@breaks("mmio-select")
def writes_without_selection():
    bare = Bare()
    bare.identify()
    bare.reset()
    bare.status(1)
    bare.status(3)
    bare.registers.write32(mmio.DRIVER_FEATURES, 0)
    return bare


@breaks("mmio-queue-size")
def too_many():
    return sized("mmio", 32)


@breaks("mmio-ready")
def changes_a_ready_queue():
    bare = Bare()
    bare.negotiate()
    bare.queue(0)
    bare.registers.write32(mmio.QUEUE_NUM, 8)
    return bare


@breaks("mmio-acknowledge")
def more_than_there_was():
    bare = Bare()
    bare.identify()
    bare.registers.write32(mmio.INTERRUPT_ACK, 1)
    return bare


@breaks("mmio-acknowledge")
def bits_without_meaning():
    bare = Bare()
    bare.identify()
    bare.registers.write32(mmio.INTERRUPT_ACK, 4)
    return bare


@breaks("interrupt-unacknowledged")
def does_not_acknowledge():
    bare = Bare(SPLIT)
    bare.interrupts.line(5, False)
    bare.steps()
    bare.transmit(PLAIN)
    for _ in range(1000):
        bare.model.turn()
    return bare


# --- network device ------------------------------------------------------------------------------------------------


def transmitted(header: Header, frame: bytes, offered: str = SPLIT, without: str = "", **device) -> Bare:
    bare = Bare(offered, size=64, **device).steps(without)
    bare.transmit(header.pack() + frame)
    return bare


def partial(frame: bytes) -> tuple[Header, bytes]:
    """With the pseudo-header's sum, for the device to complete."""
    found = parts(frame)
    assert found is not None
    field = 16 if found.protocol == 6 else 6
    total = pseudo_header_sum(frame, found, found.end - found.transport)
    at = found.transport + field
    header = Header(NEEDS_CSUM, 0, 0, 0, found.transport, field)
    return header, frame[:at] + total.to_bytes(2, "big") + frame[at + 2 :]


def large(**fields: int) -> tuple[Header, bytes]:
    header, frame = partial(tcp_packet(3000))
    return header._replace(gso_type=GSO_TCPV4, gso_size=1000, hdr_len=54)._replace(**fields), frame


def test_packets_that_obey_are_cut_and_completed():
    from tests.virtio.model.frames import checksum_is_right

    for header, frame in (large(), partial(udp_packet(200)), partial(tcp_packet(100)), (Header(), udp_packet(300))):
        bare = transmitted(header, frame)
        bare.pump()
        assert len(bare.link.frames) == (3 if header.gso_type else 1)
        assert all(checksum_is_right(piece) and len(piece) <= 1514 for piece in bare.link.frames)


@breaks("net-config-write")
def writes_the_mac():
    bare = Bare()
    bare.registers.write8(mmio.CONFIG, 2)
    return bare


@breaks("net-mtu-transmit")
def more_than_the_mtu():
    return transmitted(Header(), udp_packet(1000), mtu=900)


@breaks("net-length")
def less_than_a_header():
    bare = Bare(SPLIT).steps()
    bare.transmit(bytes(11))
    return bare


@breaks("net-length")
def transmits_a_writable_buffer():
    bare = Bare(SPLIT).steps()
    bare.tx.add([(bare.arena.put(PLAIN), len(PLAIN))], [(bare.arena.take(64), 64)])
    bare.tx.publish()
    bare.notify(bare.tx)
    return bare


@breaks("net-num-buffers")
def num_buffers_1():
    return transmitted(Header(num_buffers=1), udp_packet(100))


@breaks("net-flags")
def flags_without_csum():
    return transmitted(*partial(udp_packet(100)), offered="mac")


@breaks("net-flags")
def data_valid():
    return transmitted(Header(flags=2), udp_packet(100))


@breaks("net-gso-type")
def tso_that_was_not_negotiated():
    return transmitted(*large(), without="HOST_TSO4 HOST_ECN RSC_EXT HOST_TSO6")


@breaks("net-gso-type")
def a_type_that_is_not():
    return transmitted(*large(gso_type=9))


@breaks("net-gso-checksum")
def without_needs_csum():
    return transmitted(*large(flags=0))


@breaks("net-gso-checksum")
def without_gso_size():
    return transmitted(*large(gso_size=0))


@breaks("net-gso-header")
def tcp_segmentation_of_udp():
    header, frame = partial(udp_packet(1000))
    return transmitted(header._replace(gso_type=GSO_TCPV4, gso_size=500, hdr_len=54), frame)


@breaks("net-ecn")
def cwr_without_the_bit():
    header, frame = partial(tcp_packet(3000, flags=0x90))
    return transmitted(header._replace(gso_type=GSO_TCPV4, gso_size=1000, hdr_len=54), frame)


@breaks("net-ecn")
def the_bit_without_the_feature():
    return transmitted(*large(gso_type=GSO_TCPV4 | 0x80), without="HOST_ECN")


@breaks("net-header-length")
def hdr_len_too_short():
    return transmitted(*large(hdr_len=53), without="GUEST_HDRLEN")


@breaks("net-header-length")
def hdr_len_not_exact():
    return transmitted(*large(hdr_len=60))


def test_hdr_len_may_be_longer_without_guest_hdrlen():
    transmitted(*large(hdr_len=60), without="GUEST_HDRLEN").pump()


@breaks("net-checksum-range")
def csum_start_beyond():
    header, frame = partial(udp_packet(100))
    return transmitted(header._replace(csum_start=len(frame)), frame)


@breaks("net-checksum-range")
def csum_offset_elsewhere():
    header, frame = partial(udp_packet(100))
    return transmitted(header._replace(csum_offset=16), frame)


@breaks("net-checksum")
def a_field_without_the_pseudo_header():
    header, frame = partial(udp_packet(100))
    return transmitted(header, frame[:40] + b"\0\0" + frame[42:])


@breaks("net-checksum")
def a_checksum_that_is_wrong():
    frame = udp_packet(100)
    return transmitted(Header(), frame[:40] + b"\1\2" + frame[42:])


@breaks("net-oversized")
def larger_than_a_frame():
    return transmitted(Header(), udp_packet(1473), without="MTU")


def test_a_tag_may_be_added_to_the_largest_frame():
    frame = udp_packet(1472)
    transmitted(Header(), frame[:12] + b"\x81\0\0\5" + frame[12:]).pump()


@breaks("net-receive-writable")
def a_readable_receive_buffer():
    bare = Bare(SPLIT).steps()
    bare.rx.add([(bare.arena.take(12), 12)], [(bare.arena.take(2048), 2048)])
    bare.rx.publish()
    bare.notify(bare.rx)
    return bare


@breaks("net-receive-small")
def no_room_for_a_header():
    bare = Bare(SPLIT).steps()
    bare.post(11)
    return bare


@breaks("net-receive-small")
def no_room_for_a_frame():
    bare = Bare("mac").steps()
    bare.post(1525)
    return bare


@breaks("net-receive-small")
def no_room_for_a_large_one():
    bare = Bare("firecracker").steps()
    bare.post(65561)
    return bare


@breaks("net-receive-mtu")
def not_room_for_one_packet():
    bare = Bare(SPLIT)
    bare.negotiate()
    for index in range(3):
        bare.queue(index)
    bare.post(512, 2, notify=False)
    bare.status(15)
    return bare


@breaks("net-queue-unused")
def the_second_pair_at_once():
    bare = Bare(SPLIT, pairs=2).steps()
    queue = bare.queues[3]
    queue.add([(bare.arena.put(PLAIN), len(PLAIN))])
    queue.publish()
    bare.notify(queue)
    return bare


def test_the_second_pair_after_the_command():
    bare = Bare(SPLIT, pairs=2).steps()
    assert bare.command(4, 0, b"\2\0") == 0
    queue = bare.queues[3]
    queue.add([(bare.arena.put(PLAIN), len(PLAIN))])
    queue.publish()
    bare.notify(queue)
    bare.pump()
    assert len(bare.link.sent) == 1


@pytest.mark.parametrize("pairs", [0, 3])
def test_pairs_that_there_are_not(pairs):
    bare = Bare(SPLIT, pairs=2).steps()
    with pytest.raises(Violation, match="net-pairs"):
        bare.command(4, 0, pairs.to_bytes(2, "little"))


def raised_by_the_command(bare: Bare, *command) -> Bare:
    with pytest.raises(Violation):
        bare.command(*command)
    bare.device.rules.raised = 0
    return bare


@breaks("net-pairs")
def pairs_that_are_not_enabled():
    return raised_by_the_command(Bare(SPLIT, pairs=2).steps(), 4, 0, b"\3\0")


@breaks("net-control-layout")
def no_byte_for_the_answer():
    bare = Bare(SPLIT).steps()
    bare.control.add([(bare.arena.put(b"\4\0\1\0"), 4)])
    bare.control.publish()
    bare.notify(bare.control)
    return bare


@breaks("net-control-layout")
def data_of_another_length():
    return raised_by_the_command(Bare(SPLIT).steps(), 1, 1, b"12345")


@breaks("net-control-class")
def a_mac_without_the_feature():
    return raised_by_the_command(Bare("mac CTRL_VQ").steps(), 1, 1, b"123456")


def test_memory_of_the_rule_s_kind_is_told_with_its_section():
    with pytest.raises(Violation, match=r"VIRTIO 1\.2, 2\.7\.5\.2: no loops"):
        to_itself().pump()


def test_ipv6_is_not_cut():
    header, frame = large(gso_type=GSO_TCPV6)
    bare = transmitted(header, frame)
    bare.pump()
    assert bare.device.count["tx_not_segmented"] == 1
