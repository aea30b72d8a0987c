"""Rules of the MMIO transport (VIRTIO 1.2, 4.2): each fires where a driver breaks it."""

from __future__ import annotations

from tests.virtio.bare import Bare
from tests.virtio.cases import PLAIN, SPLIT, Cases, sized
from tests.virtio.model import mmio

CASES = Cases()
breaks = CASES.breaks


@CASES.parametrized
def test_the_rule_fires(rule, case):
    CASES.check(rule, case)


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


@breaks("mmio-ready-back")
def does_not_look_whether_a_queue_has_stopped():
    bare = Bare()
    bare.negotiate()
    bare.queue(0)
    bare.registers.write32(mmio.QUEUE_READY, 0)
    bare.registers.write32(mmio.QUEUE_NUM, 8)
    return bare


def test_a_queue_that_was_stopped_is_set_up_anew():
    bare = Bare()
    bare.negotiate()
    bare.queue(0)
    bare.registers.write32(mmio.QUEUE_READY, 0)
    assert bare.registers.read32(mmio.QUEUE_READY) == 0
    bare.queue(0)
    assert not bare.broken
