"""Rules about status, features and configuration (VIRTIO 1.2, 2 and 3): each fires where a driver breaks it."""

from __future__ import annotations

import struct

import pytest

from tests.virtio.bare import Bare
from tests.virtio.cases import PACKED, PLAIN, SPLIT, Cases, in_flight
from tests.virtio.model import features as feature_bits
from tests.virtio.model import mmio

CASES = Cases()
breaks = CASES.breaks


@CASES.parametrized
def test_the_rule_fires(rule, case):
    CASES.check(rule, case)


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


@breaks("exposed-altered")
def a_descriptor_of_a_split_ring_is_changed():
    bare = in_flight(SPLIT)
    bare.arena.word(bare.tx.areas[0] + 8, 1)
    return bare


@breaks("exposed-altered")
def a_descriptor_of_a_packed_ring_is_changed():
    bare = in_flight(PACKED)
    bare.arena.word(bare.tx.areas[0] + 8, 1)
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
    return bare


@breaks("buffer-written")
def a_receive_buffer_is_written():
    bare = Bare(SPLIT).steps()
    (address,) = bare.post(2048)
    bare.arena.write(address, b"mine")
    bare.link.arrive(bytes(60))
    return bare


@breaks("buffer-overlap")
def a_receive_buffer_twice():
    bare = Bare(SPLIT).steps()
    (address,) = bare.post(2048)
    bare.rx.add([], [(address + 1024, 2048)])
    bare.rx.publish()
    bare.notify(bare.rx)
    return bare


@breaks("buffer-overlap")
def a_frame_that_is_on_its_way_is_received_into():
    bare = in_flight(PACKED)
    bare.rx.add([], [(bare.arena.address + bare.arena._used - 500, 2048)])
    bare.rx.publish()
    bare.notify(bare.rx)
    return bare


@breaks("buffer-overlap")
def what_is_received_into_is_transmitted():
    bare = Bare(SPLIT).steps()
    (address,) = bare.post(2048)
    bare.tx.add([(address, 100)])
    bare.tx.publish()
    bare.notify(bare.tx)
    return bare


def test_a_frame_may_be_transmitted_twice_at_once():
    bare = in_flight(SPLIT)
    ring = bare.device.queues[1].ring
    assert ring is not None
    (buffer,) = ring.outstanding.values()
    bare.tx.add(buffer.readable)
    bare.tx.publish()
    bare.notify(bare.tx)
    bare.pump()
    assert len(bare.link.sent) == 0 and not bare.broken
