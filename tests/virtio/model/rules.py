"""What the model checks: each rule that a driver must obey and a device can see, with its section of VIRTIO 1.2.

A broken rule is written down, where the device would rather not trust what it saw it stops (`Broken`), and the next
`pump()` or `verify()` of the model raises `Violation`. `test_rules_*.py` shows each of them fire.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    section: str
    text: str


RULES = {
    # --- basic facilities ---------------------------------------------------------------------------------------
    "status-cleared": Rule("2.1.1", "the driver must not clear a device status bit"),
    "status-unknown": Rule("2.1", "only the bits defined are set in device status"),
    "failed-not-reset": Rule("2.1.1", "after FAILED the driver must reset the device before it tries again"),
    "feature-not-offered": Rule("2.2.1", "no feature is accepted that the device did not offer"),
    "feature-dependency": Rule("2.2.1", "no feature is accepted that needs one which is not accepted (5.1.3.1)"),
    "feature-version": Rule("6.1", "VIRTIO_F_VERSION_1 is accepted where it is offered"),
    "config-generation": Rule("2.5.1", "several reads are one only where the generation before and after is the same"),
    "config-optional": Rule("2.5.1", "a field of the configuration is read only where its feature is offered"),
    "config-beyond": Rule("2.5.1", "nothing beyond the configuration's fields is accessed"),
    "init-reset": Rule("3.1.1", "initialization begins with a reset"),
    "init-order": Rule("3.1.1", "ACKNOWLEDGE, DRIVER, features, FEATURES_OK, queues, DRIVER_OK: each step in its turn"),
    "init-features-fixed": Rule("3.1.1", "no features are written after FEATURES_OK"),
    "init-features-read": Rule("3.1.1", "status is read again after FEATURES_OK, before queues are set up"),
    "init-features-refused": Rule("3.1.1", "without FEATURES_OK in status the device is not used"),
    "init-queues-first": Rule("3.1.1", "queues are set up before DRIVER_OK"),
    "notify-before-ok": Rule("3.1.1", "no available buffer notification before DRIVER_OK"),
    "exposed-altered": Rule("3.3.1", "descriptors of exposed buffers are not altered"),
    "buffer-altered": Rule("3.3.1", "what the device may read is not altered while it has it"),
    "buffer-written": Rule("2.7.5", "what the device is to write is not written by the driver while the device has it"),
    "buffer-overlap": Rule("2.6", "what the device is to write is part of one buffer, and of none that it reads"),
    # --- split rings --------------------------------------------------------------------------------------------
    "split-alignment": Rule("2.7.1", "descriptor table, available and used ring are aligned to 16, 2 and 4 bytes"),
    "area-memory": Rule("2.6", "the parts of a queue lie in memory of the driver's"),
    "writable-first": Rule("2.7.4.2", "device-writable elements come after device-readable ones"),
    "descriptor-memory": Rule("2.7.5", "descriptors point to memory of the driver's, writable where it has to be"),
    "descriptor-empty": Rule("2.7.5", "no descriptor is of no bytes: QEMU takes that for the driver's end"),
    "descriptor-flags": Rule("2.7.5", "only the flags defined are set in a descriptor"),
    "descriptor-next": Rule("2.7.5", "next is below the queue size"),
    "descriptor-loop": Rule("2.7.5.2", "no loops in a chain, and no more than 2^32 bytes"),
    "in-order-next": Rule("2.7.5.2", "in order: next is the following descriptor's index"),
    "in-order-head": Rule("2.7.5", "in order: descriptors are used in the order of the table, from 0 on"),
    "indirect-negotiated": Rule("2.7.5.3.1", "no indirect descriptor unless INDIRECT_DESC was negotiated"),
    "indirect-nested": Rule("2.7.5.3.1", "no indirect descriptor within a table"),
    "indirect-next": Rule("2.7.5.3.1", "INDIRECT and NEXT are not set together"),
    "indirect-length": Rule("2.7.5.3", "a table is a number of descriptors, at least one"),
    "indirect-order": Rule("2.7.5.3.1", "in order: the descriptors of a table are in sequence"),
    "chain-length": Rule("2.7.5.3.1", "no chain is longer than the queue size"),
    "available-index": Rule("2.7.6.1", "the available index is not decremented, nor moved past what is free"),
    "available-head": Rule("2.7.6", "each entry of the available ring is the index of a descriptor"),
    "available-flags": Rule("2.7.7.1", "the available ring's flags are 0 or 1, and 0 with EVENT_IDX"),
    "used-zero": Rule("2.7.10.1", "the used ring's flags, and its index, are 0 when a queue is enabled"),
    "notification-missing": Rule("2.7.10.1", "where notifications are not suppressed the device is notified"),
    # --- packed rings -------------------------------------------------------------------------------------------
    "packed-alignment": Rule(
        "2.8.11", "descriptor ring and event suppression structures are aligned to 16 and 4 bytes"
    ),
    "packed-zero": Rule("2.8.13", "the descriptor ring is zero when a queue is enabled"),
    "packed-wrap": Rule("2.8.6", "AVAIL and USED are right in each descriptor of a list, for the wrap counter"),
    "packed-flags": Rule("2.8.13", "only the flags defined are set in a descriptor"),
    "packed-id": Rule("2.8.21.1", "a buffer id is not that of a buffer which the device still has"),
    "packed-list": Rule("2.8.17", "no list is longer than the queue size, or than the descriptors that are free"),
    "packed-writable-first": Rule("2.8.17", "device-writable elements come after device-readable ones"),
    "packed-indirect-negotiated": Rule("2.8.19", "no indirect descriptor unless INDIRECT_DESC was negotiated"),
    "packed-indirect-flags": Rule("2.8.19", "no flag but WRITE in the descriptors of a table"),
    "packed-indirect-next": Rule("2.8.19", "no indirect descriptor in a list linked by NEXT"),
    "packed-indirect-length": Rule("2.8.7", "a table is a number of descriptors, at least one"),
    "packed-event": Rule("2.8.14", "event flags are 0, 1, or with EVENT_IDX 2; the offset is in the ring"),
    "packed-notification-missing": Rule("2.8.21.3.1", "where notifications are not suppressed the device is notified"),
    # --- PCI ----------------------------------------------------------------------------------------------------
    "pci-width": Rule("4.1.3.1", "each field is accessed by its own width, aligned; 64 bits as two of 32"),
    "pci-read-only": Rule("4.1.4.3.2", "read-only fields are not written"),
    "pci-undefined": Rule("4.1.4.3", "nothing outside the structures is accessed"),
    "pci-reset-wait": Rule("4.1.4.3.2", "after writing 0 to device_status the driver waits until it reads 0"),
    "pci-enable-zero": Rule("4.1.4.3.2", "0 is not written to queue_enable"),
    "pci-enable-last": Rule("4.1.4.3.2", "the other fields of a queue are configured before queue_enable"),
    "pci-notify": Rule("4.1.5.2", "a queue is notified by its index, 16 bits wide, at its own offset"),
    "pci-vector-verify": Rule("4.1.5.1.2.2", "the driver verifies a vector by reading it back"),
    "pci-vector-range": Rule("4.1.5.1.2.2", "a vector is one of the table's"),
    "pci-cfg-window": Rule("4.1.4.9.2", "PCI_CFG: the offset is a multiple of the length, within another structure"),
    "pci-decode": Rule("PCI 3.0, 6.2.2", "memory of a BAR is accessed while memory space is enabled, where it is"),
    "pci-bus-master": Rule("PCI 3.0, 6.2.2", "a device that is to reach memory is made a bus master"),
    "pci-msix-unmasked": Rule("PCI 3.0, 6.8.2.9", "an entry of the MSI-X table is changed only while it is masked"),
    "queue-size-power": Rule("4.1.4.3.2", "the size of a split queue is a power of 2"),
    "queue-size-zero": Rule("4.1.4.3.2", "the size of a queue is not 0"),
    "queue-size-large": Rule("4.1.5.1.3", "the size of a queue is at most what the device gives"),
    "queue-none": Rule("4.1.5.1.3", "no queue is set up that the device has not"),
    "ring-reset": Rule("2.6.1.2", "a queue is reset only where RING_RESET was negotiated"),
    # --- MMIO ---------------------------------------------------------------------------------------------------
    "mmio-width": Rule("4.2.2.2", "control registers are accessed 32 bits wide; configuration by the fields' widths"),
    "mmio-direction": Rule("4.2.2.2", "read-only registers are not written, write-only ones not read"),
    "mmio-undefined": Rule("4.2.2.2", "nothing is accessed that is no register"),
    "mmio-identify": Rule("4.2.3.1.1", "magic value, version and device id are read and checked before all else"),
    "mmio-select": Rule("4.2.2.2", "features are selected before they are read or written"),
    "mmio-queue-size": Rule("4.2.2.2", "QueueNum is at most QueueNumMax"),
    "mmio-ready": Rule("4.2.2.2", "a ready queue's registers are not accessed"),
    "mmio-ready-back": Rule("4.2.2.2", "after 0 was written to QueueReady it is read back"),
    "mmio-acknowledge": Rule("4.2.2.2", "InterruptACK: what was handled, and no undefined bits"),
    "interrupt-unacknowledged": Rule("4.2.3.4.1", "an interrupt of a line is acknowledged (PCI: 4.1.4.5)"),
    # --- network device -----------------------------------------------------------------------------------------
    "net-config-write": Rule("5.1.4.2", "no field of the configuration is written"),
    "net-mtu-transmit": Rule("5.1.4.2", "no packet exceeds the MTU that was negotiated"),
    "net-length": Rule("5.1.6.2", "what is transmitted is a header and a frame of at least 14 bytes, to be read"),
    "net-num-buffers": Rule("5.1.6.2.1", "num_buffers is 0"),
    "net-flags": Rule("5.1.6.2.1", "no flags without CSUM; DATA_VALID and RSC_INFO never"),
    "net-gso-type": Rule("5.1.6.2.1", "gso_type is one whose feature was negotiated"),
    "net-gso-checksum": Rule("5.1.6.2.1", "with a gso_type NEEDS_CSUM is set, and gso_size"),
    "net-gso-header": Rule("5.1.6.2.1", "with a gso_type the frame is of that protocol, and longer than its headers"),
    "net-ecn": Rule("5.1.6.2.1", "CWR in a packet to be segmented needs HOST_ECN, and then the ECN bit"),
    "net-header-length": Rule("5.1.6.2.1", "hdr_len: not less than the headers; exact with GUEST_HDRLEN"),
    "net-checksum-range": Rule("5.1.6.2.1", "csum_start and csum_offset are within the packet"),
    "net-checksum": Rule("5.1.6.2.1", "with NEEDS_CSUM the checksum is the pseudo header's; else it is complete"),
    "net-oversized": Rule("5.1.6.2", "a packet that is not to be segmented has at most 1514 bytes, or a tag's more"),
    "net-receive-writable": Rule("5.1.6.3", "what is given to be received into is writable"),
    "net-receive-small": Rule("5.1.6.3.1", "receive buffers: 1526 bytes, or 65,562; with MRG_RXBUF at least a header"),
    "net-receive-mtu": Rule("5.1.4.2", "the receive buffers hold at least one packet of the MTU that was negotiated"),
    "net-queue-unused": Rule("5.1.6.5.5.1", "packets are queued only on transmit queues that are in use"),
    "net-pairs": Rule("5.1.6.5.5.1", "virtqueue_pairs is 1 to max_virtqueue_pairs, and those are enabled"),
    "net-control-layout": Rule("5.1.6.5", "a command is class, command and data to read, and a byte to be written"),
    "net-control-class": Rule("5.1.6.5", "a command's feature was negotiated"),
}


class Violation(AssertionError):
    """The driver broke a rule."""


class Broken(Exception):
    """The device cannot go on with what it was given: it says DEVICE_NEEDS_RESET."""


class Rules:
    def __init__(self) -> None:
        self.broken: list[tuple[str, str]] = []
        self.raised = 0

    def fail(self, name: str, detail: str = "") -> None:
        """The driver broke it."""
        assert name in RULES, name
        if len(self.broken) < 1000:
            self.broken.append((name, detail))

    def check(self, held: object, name: str, detail: str = "") -> None:
        if not held:
            self.fail(name, detail)

    def need(self, held: object, name: str, detail: str = "") -> None:
        """The same; the device cannot go on if it does not hold."""
        if not held:
            self.fail(name, detail)
            raise Broken(name)

    def verify(self) -> None:
        """Raises for what was broken since the last time."""
        new, self.raised = self.broken[self.raised :], len(self.broken)
        if new:
            raise Violation("; ".join(shown(name, detail) for name, detail in new[:5]))


def shown(name: str, detail: str) -> str:
    rule = RULES[name]
    section = rule.section if rule.section.startswith("PCI") else f"VIRTIO 1.2, {rule.section}"
    return f"{section}: {rule.text} [{name}{': ' if detail else ''}{detail}]"
