"""`netapp run` among Linux hosts: VLANs, a second address, a gateway, static routes, an address that is taken."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import links, netapp, wait_for
from tests.support.namespaces import ip, network_namespace

pytestmark = pytest.mark.system

LENGTH = 2_000_000

# Asks for an echo of argv[2] bytes, which may not be fragmented; fails after argv[3] seconds.
PING = """
import socket, sys
from scapy.layers.inet import ICMP
asked = bytes(ICMP(id=1) / bytes(int(sys.argv[2])))
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
    raw.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    raw.settimeout(float(sys.argv[3]))
    raw.connect((sys.argv[1], 0))
    raw.send(asked)
    while (answer := raw.recv(65535))[20] != 0:
        pass
    assert answer[28:] == asked[8:]
"""


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with network_namespace():
        yield


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def ping(address: str, length: int = 56, seconds: float = 10, inside: tuple[str, ...] = ()) -> bool:
    command = [*inside, sys.executable, "-c", PING, address, str(length), str(seconds)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=30).returncode == 0


def echo(address: str, length: int = LENGTH, inside: tuple[str, ...] = ()) -> int:
    """How many bytes came back."""
    script = f"exec 3<>/dev/tcp/{address}/7; head -c {length} /dev/zero >&3 & head -c {length} <&3 | wc -c"
    return int(run(*inside, "bash", "-c", script))


@contextmanager
def far_host(number: int) -> Iterator[tuple[str, ...]]:
    """A host on 192.0.2.0/24, for which this namespace is the gateway; the words before a command that runs there."""
    name = f"netapp-{os.getpid()}-{number}"
    run("ip", "netns", "add", name)
    # `ip netns exec` mounts things, which fails where / is no mount, as in a chroot.
    inside = ("nsenter", f"--net=/run/netns/{name}")
    try:
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", name)
        ip("address add 192.0.2.1/24 dev near")
        ip("link set near up")
        run(*inside, "ip", "address", "add", "192.0.2.9/24", "dev", "far")
        run(*inside, "ip", "link", "set", "far", "up")
        run(*inside, "ip", "route", "add", "default", "via", "192.0.2.1")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        yield inside
    finally:
        run("ip", "netns", "del", name)


def vlan_link(underlying: str, name: str, tag: int) -> None:
    try:
        ip(f"link add link {underlying} name {name} type vlan id {tag}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this kernel has no VLANs: {error.stderr.strip()}")


@pytest.fixture
def vlans() -> None:
    vlan_link("lo", "trial", 5)
    ip("link del trial")


@pytest.mark.usefixtures("vlans")
def test_a_vlan_with_two_addresses_behind_a_gateway(tmp_path: Path) -> None:
    addresses = "--address 10.99.0.2/24 --address 10.98.0.2/24".split()
    with netapp(tmp_path, "echo", "--vlan", "5", *addresses, "--gateway", "10.99.0.1") as running:
        assert "echo on 10.99.0.2, port 7; tap netapp0, VLAN 5, this host 10.99.0.1/24" in running.said()
        assert {"netapp0", "netapp0.5"} <= links()
        ip("address add 10.98.0.1/24 dev netapp0.5")
        for address in ("10.99.0.2", "10.98.0.2"):
            assert ping(address, 1472)
            # Segmentation and checksums are left to the kernel, both ways: they count from behind the tag.
            assert echo(address) == LENGTH
        with far_host(1) as inside:
            assert echo("10.99.0.2", inside=inside) == LENGTH
            assert ping("10.98.0.2", inside=inside)
        assert running.end() == 0
    wait_for(lambda: not {"netapp0", "netapp0.5"} & links(), "the tap going")


def test_a_static_route(tmp_path: Path) -> None:
    with netapp(tmp_path, "echo", "--route", "192.0.2.0/24=10.99.0.1") as running, far_host(2) as inside:
        assert echo("10.99.0.2", inside=inside) == LENGTH
        assert running.end() == 0


@pytest.mark.usefixtures("vlans")
def test_frames_of_another_vlan_are_not_heard(tmp_path: Path) -> None:
    with netapp(tmp_path, "echo", "--vlan", "5") as running:
        vlan_link("netapp0", "other", 6)
        ip("address flush dev netapp0.5")
        ip("address add 10.99.0.1/24 dev other")
        ip("link set other up")
        assert not ping("10.99.0.2", seconds=1)
        assert running.end() == 0


CLIENT = """
from netapp.node.appliance import Appliance
from netapp.tcp.handler import TcpHandler

class Handler(TcpHandler):
    data = bytes(range(256)) * 8000
    received = b""
    sent = 0

    def connected(self):
        self.writable()

    def writable(self):
        while self.sent < len(self.data) and self.connection.queued < 200_000:
            self.send(self.data[self.sent : self.sent + 100_000])
            self.sent += 100_000

    def receive(self, data):
        self.received += bytes(data)
        self.writable()
        if len(self.received) == len(self.data):
            print("the same" if self.received == self.data else "another", flush=True)

class Client(Appliance):
    def start(self):
        self.tcp.connect("10.99.0.2", 7, Handler)
"""


def test_two_nodes_on_a_vlan_across_a_bridge(tmp_path: Path) -> None:
    """Large frames with a tag, whose checksums and segmentation are left to the kernel."""
    ip("link add bridge type bridge")
    ip("link set bridge up")
    for name in ("tap-a", "tap-b"):
        ip(f"tuntap add {name} mode tap vnet_hdr")
        ip(f"link set {name} master bridge up")
    (tmp_path / "client.py").write_text(CLIENT)
    server = "echo --tap tap-a --vlan 5 --address 10.99.0.2/24".split()
    client = [
        str(tmp_path / "client.py"),
        *"--tap tap-b --vlan 5 --address 10.99.0.1/24 --host-address 10.99.0.9/24".split(),
    ]
    for directory in ("server", "client"):
        (tmp_path / directory).mkdir()
    with netapp(tmp_path / "server", *server) as first, netapp(tmp_path / "client", *client) as second:
        wait_for(lambda: "the same" in second.said(), "the echo")
        for running in (first, second):
            assert running.end() == 0
    frames = int(second.said().partition("frames ")[2].split()[0])
    assert frames < 2_048_000 / 1460, "no frame was larger than the MTU"


def test_an_address_that_a_host_has_is_not_taken(tmp_path: Path) -> None:
    arguments = "--address 10.99.0.2/24 --address 10.99.0.3/24 --detect-conflicts".split()
    with netapp(tmp_path, "echo", *arguments) as running:
        ip("address add 10.99.0.2/32 dev netapp0")
        wait_for(lambda: "10.99.0.2 is somebody else's address" in running.said(), "the conflict")
        began = time.monotonic()
        wait_for(lambda: ping("10.99.0.3", seconds=1), "the other address")
        assert time.monotonic() - began < 12
        assert echo("10.99.0.3") == LENGTH
        assert running.end() == 0


def narrow(mtu: int) -> None:
    """From here to the far host a packet has at most `mtu` bytes; the way back takes more."""
    ip(f"route replace 192.0.2.0/24 dev near proto kernel scope link src 192.0.2.1 mtu lock {mtu}")


def test_replies_to_pings_pass_a_narrow_link(tmp_path: Path) -> None:
    """The router cuts them."""
    with netapp(tmp_path, "echo", "--gateway", "10.99.0.1") as running, far_host(3) as inside:
        narrow(900)
        assert ping("10.99.0.2", 1472, inside=inside)
        assert running.end() == 0


def test_tcp_finds_the_mtu_of_a_narrow_link(tmp_path: Path) -> None:
    """The router says what it cannot pass; what the connection sends becomes smaller (RFC 1191)."""
    with netapp(tmp_path, "echo", "--gateway", "10.99.0.1") as running, far_host(4) as inside:
        narrow(900)
        assert echo("10.99.0.2", inside=inside) == LENGTH
        assert running.end() == 0
