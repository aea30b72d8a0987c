"""Rules of the PCI transport (VIRTIO 1.2, 4.1): each fires where a driver breaks it."""

from __future__ import annotations

from tests.virtio.bare import Bare
from tests.virtio.cases import PACKED, SPLIT, Cases, sized
from tests.virtio.model import mmio, pci

CASES = Cases()
breaks = CASES.breaks


@CASES.parametrized
def test_the_rule_fires(rule, case):
    CASES.check(rule, case)


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
