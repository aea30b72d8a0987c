"""The driver on each set of features that devices offer, and on each two features and habits of a device together.

All of these devices obey the specification: bytes come back as they were sent, the device is never reset, and the model
finds no rule broken and no buffer lost."""

from __future__ import annotations

from typing import Any

import pytest

from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from netapp.node.simulation import MILLISECOND
from tests.support.appliances import CLIENT, SERVER
from tests.virtio.echoing import echoing, payload
from tests.virtio.model.faults import Faults
from tests.virtio.model.features import SETS
from tests.virtio.model.machine import KINDS
from tests.virtio.pairwise import pairwise

BASE = "VERSION_1"
HABITS: dict[str, dict[str, Any]] = {
    "plain": {},
    "shuffled": {"shuffled": True},
    "slow": {"slow": (1, 20)},
    "late": {"rates": {"interrupt-late": 0.5}},
    "spurious": {"rates": {"interrupt-spurious": 0.3}, "always_interrupt": True},
    "unflagged": {"unflagged": True},
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
    "size": (8, 64, 256),
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


class Datagrams(UdpHandler):
    def __init__(self) -> None:
        self.received: list[bytes] = []

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.received.append(bytes(datagram))


@pytest.mark.parametrize("transmit", ["", "CSUM HOST_USO"])
@pytest.mark.parametrize("receive", ["", "GUEST_CSUM", "GUEST_CSUM GUEST_USO4", "GUEST_CSUM GUEST_USO4 RING_PACKED"])
@pytest.mark.parametrize("merged", ["", "MRG_RXBUF", "INDIRECT_DESC"])
def test_datagrams_that_are_to_be_cut(merged, receive, transmit):
    """Many of one size are one large frame where the device takes them so; others are cut and reassembled."""
    with echoing(f"{BASE} {merged} {receive} {transmit}") as running:
        data = payload(30_000)
        ends: list[Datagrams] = []
        for node in (running.node, running.client):
            with node.core:
                ends.append(Datagrams())
                node.udp.bind(4000, ends[-1])
        for node, end, other in ((running.node, ends[0], CLIENT), (running.client, ends[1], SERVER)):
            for size in (1400, 0, 1000):
                with node.core:
                    end.send_to(data[:20_000] if size == 0 else data, other, 4000, size)
                running.simulation.advance(100 * MILLISECOND)
        for end in ends:
            assert b"".join(end.received) == data + data[:20_000] + data
            assert sorted({len(datagram) for datagram in end.received}) == [600, 1000, 1400, 20_000]
        large = running.counters()["tx_frames"] < 30
        assert large == ("HOST_USO" in transmit)
