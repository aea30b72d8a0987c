"""Devices that break the specification: what they say is checked, they are reset or their frame is dropped. What was
being sent arrives in the end; nothing raises, nothing is lost from the pool."""

from __future__ import annotations

import pytest

from netapp.node.simulation import MILLISECOND, SECOND
from tests.virtio.echoing import echoing, payload
from tests.virtio.machine import all_memory
from tests.virtio.model.faults import KINDS, Faults

RESET = (
    "used-index-jump",
    "used-index-back",
    "used-unknown-id",
    "used-huge-id",
    "used-twice",
    "used-too-long",
    "used-zero-length",
    "used-short",
    "num-buffers-zero",
    "num-buffers-more",
    "num-buffers-huge",
    "header-only",
    "needs-reset",
)
DROPPED = ("gso-unknown", "gso-not-negotiated", "gso-size-zero", "gso-header-long", "checksum-outside")
LEGAL = ("stall", "interrupt-late", "interrupt-spurious", "control-late")
ELSEWHERE = ("header-garbage", "interrupt-lost")
SET_UP = ("features-refused", "configuration-changes", "control-error", "control-silent", "vector-refused")

MERGED = "VERSION_1 MAC CSUM GUEST_CSUM HOST_TSO4 MRG_RXBUF EVENT_IDX INDIRECT_DESC"
SINGLE = MERGED.replace("MRG_RXBUF ", "")
DEVICES = {
    "split": MERGED,
    "packed": f"{MERGED} RING_PACKED",
    "split-single": SINGLE,
    "packed-single": f"{SINGLE} RING_PACKED",
    "split-in-order": f"{MERGED} IN_ORDER",
}


def test_each_kind_of_fault_is_somewhere_in_this_file():
    assert {*RESET, *DROPPED, *LEGAL, *ELSEWHERE, *SET_UP} == set(KINDS)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fault", RESET)
def test_the_device_is_reset_and_goes_on(fault, device):
    if fault.startswith("num-buffers") and "MRG_RXBUF" not in DEVICES[device]:
        pytest.skip("it is not looked at")
    if fault == "used-index-back" and "PACKED" in DEVICES[device]:
        pytest.skip("there is no index")
    with echoing(DEVICES[device], "mmio") as running:
        made = running.echo(payload(20_000))
        running.faults.next(fault)
        running.echo(payload(30_000), made)
        assert running.faults.count[fault] == 1
        assert running.card.works
        assert running.card.resets == 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fault", DROPPED)
def test_the_frame_is_dropped_and_counted(fault, device):
    with echoing(DEVICES[device], "pci") as running:
        made = running.echo(payload(20_000))
        running.faults.next(fault)
        running.echo(payload(30_000), made)
        assert running.faults.count[fault] == 1
        assert running.counters()["rx_malformed"] == 1
        assert running.card.resets == 0


@pytest.mark.parametrize("device", DEVICES)
def test_any_header_is_survived(device):
    with echoing(DEVICES[device], faults=Faults(seed=11)) as running:
        made = running.connect()
        running.faults.rates["header-garbage"] = 0.2
        running.echo(payload(30_000), made)
        assert running.faults.count["header-garbage"]


@pytest.mark.parametrize("fault", ["needs-reset", "used-huge-id"])
def test_one_that_does_it_again_and_again_is_given_up(fault, caplog):
    with echoing(MERGED) as running:
        made = running.connect()
        running.faults.rates[fault] = 1.0
        with running.client.core:
            made.send(payload(1000))
        running.simulation.advance(20 * SECOND)
        assert not running.card.works
        assert running.card.resets == 8
        assert any("given up" in record.message for record in caplog.records)
        running.faults.rates.clear()
        before = running.machine.device.count["tx_frames"]
        running.simulation.advance(20 * SECOND)
        assert running.machine.device.count["tx_frames"] == before


def test_resets_far_apart_are_no_reason_to_give_it_up():
    with echoing(MERGED) as running:
        made = running.connect()
        for number in range(1, 13):
            running.faults.next("needs-reset")
            running.echo(payload(2000), made)
            assert running.card.resets == number
            running.simulation.advance(10 * SECOND)
        assert running.card.works


@pytest.mark.parametrize("device", DEVICES)
def test_a_reset_under_load_loses_no_slot_and_no_byte(device):
    """Frames are in both rings, and more wait behind them."""
    with echoing(DEVICES[device], faults=Faults(seed=2, slow=(1, 10))) as running:
        made = running.connect()
        data = payload(200_000)
        with running.client.core:
            made.send(data[:100_000])
        for _ in range(5):
            running.simulation.step()
            running.simulation.step()
            running.machine.device.needs_reset()
        with running.client.core:
            made.send(data[100_000:])
        running.simulation.run_until(lambda: made.ended or len(made.received) == len(data), within=200 * SECOND)
        assert made.received == data
        assert running.card.resets


@pytest.mark.parametrize("device", DEVICES)
def test_link_down_and_up_under_load(device):
    """Frames are under way in both directions. What is sent meanwhile is dropped, and counted."""
    with echoing(f"{DEVICES[device]} STATUS", faults=Faults(seed=4, slow=(1, 10))) as running:
        made = running.connect()
        with running.client.core:
            made.send(payload(200_000))
        for _ in range(10_000):
            if len(made.received) < 20_000:
                running.simulation.step()
        assert 20_000 <= len(made.received) < 200_000
        running.machine.device.set_link(False)
        running.simulation.advance(3 * SECOND)
        assert not running.card.link_up and len(made.received) < 200_000
        assert running.counters()["tx_link_down"]
        running.machine.device.set_link(True)
        running.simulation.run_until(lambda: len(made.received) == 200_000, within=100 * SECOND)
        assert running.card.link_up and made.received == payload(200_000)
        assert running.card.resets == 0


@pytest.mark.parametrize("device", DEVICES)
def test_a_full_transmit_ring_holds_senders_up_and_loses_nothing(device):
    with echoing(DEVICES[device], queue_sizes={1: 4}, faults=Faults(seed=3, slow=(20, 40))) as running:
        made = running.echo(payload(200_000))
        counters = running.counters()
        assert counters["tx_full"]
        assert counters["tx_frames"] == running.machine.device.count["tx_frames"]
        assert not {"tx_link_down", "tx_no_slots", "violations"} & counters.keys()
        assert running.node.tcp.counters()["retransmitted"] == 0
        assert not made.ended


@pytest.mark.parametrize("device", DEVICES)
def test_without_slots_frames_are_dropped_until_there_are_some(device):
    """The receive queue stays full: what comes when there is memory again is taken at once."""
    with echoing(DEVICES[device]) as running:
        made = running.connect()
        with running.node.core:
            hoard = all_memory()
        with running.client.core:
            made.send(payload(50_000))
        running.simulation.advance(300 * MILLISECOND)
        dropped = running.counters()["rx_no_slots"]
        assert dropped and len(made.received) < 50_000
        with running.node.core:
            hoard.clear()
        running.simulation.run_until(lambda: len(made.received) == 50_000, within=100 * SECOND)
        assert made.received == payload(50_000)
        assert running.counters()["rx_no_slots"] == dropped
        assert running.card.resets == 0


def test_a_lost_interrupt_costs_no_more_than_the_next_one_brings():
    """Without EVENT_IDX the device interrupts for each frame: what waits is found then."""
    with echoing("VERSION_1 MAC MRG_RXBUF") as running:
        made = running.connect()
        running.faults.next("interrupt-lost")
        running.echo(payload(2000), made)
        assert running.faults.count["interrupt-lost"] == 1
