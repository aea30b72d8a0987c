"""Devices that are odd, or wrong, while they are set up: each is used, or refused in one line, and left alone then."""

from __future__ import annotations

from typing import Any

import pytest

from netapp.drivers.virtio.net import VirtioNet
from netapp.drivers.virtio.transport import FAILED, VirtioError
from netapp.node.simulation import Simulation
from tests.virtio.echoing import echoing, payload
from tests.virtio.model.faults import Faults
from tests.virtio.model.machine import KINDS, Machine, simulated
from tests.virtio.model.mmio import MmioModel

BASE = "VERSION_1 MAC CSUM GUEST_CSUM MRG_RXBUF"


def refused(offered: str = BASE, kind: str = "mmio", **options: Any) -> tuple[str, Machine]:
    """What the error says; the device is off, and says so where it can."""
    with Simulation() as simulation, simulated(simulation, offered, kind, **options) as (machine, _):
        with pytest.raises(VirtioError) as raised:
            VirtioNet(machine.transport(), machine.controller, machine.platform.interrupts)
        assert "\n" not in str(raised.value)
        assert not machine.device.running
        return str(raised.value), machine


def test_a_device_of_before_version_1():
    said, machine = refused("MAC CSUM")
    assert "VIRTIO 1" in said
    assert machine.device.status == FAILED


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_refused(kind):
    said, machine = refused(kind=kind, faults=Faults(rates={"features-refused": 1.0}))
    assert "refuses" in said
    assert machine.device.status == FAILED


@pytest.mark.parametrize("sizes", [{0: 0}, {1: 0}, {0: 1}, {1: 1}])
def test_queues_that_are_not_there_or_too_small(sizes):
    said, _ = refused(queue_sizes=sizes)
    assert "queue" in said


@pytest.mark.parametrize("offered", [BASE, f"{BASE} RING_PACKED"])
def test_sizes_that_are_no_power_of_two(offered):
    with echoing(offered, queue_sizes={0: 100, 1: 3}) as running:
        running.echo(payload(20_000))
        assert [queue.size for queue in running.machine.device.queues] == [64, 2]


def test_more_descriptors_than_are_wanted():
    with echoing(BASE, queue_size=1024) as running:
        running.echo(payload(5000))
        assert running.machine.device.queues[0].size == 256


@pytest.mark.parametrize(
    "offered, missing",
    [
        ("VERSION_1 MAC HOST_TSO4 HOST_USO", "HOST_TSO4"),
        ("VERSION_1 MAC GUEST_TSO4 GUEST_USO4 MRG_RXBUF", "GUEST_TSO4"),
        ("VERSION_1 MAC MQ", "MQ"),
    ],
)
def test_what_needs_a_feature_that_is_not_offered_is_not_accepted(offered, missing):
    with echoing(offered) as running:
        running.echo(payload(20_000))
        assert running.machine.device.offers(missing) and not running.machine.device.has(missing)


def test_the_configuration_changes_while_it_is_read():
    """2.5.1: no half of one address and half of the other."""
    faults = Faults(rates={"configuration-changes": 0.3}, seed=4)
    faults.new_configuration = [(0, bytes([2, i, i, i, i, i])) for i in range(1, 8)]
    with echoing("qemu", faults=faults) as running:
        assert running.faults.count["configuration-changes"]
        assert len(set(running.card.mac[1:])) == 1
        faults.new_configuration.clear()
        running.echo(payload(5000))


@pytest.mark.parametrize("mtu", [576, 1280, 9000])
def test_the_mtu_that_is_offered(mtu):
    with echoing("qemu MTU", mtu=mtu, wire={"mtu": mtu}) as running:
        assert running.card.mtu == mtu
        running.echo(payload(50_000))


def test_an_mtu_that_cannot_be():
    said, _ = refused(f"{BASE} MTU", mtu=67)
    assert "MTU" in said


def test_a_vector_is_refused():
    said, _ = refused(kind="pci", faults=Faults(rates={"vector-refused": 1.0}))
    assert "vector" in said


@pytest.mark.parametrize("vectors", [1, 2, 3, 64])
def test_any_number_of_vectors_will_do(vectors):
    with echoing(kind="pci", pci={"vectors": vectors}) as running:
        running.echo(payload(5000))
        running.machine.device.set_link(False)
        running.simulation.settle()
        assert not running.card.link_up
        running.machine.device.set_link(True)
        running.simulation.settle()
        assert running.card.link_up


@pytest.mark.parametrize("multiplier", [0, 2, 4, 64])
def test_where_queues_are_notified(multiplier):
    with echoing(kind="pci", pci={"multiplier": multiplier}) as running:
        running.echo(payload(5000))


def test_a_pci_device_without_decoys():
    with echoing(kind="pci", pci={"decoys": False}) as running:
        running.echo(payload(5000))


@pytest.mark.parametrize("kind", ["pci", "mmio"])
def test_a_reset_that_takes_its_time(kind):
    with echoing(kind=kind, faults=Faults(reset_reads=50)) as running:
        made = running.echo(payload(2000))
        running.machine.device.needs_reset()
        running.echo(payload(2000), made)
        assert running.card.resets == 1


@pytest.mark.parametrize(
    "change, said",
    [({"magic": 0x12345678}, "no virtio device"), ({"version": 1}, "version 1")],
)
def test_an_mmio_window_without_a_modern_device(change, said):
    with Simulation() as simulation, simulated(simulation, BASE, "mmio") as (machine, _):
        assert isinstance(machine.model, MmioModel)
        vars(machine.model).update(change)
        with pytest.raises(VirtioError, match=said):
            machine.transport()


def test_an_mmio_window_with_nothing_in_it():
    with Simulation() as simulation, simulated(simulation, BASE, "mmio") as (machine, _):
        machine.device.device_type = 0
        assert machine.transport().device_type == 0


def pairs(machine: Machine, wanted: int = 2) -> VirtioNet:
    return VirtioNet(machine.transport(), machine.controller, machine.platform.interrupts, pairs=wanted)


@pytest.mark.parametrize("kind", ["pci", "mmio"])
@pytest.mark.parametrize("fault", ["control-error", "control-silent", "control-late"])
def test_the_command_for_pairs_of_queues(fault, kind):
    options: dict[str, Any] = {"pairs": 2, "pci": {"vectors": 3}, "faults": Faults(rates={fault: 1.0})}
    with Simulation() as simulation, simulated(simulation, "qemu-mq", kind, **options) as (machine, _):
        if kind == "mmio":  # one interrupt, one pair
            pairs(machine).close()
            assert machine.device.control.commands == []
        elif fault == "control-late":
            card = pairs(machine)
            assert len(card.queues) == machine.device.control.pairs == 2
            card.close()
        else:
            with pytest.raises(VirtioError, match="command 0 of class 4"):
                pairs(machine)
            assert not machine.device.running


def test_another_device_after_a_reset_is_not_taken_for_the_same():
    with echoing(BASE) as running:
        running.echo(payload(2000))
        running.machine.device.configuration.data[0:6] = b"\2another"[:6]
        running.machine.device.needs_reset()
        running.simulation.settle()
        assert not running.card.works
