"""The device model does wrong what it is asked to, and nothing else; the same seed does the same."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.virtio.bare import Bare, BareSplit
from tests.virtio.model import mmio
from tests.virtio.model.faults import KINDS, Faults
from tests.virtio.model.frames import NEEDS_CSUM, Header
from tests.virtio.packets import large, partial, udp_packet

SPLIT, PACKED = "all -RING_PACKED -IN_ORDER", "all -IN_ORDER"
PLAIN = Header().pack() + b"\2" * 12 + b"\x88\xb5" + bytes(46)
RINGS = pytest.mark.parametrize("offered", [SPLIT, PACKED], ids=["split", "packed"])


def working(offered: str = SPLIT, transport: str = "mmio", **faults) -> Bare:
    bare = Bare(offered, transport, faults=Faults(**faults)).steps()
    bare.post(256, 8)
    bare.pump()
    return bare


def received(bare: Bare, frame: bytes = bytes(60), header: Header | None = None) -> list[tuple[int, int]]:
    bare.link.arrive(frame, header)
    bare.pump()
    return bare.rx.reap()


def header_of(bare: Bare) -> Header:
    """Of the first receive buffer."""
    (address,) = struct.unpack("<Q", bare.arena.read(bare.rx.areas[0], 8))
    return Header.unpack(bare.arena.read(address, 12))


# --- rings -----------------------------------------------------------------------------------------------------------


@RINGS
def test_used_unknown_id(offered):
    bare = working(offered)
    bare.device.faults.next("used-unknown-id")
    ((number, length),) = received(bare)
    assert number not in range(8) and number < 16 and length == 72


@RINGS
def test_used_huge_id(offered):
    bare = working(offered)
    bare.device.faults.next("used-huge-id")
    assert received(bare)[0][0] == (0xFFFFFFFF if offered == SPLIT else 0xFFFF)


@RINGS
def test_used_twice(offered):
    bare = working(offered)
    bare.device.faults.next("used-twice")
    assert [number for number, _ in received(bare)] == [0, 0]


@RINGS
@pytest.mark.parametrize("kind, wrong", [("used-too-long", range(257, 1 << 32)), ("used-short", range(1, 12))])
def test_used_lengths(offered, kind, wrong):
    bare = working(offered)
    bare.device.faults.next(kind)
    assert received(bare)[0][1] in wrong
    assert received(bare) == [(1, 72)], "once"


@RINGS
def test_used_zero_length(offered):
    bare = working(offered)
    bare.device.faults.next("used-zero-length")
    assert received(bare) == [(0, 0)]


def test_used_index_jump():
    bare = working()
    bare.device.faults.next("used-index-jump")
    bare.link.arrive(bytes(60))
    bare.pump()
    assert bare.arena.word(bare.rx.areas[2] + 2) in (17, 0x8000)


def test_used_index_back():
    bare = working()
    received(bare)
    bare.device.faults.next("used-index-back")
    bare.link.arrive(bytes(60))
    bare.pump()
    assert bare.arena.word(bare.rx.areas[2] + 2) == 0


# --- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, seen",
    [
        ("num-buffers-zero", lambda h: h.num_buffers == 0),
        ("num-buffers-more", lambda h: h.num_buffers > 1),
        ("num-buffers-huge", lambda h: h.num_buffers == 0xFFFF),
        ("gso-unknown", lambda h: h.gso_type & 0x7F not in (0, 1, 3, 4, 5)),
        ("gso-not-negotiated", lambda h: h.gso_type == 0x81),
        ("gso-size-zero", lambda h: h.gso_type and not h.gso_size),
        ("gso-header-long", lambda h: h.hdr_len == 0xFFFF),
        ("checksum-outside", lambda h: h.flags == 1 and h.csum_start + h.csum_offset + 2 > 60),
        ("header-garbage", lambda h: h != Header(num_buffers=1)),
    ],
)
def test_headers(kind, seen):
    bare = working()
    bare.device.faults.next(kind)
    received(bare)
    assert seen(header_of(bare))
    assert bare.device.faults.count[kind] == 1


def test_header_only():
    bare = working()
    bare.device.faults.next("header-only")
    assert received(bare) == [(0, 12)]


# --- notifications ---------------------------------------------------------------------------------------------------


def test_interrupt_lost():
    bare = working()
    bare.device.faults.next("interrupt-lost")
    assert received(bare) == [(0, 72)]
    assert not bare.raised


def test_interrupt_late():
    bare = working(late=1000)
    bare.device.faults.next("interrupt-late")
    received(bare)
    assert not bare.raised
    assert 0 < bare.model.idle_time() <= 1000
    bare.clock.time += 1000
    bare.pump()
    assert len(bare.raised) == 1


def test_interrupt_spurious():
    bare = working()
    bare.device.faults.next("interrupt-spurious")
    bare.pump()
    assert len(bare.raised) == 1


@RINGS
def test_interrupts_that_are_not_wanted_are_not_sent(offered):
    bare = working(offered)
    bare.rx.events(True, position=1)
    received(bare)
    assert not bare.raised
    received(bare)
    assert len(bare.raised) == 1


@pytest.mark.parametrize("offered", ["mac", "mac RING_PACKED"])
def test_interrupts_are_suppressed_by_flags(offered):
    bare = Bare(offered).steps()
    bare.post(1526, 4)
    bare.rx.events(False)
    received(bare)
    assert not bare.raised
    bare.rx.events(True)
    received(bare)
    assert len(bare.raised) == 1


def test_a_level_stays_until_it_is_acknowledged():
    bare = Bare(SPLIT)
    bare.interrupts.line(5, False)
    bare.steps()
    bare.transmit(PLAIN)
    bare.pump()
    bare.model.turn()
    before = len(bare.raised)
    bare.model.turn()
    assert len(bare.raised) == before + 1
    told = bare.registers.read32(mmio.INTERRUPT_STATUS)
    bare.registers.write32(mmio.INTERRUPT_ACK, told)
    bare.model.turn()
    assert len(bare.raised) == before + 1


def test_a_masked_message_is_pending():
    bare = Bare(SPLIT, "pci")
    table = bare.model.memory(0xFEBD1000, 0x1000)
    message = bare.interrupts.message()
    for at, value in ((0, message.address), (4, 0), (8, message.data)):
        table.write32(at, value)
    bare.model.config.write16(bare.model.config.msix + 2, 0x8000)
    bare.steps()
    bare.transmit(PLAIN)
    bare.pump()
    assert not bare.raised
    assert table.read32(0x800) == 1
    table.write32(12, 0)
    assert bare.raised == [message.source]
    assert table.read32(0x800) == 0


# --- the device ------------------------------------------------------------------------------------------------------


def test_needs_reset_stops_it_until_it_is_reset():
    bare = working()
    bare.device.faults.next("needs-reset")
    bare.pump()
    assert bare.status() == 15 | 64
    assert bare.registers.read32(mmio.INTERRUPT_STATUS) == 2
    assert received(bare) == []
    bare.queues.clear()
    bare.steps()
    bare.post(256)
    assert received(bare) == [(0, 72)]


def test_features_refused():
    bare = Bare(faults=Faults(rates={"features-refused": 1}))
    with pytest.raises(AssertionError):
        bare.negotiate()
    assert bare.status() == 3
    assert not bare.broken


def test_a_reset_takes_its_time():
    bare = Bare(transport="pci", faults=Faults(reset_reads=5)).steps()
    bare.status(0)
    assert [bare.status() for _ in range(6)] == [15] * 5 + [0]


def test_stalled_rings_fill_up():
    bare = working()
    bare.device.faults.next("stall")
    bare.transmit(PLAIN)
    bare.model.turn()
    assert bare.tx.reap() == [] and bare.model.idle_time() == 0
    bare.pump()
    assert bare.tx.reap() == [(0, 0)]


def test_a_full_link_is_back_pressure():
    bare = working()
    bare.link.full = True
    for _ in range(4):
        bare.transmit(PLAIN)
    bare.pump()
    assert len(bare.tx.reap()) == 1, "one was taken out of the ring, and waits"
    bare.link.full = False
    bare.pump()
    assert len(bare.link.sent) == 4


@RINGS
def test_slow_and_shuffled_completion(offered):
    bare = working(offered, seed=3, slow=(1, 90))
    for _ in range(8):
        bare.transmit(PLAIN)
    bare.model.turn()
    assert bare.tx.reap() == []
    order = []
    while bare.model.turn():
        order += [number for number, _ in bare.tx.reap()]
    assert sorted(order) == list(range(8)) and order != list(range(8))
    bare = working(offered, seed=3, shuffled=True)
    for _ in range(8):
        bare.transmit(PLAIN)
    bare.pump()
    order = [number for number, _ in bare.tx.reap()]
    assert sorted(order) == list(range(8)) and order != list(range(8))


def test_in_order_one_entry_stands_for_all_that_were_used_whole():
    bare = Bare("all -RING_PACKED").steps()
    for _ in range(5):
        bare.transmit(PLAIN)
    bare.pump()
    used = bare.tx.reap()
    assert used[0] == (4, 0) and len(used) == 5
    bare.post(100, 4)
    bare.link.arrive(bytes(250))
    bare.pump()
    used = bare.rx.reap()
    assert used[0] == (2, 62) and len(used) == 3, "the first two are full"


def test_the_configuration_changes_between_two_reads():
    bare = Bare()
    bare.negotiate()
    bare.device.faults.new_configuration = [(0, b"\xaa" * 6)]
    bare.registers.read8(mmio.CONFIG)
    before = bare.registers.read32(mmio.CONFIG_GENERATION)
    bare.device.faults.next("configuration-changes")
    assert bare.registers.read8(mmio.CONFIG + 1) == 0xAA
    assert bare.registers.read32(mmio.CONFIG_GENERATION) == before + 1


def test_the_link_goes_down_and_comes_up():
    bare = working()
    bare.device.set_link(False)
    assert bare.raised
    assert bare.registers.read16(mmio.CONFIG + 6) == 0
    bare.transmit(PLAIN)
    assert received(bare) == [] and not bare.link.sent
    bare.device.set_link(True)
    assert received(bare) == [(0, 72)]


def test_control_errors_and_silence():
    bare = working()
    bare.device.faults.next("control-error")
    assert bare.command(1, 1, b"\2\0\0\0\0\7") == 1
    assert bare.command(1, 1, b"\2\0\0\0\0\7") == 0
    bare.device.faults.next("control-silent")
    assert bare.command(1, 1, b"\2\0\0\0\0\7") == 0xFF


def test_a_late_answer_comes_when_status_is_read():
    bare = working()
    bare.device.faults.next("control-late")
    answer = bare.arena.put(b"\xff")
    bare.control.add([(bare.arena.put(b"\1\1\2\0\0\0\0\7"), 8)], [(answer, 1)])
    bare.control.publish()
    bare.notify(bare.control)
    assert bare.arena.read(answer, 1) == b"\xff"
    bare.status()
    assert bare.arena.read(answer, 1) == b"\0"


def test_a_vector_is_refused():
    bare = Bare(transport="pci")
    bare.negotiate()
    bare.device.faults.next("vector-refused")
    bare.registers.write16(16, 0)
    assert bare.registers.read16(16) == 0xFFFF


def test_queue_sizes_and_features_may_be_bogus():
    bare = Bare("VERSION_1 HOST_TSO4 MQ", queue_sizes={0: 0, 1: 3}, size=64)
    bare.identify()
    bare.reset()
    sizes = []
    for index in (0, 1):
        bare.registers.write32(mmio.QUEUE_SEL, index)
        sizes.append(bare.registers.read32(mmio.QUEUE_NUM_MAX))
    assert sizes == [0, 3]
    assert bare.device.offers("HOST_TSO4") and not bare.device.offers("CSUM")


def test_the_same_seed_does_the_same():
    def run(seed: int) -> tuple:
        bare = working(seed=seed, rates=dict.fromkeys(("used-short", "interrupt-lost", "header-garbage"), 0.2))
        for _ in range(8):
            bare.link.arrive(bytes(60))
            bare.pump()
        return bare.rx.reap(), dict(bare.device.faults.count), len(bare.raised)

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_every_kind_is_tested_here():
    text = Path(__file__).read_text()
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []


# --- what the device does for both sides -----------------------------------------------------------------------------


def test_what_the_driver_does_not_take_is_done_for_it():
    for offered, pieces in (("mac", 3), ("mac CSUM GUEST_CSUM MRG_RXBUF GUEST_TSO4", 1)):
        bare = Bare(offered, size=64).steps()
        bare.post(1526, 8)
        header, frame = large()
        bare.link.arrive(frame, header)
        header, frame = partial(udp_packet(100))
        bare.link.arrive(frame, header)
        bare.pump()
        assert bare.device.count["rx_frames"] == pieces + 1
        assert isinstance(bare.rx, BareSplit)
        first = header_of(bare)
        assert (first.gso_type, first.flags & NEEDS_CSUM) == ((1, 1) if pieces == 1 else (0, 0))


def test_merged_buffers_have_their_number_in_the_first():
    bare = Bare(SPLIT).steps()
    bare.post(100, 8)
    assert received(bare, bytes(250)) == [(0, 100), (1, 100), (2, 62)]
    assert header_of(bare).num_buffers == 3


def test_a_frame_without_a_buffer_waits_and_asks_for_one():
    bare = Bare(SPLIT).steps()
    bare.link.arrive(bytes(60))
    bare.pump()
    assert bare.device.waiting == 1
    bare.post(256, notify=False)
    with pytest.raises(AssertionError, match="notification-missing"):
        bare.pump()


@RINGS
def test_thousands_of_frames_both_ways(offered):
    bare = Bare(offered, faults=Faults(seed=1, shuffled=True)).steps()
    bare.post(256, 16)
    for turn in range(1000):
        bare.transmit(PLAIN, indirect=turn % 3 == 0, pieces=1 + turn % 2)
        bare.link.arrive(bytes(60))
        bare.pump()
        bare.tx.reap()
        bare.post(256, len(bare.rx.reap()))
    assert len(bare.link.sent) == bare.device.count["rx_frames"] == 1000
