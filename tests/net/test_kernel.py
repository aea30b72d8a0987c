"""ARP and echo with the Linux kernel at the other end of a tap device."""

import select
import socket
import time

import pytest

from netapp.drivers.python import RawPort
from netapp.ebb.core import NETWORK_MANAGER, EbbRef
from netapp.hosted.tap_setup import host_tap
from netapp.net.config import InterfaceConfig
from netapp.net.manager import NetworkManager
from netapp.wire import icmp, ipv4
from tests.support.namespaces import ip, network_namespace
from tests.support.network import HOST_ADDRESS, OUR_ADDRESS
from tests.support.pools import core_with_pool

pytestmark = pytest.mark.system


def test_kernel_pings_us() -> None:
    with network_namespace(), core_with_pool() as core, host_tap("tap-net", f"{HOST_ADDRESS}/24") as tap:
        port = RawPort(tap.queue)  # polls the queue; the frames go to the interface
        core.namespace.install(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager())
        network: NetworkManager = EbbRef(NETWORK_MANAGER)()
        interface = network.add_interface(tap.queue, InterfaceConfig(f"{OUR_ADDRESS}/24"))
        kernel = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        until = time.monotonic() + 10
        # The larger ones come in fragments, and go back in such.
        lengths = [*range(0, 1400, 7), 1472, 1473, 8000, 20000, 65507]
        for sequence, length in enumerate(lengths):
            payload = bytes(sequence + i & 255 for i in range(length))
            kernel.sendto(icmp.build(icmp.ECHO, 0, 0x1234 << 16 | sequence, payload), (OUR_ADDRESS, 0))
            while True:
                port.poll()
                port.flush()
                core.settle()
                if select.select([kernel], [], [], 0)[0]:
                    break
                assert time.monotonic() < until, network.counters()
            reply = icmp.parse(ipv4.parse(kernel.recv(65536))["payload"])
            assert (reply["type"], reply["rest"] & 0xFFFF, reply["valid"]) == (icmp.ECHO_REPLY, sequence, True)
            assert reply["payload"] == payload
        # Each learned the other's link address by ARP.
        assert [row[0] for row in interface.neighbours] == [HOST_ADDRESS]
        assert f"lladdr {interface.mac}" in ip(f"neigh show {OUR_ADDRESS}")
        assert network.counters()["icmp_echoed"] == len(lengths)
        assert network.counters()["ipv4_reassembled"] == network.counters()["ipv4_fragmented"] == 4
        kernel.close()
        core.namespace.destroy(NETWORK_MANAGER)
