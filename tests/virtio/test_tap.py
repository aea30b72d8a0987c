"""The driver on the device model, which is on a tap device: Linux is at the other end, with all its offloads."""

import socket
from contextlib import ExitStack

import pytest

from netapp.drivers.virtio.net import VirtioNet
from netapp.net.config import InterfaceConfig
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from tests.support.appliances import appliance
from tests.support.hosted import HOSTS, OURS, Host
from tests.support.namespaces import ip, network_namespace
from tests.virtio.echoing import payload
from tests.virtio.model.links import TapLink
from tests.virtio.model.machine import run, tap_machine

pytestmark = pytest.mark.system
BYTES = 500_000


def _client(length: int) -> bool:
    """Sends as much as it can, and reads what comes back."""
    data = payload(length)
    received = bytearray()
    with socket.create_connection((OURS, 7), timeout=20) as connection:
        connection.setblocking(True)
        sent = 0
        while len(received) < length:
            if sent < length:
                sent += connection.send(data[sent : sent + 50_000])
            if sent - len(received) > 100_000 or sent == length:
                received += connection.recv(1 << 17)
    return bytes(received) == data


@pytest.mark.parametrize(
    "offered, kind",
    [("qemu", "pci"), ("qemu-packed", "mmio"), ("firecracker", "mmio"), ("qemu-no-mrg", "pci-line"), ("least", "pci")],
)
def test_linux_and_the_card(offered, kind):
    with network_namespace(), ExitStack() as stack:
        machine = tap_machine("model0", offered, kind)
        assert isinstance(machine.link, TapLink)
        stack.callback(machine.link.close)
        ip(f"address add {HOSTS}/24 dev model0")
        ip("link set model0 up")
        card = VirtioNet(machine.transport(), machine.controller, machine.platform.interrupts)
        config = NodeConfig(interfaces=(InterfaceConfig(f"{OURS}/24"),), spin=0)
        node = Node(machine.platform, card, appliance("echo", "compiled")(), config)
        stack.callback(node.close)
        node.start()
        host = Host(_client, BYTES)
        stack.callback(host.close)
        run(machine, node, lambda: host.ended)
        assert host.result()
        machine.verify()
        assert card.resets == 0
        counters = card.counters()
        assert counters["rx_malformed"] == counters["tx_link_down"] == 0
        if machine.device.has("GUEST_TSO4"):
            assert counters["rx_bytes"] / counters["rx_frames"] > 1514, "large frames came"
