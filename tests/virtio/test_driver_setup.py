"""What the driver agrees on with a device, and what it says of one that cannot be used."""

import pytest

from netapp.drivers import pci
from netapp.drivers.python import RawPort
from netapp.drivers.virtio.mmio import MmioTransport
from netapp.drivers.virtio.net import VirtioNet
from netapp.drivers.virtio.pci import PciTransport, is_virtio
from netapp.drivers.virtio.transport import DRIVER_OK, FAILED, VirtioError
from tests.support.pools import core_with_pool
from tests.virtio.machine import TRANSPORTS, connect, frame, machine
from tests.virtio.model.faults import Faults
from tests.virtio.model.features import bits
from tests.virtio.model.interrupts import ModelInterrupts
from tests.virtio.model.links import ListLink
from tests.virtio.model.mmio import MmioModel
from tests.virtio.model.net import NetDevice
from tests.virtio.model.pci import Nothing, PciModel


@pytest.mark.parametrize("how", TRANSPORTS)
def test_mac_and_mtu_are_the_devices(how):
    with machine("VERSION_1 MAC MTU MRG_RXBUF", how, mac=bytes(range(6)), mtu=2000) as m:
        assert m.net.mac == bytes(range(6))
        assert m.net.mtu == 2000
        assert m.net.link_up  # without STATUS (5.1.4.2)


@pytest.mark.parametrize("ring", ["", "RING_PACKED"])
@pytest.mark.parametrize(
    "offered, sizes, mtu",
    [
        ("MRG_RXBUF", {}, 9000),
        ("MRG_RXBUF", {0: 8}, 9000),
        ("MRG_RXBUF", {0: 4}, 1500),
        ("MRG_RXBUF", {0: 2}, 1500),
        ("MRG_RXBUF", {1: 2}, 1500),
        ("INDIRECT_DESC", {0: 4}, 9000),
        ("INDIRECT_DESC", {0: 2}, 1500),
        ("", {}, 1500),
    ],
)
def test_an_mtu_that_the_queues_have_no_room_for_is_not_agreed_on(ring, offered, sizes, mtu):
    """5.1.4.2: at least one frame of that length has room in the receive buffers; and it can be sent in one chain."""
    with machine(f"VERSION_1 MTU {ring} {offered}", mtu=9000, queue_sizes=sizes) as m:
        assert (m.net.mtu, m.device.has("MTU")) == (mtu, mtu == 9000)
        for _ in range(3):
            assert m.receive(frame(mtu + 14), frame(60)) == [frame(mtu + 14), frame(60)]
            assert m.send(frame(mtu + 14))
            assert [data for data, _ in m.sent()] == [frame(mtu + 14)]
        assert m.count["violations"] == m.count["rx_malformed"] == 0


def changing(times):
    """A device with another MTU at each look, so often."""
    faults = Faults()
    faults.new_configuration = [(10, value) for value in (b"\x28\x23", b"\xdc\x05") * times]
    faults.next("configuration-changes", 2 * times)
    return faults


def test_a_configuration_that_changes_a_few_times_is_read_until_it_does_not():
    with machine("VERSION_1 MTU", faults=changing(30)) as m:
        assert (m.net.mtu, m.device.has("MTU")) == (1500, True)


def test_one_that_always_changes_is_given_up():
    with core_with_pool() as pc:
        device = NetDevice("VERSION_1 MTU", ListLink(), pc.clock, faults=changing(1000))
        controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        _, transport = connect(device, controller, "pci")
        with pytest.raises(VirtioError, match="changes whenever it is looked at"):
            VirtioNet(transport, controller, pc.interrupts)
        assert device.status == FAILED
        device.close()


def test_without_mac_one_is_chosen_that_is_locally_administered():
    with machine("VERSION_1") as m:
        assert m.net.mac[0] & 3 == 2
        assert m.net.mac[1:] != bytes(5)
        assert m.net.mtu == 1500


def test_all_that_is_honoured_is_asked_for_and_nothing_else():
    with machine("all MQ", device_pairs=2) as m:
        assert m.device.accepted == bits(
            "CSUM GUEST_CSUM MTU MAC GUEST_TSO4 HOST_TSO4 MRG_RXBUF STATUS INDIRECT_DESC EVENT_IDX VERSION_1"
            " RING_PACKED IN_ORDER ORDER_PLATFORM GUEST_USO4 HOST_USO GUEST_HDRLEN"
        )
        assert m.net.negotiated == m.device.accepted
        assert m.net.features == 1 | 2 | 4 | 16 | 32 | 64


def test_offloads_without_checksums_are_not_asked_for():
    with machine("VERSION_1 GUEST_TSO4 HOST_TSO4 HOST_USO GUEST_USO4 MRG_RXBUF") as m:
        assert m.device.accepted == bits("VERSION_1 MRG_RXBUF")
        assert m.net.features == 0


@pytest.mark.parametrize("ring", ["", "RING_PACKED", "RING_PACKED IN_ORDER EVENT_IDX"])
def test_a_pair_of_queues_for_each_core(ring):
    with machine(f"qemu-mq {ring}", device_pairs=4, pairs=2, vectors=4, eager=True) as m:
        assert m.device.control.commands == [(4, 0, b"\2\0")]
        assert len(m.net.queues) == 2
        second = RawPort(m.net.queues[1])
        second.poll()
        second.flush()
        for _ in range(100):
            assert second.send(frame(60, 1))
            assert m.port.send(frame(60, 2))
            assert sorted(data for data, _ in m.sent()) == [frame(60, 1), frame(60, 2)]
            second.poll()
        assert m.net.counters()["tx_frames"] == 200


def test_fewer_pairs_where_the_device_has_fewer_or_no_interrupt_for_each():
    with machine("qemu-mq", device_pairs=2, pairs=4, vectors=8) as m:
        assert len(m.net.queues) == 2
    with machine("qemu-mq", device_pairs=4, pairs=4, vectors=3) as m:
        assert len(m.net.queues) == 2
    with machine("qemu-mq", "mmio", device_pairs=4, pairs=4) as m:
        assert len(m.net.queues) == 1
        assert not m.device.has("MQ")


@pytest.mark.parametrize("vectors", [1, 2, 3, 16])
def test_any_number_of_vectors_will_do(vectors):
    """4.1.5.1.2.2"""
    with machine("qemu", vectors=vectors) as m:
        m.pc.polling.attach(m.net.queues[0])
        m.pc.settle()
        m.device.set_link(False)
        m.pc.settle()
        assert not m.net.link_up
        m.device.set_link(True)
        m.pc.settle()
        m.link.arrive(frame(60))
        m.turn()
        m.pc.settle()
        assert m.port.received == [(frame(60), (0, 0, 0, 0, 0, 0))]
        m.port.received.clear()
        m.pc.polling.detach(m.net.queues[0])


def test_a_configuration_that_changes_while_it_is_read_is_read_again():
    """2.5.3.1"""
    faults = Faults()
    faults.new_configuration = [(0, b"\x02\x11\x22\x33\x44\x55")]
    faults.next("configuration-changes")
    with machine("qemu", faults=faults, mac=b"\x02\0\0\0\0\0") as m:
        assert m.net.mac == b"\x02\x11\x22\x33\x44\x55"


def test_a_reset_that_takes_time_is_waited_for():
    with machine("qemu", faults=Faults(reset_reads=50)) as m:
        assert m.device.status & DRIVER_OK


@pytest.mark.parametrize(
    "offered, options, said",
    [
        ("MAC", {}, "does not offer VIRTIO 1"),
        ("qemu", {"queue_sizes": {0: 0}}, "no queue 0 that is large enough"),
        ("qemu", {"queue_sizes": {1: 1}}, "no queue 1 that is large enough"),
        ("VERSION_1 MTU MRG_RXBUF", {"mtu": 60}, "an MTU of 60 bytes"),
    ],
)
@pytest.mark.parametrize("how", TRANSPORTS)
def test_a_device_that_cannot_be_used_is_told_so(offered, options, said, how):
    """3.1.1: FAILED; the error is a line that says what is wrong, and where."""
    with core_with_pool() as pc:
        device = NetDevice(offered, ListLink(), pc.clock, **options)
        controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        _, transport = connect(device, controller, how)
        with pytest.raises(VirtioError, match=said) as caught:
            VirtioNet(transport, controller, pc.interrupts)
        assert str(caught.value).startswith(f"{transport.name}: ")
        assert "\n" not in str(caught.value)
        assert device.status == FAILED
        device.close()


@pytest.mark.parametrize(
    "kind, said",
    [("features-refused", "refuses"), ("vector-refused", "no interrupt vector left"), ("control-error", "command")],
)
def test_what_a_device_refuses_is_told(kind, said):
    faults = Faults()
    faults.next(kind)
    with core_with_pool() as pc:
        device = NetDevice("qemu-mq", ListLink(), pc.clock, faults=faults, pairs=2)
        controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        _, transport = connect(device, controller, "pci")
        with pytest.raises(VirtioError, match=said):
            VirtioNet(transport, controller, pc.interrupts, pairs=2)
        assert device.status == FAILED
        device.close()


def test_a_device_of_another_type_is_refused():
    with core_with_pool() as pc:
        device = NetDevice("qemu", ListLink(), pc.clock)
        controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        _, transport = connect(device, controller, "mmio")
        transport.device_type = 2
        with pytest.raises(VirtioError, match="no network card but of type 2"):
            VirtioNet(transport, controller, pc.interrupts)


@pytest.mark.parametrize(
    "attribute, value, said", [("magic", 1, "no virtio device"), ("version", 1, "force-legacy=false")]
)
def test_windows_that_are_no_modern_device(attribute, value, said):
    with core_with_pool() as pc:
        device = NetDevice("qemu", ListLink(), pc.clock)
        window = MmioModel(device, ModelInterrupts(pc.interrupts.raise_interrupt))
        setattr(window, attribute, value)
        with pytest.raises(VirtioError, match=said):
            MmioTransport(window, 5)


@pytest.mark.parametrize("how", ["pci", "mmio"])
def test_a_device_without_the_configuration_of_what_it_offers(how):
    with core_with_pool() as pc:
        device = NetDevice("qemu", ListLink(), pc.clock)
        controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        _, transport = connect(device, controller, how)
        transport.config = transport.config.window(0, 4)
        with pytest.raises(VirtioError, match="lacks registers of what it offers: 1 bytes at 0x4 of 4"):
            VirtioNet(transport, controller, pc.interrupts)
        assert device.status == FAILED
        device.close()


# --- PCI


def model(**options):
    device = NetDevice("qemu", ListLink(), type("Clock", (), {"time": 0})())
    return PciModel(device, ModelInterrupts(lambda source: None), **options)


def test_functions_are_found():
    made = model(place=(0, 7, 0))
    (found,) = pci.functions(made.configuration)
    assert found.name == "00:07.0"
    assert is_virtio(found)
    assert PciTransport(found, made.memory).device_type == 1


def test_ranges_are_sized_and_stay_where_they_are():
    made = model()
    (found,) = pci.functions(made.configuration)
    before = bytes(made.config.read8(i) for i in range(64))
    bars = found.bars()
    assert [bar and (bar.address, bar.size) for bar in bars] == [
        None,
        (0xFEBD1000, 0x1000),
        None,
        None,
        (0x8_0000_4000, 0x4000),
        None,
    ]
    assert bytes(made.config.read8(i) for i in range(64)) == before


def test_a_device_behind_a_bridge_and_one_of_many_functions_are_found():
    class Bridge(Nothing):
        def read8(self, offset):
            return {pci.HEADER_TYPE: 1, pci.SECONDARY_BUS: 3}.get(offset, 0)

        def read16(self, offset):
            return {pci.VENDOR: 0x8086, pci.DEVICE: 1}.get(offset, 0)

    class Other(Nothing):
        """The first of several functions."""

        def read8(self, offset):
            return {pci.HEADER_TYPE: 0x80}.get(offset, 0)

        def read16(self, offset):
            return {pci.VENDOR: 0x8086, pci.DEVICE: 2}.get(offset, 0)

    made = model(place=(3, 2, 5))
    others = {(0, 1, 0): Bridge(256), (3, 2, 0): Other(256)}
    found = list(
        pci.functions(lambda *place: others.get(place) or made.configuration(*place)),
    )
    assert [function.name for function in found] == ["00:01.0", "03:02.0", "03:02.5"]
    assert [function.is_bridge for function in found] == [True, False, False]


def test_a_list_of_capabilities_that_goes_in_circles_ends():
    made = model()
    made.config._bytes[made.config._bytes[0x34] + 1] = made.config._bytes[0x34]
    (found,) = pci.functions(made.configuration)
    assert len(list(found.capabilities())) == 48
    with pytest.raises(VirtioError, match="disable-legacy=on"):
        PciTransport(found, made.memory)


def test_a_range_without_an_address_is_not_used():
    made = model(addresses=(0, 0))
    (found,) = pci.functions(made.configuration)
    with pytest.raises(VirtioError, match="no modern virtio interface"):
        PciTransport(found, made.memory)


def test_without_a_line_or_vector_the_error_is_the_platforms():
    with core_with_pool() as pc:
        device = NetDevice("qemu", ListLink(), pc.clock)
        controller = ModelInterrupts(pc.interrupts.raise_interrupt, messages=1)
        _, transport = connect(device, controller, "pci")
        with pytest.raises(OSError, match="no interrupt vector is left"):
            VirtioNet(transport, controller, pc.interrupts)
        device.close()
