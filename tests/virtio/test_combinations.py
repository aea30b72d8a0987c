"""The driver on each set of features that devices offer, and on each two features and habits of a device together.

All of these devices obey the specification: bytes come back as they were sent, the device is never reset, and the model
finds no rule broken and no buffer lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.virtio.echoing import echoing, payload
from tests.virtio.model.faults import Faults
from tests.virtio.model.features import SETS
from tests.virtio.model.machine import KINDS
from tests.virtio.pairwise import pairwise

BASE = "VERSION_1"
HABITS: dict[str, dict[str, Any]] = {
    "plain": {},
    "late": {"rates": {"interrupt-late": 0.5}},
    "spurious": {"rates": {"interrupt-spurious": 0.3}, "always_interrupt": True},
    "stalls": {"rates": {"stall": 0.3}, "reset_reads": 3},
}
FACTORS = {
    "ring": ("", "RING_PACKED"),
    "order": ("", "IN_ORDER"),
    "events": ("", "EVENT_IDX"),
    "indirect": ("", "INDIRECT_DESC"),
    "merged": ("", "MRG_RXBUF"),
    "transmit": ("", "CSUM", "CSUM HOST_TSO4", "CSUM HOST_TSO4 HOST_USO GUEST_HDRLEN"),
    "receive": ("", "GUEST_CSUM", "GUEST_CSUM GUEST_TSO4", "GUEST_CSUM GUEST_TSO4 GUEST_USO4"),
    "network": ("MAC", "MAC STATUS MTU", "CTRL_VQ MQ MAC STATUS"),
    "kind": KINDS,
    "size": (64, 256),
    "habit": tuple(HABITS),
    "eager": (False, True),
}
ROWS = pairwise(FACTORS)


def transfer(offered: str, kind: str, **options) -> None:
    with echoing(offered, kind, **options) as running:
        running.echo(payload(60_000))
        assert running.card.works and running.card.resets == 0
        counters = running.counters()
        assert counters["tx_frames"] == running.machine.device.count["tx_frames"]
        assert counters["rx_frames"] == running.machine.device.count["rx_frames"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offered", SETS)
def test_sets_that_devices_offer(offered, kind):
    transfer(offered, kind)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_each_two_together(row):
    names = [row[name] for name in ("ring", "order", "events", "indirect", "merged", "transmit", "receive", "network")]
    transfer(
        " ".join([BASE, *names]),
        row["kind"],
        queue_size=row["size"],
        eager=row["eager"],
        faults=Faults(seed=5, **HABITS[row["habit"]]),
    )


def test_rows_hold_each_pair_of_values():
    names = list(FACTORS)
    for a in names:
        for b in names:
            if a != b:
                pairs = {(row[a], row[b]) for row in ROWS}
                assert len(pairs) == len(FACTORS[a]) * len(FACTORS[b])


def test_frames_that_are_not_to_be_told_are_not():
    """A notification a turn at most, and none while the device is at work."""
    with echoing("qemu") as running:
        running.echo(payload(60_000))
        queues = running.machine.device.queues
        assert sum(queue.superfluous for queue in queues) == 0
        assert running.counters()["notifications"] == sum(queue.notifications for queue in queues)
