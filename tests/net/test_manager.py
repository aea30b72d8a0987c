"""Configuration and routes."""

import ipaddress
import re
from pathlib import Path

import pytest

import netapp.net
from netapp.ebb.core import NETWORK_MANAGER
from netapp.net.config import InterfaceConfig
from netapp.net.manager import COUNTERS
from tests.support.network import network_node


@pytest.mark.parametrize(
    ("address", "gateway", "message"),
    [
        ("10.99.0.2", None, "no prefix length: write 10.99.0.2/24"),
        ("10.99.0.2/33", None, "is no address with prefix length"),
        ("10.99.0.256/24", None, "is no address with prefix length"),
        ("host/24", None, "is no address with prefix length"),
        ("2001:db8::1/64", None, "IPv6"),
        ("10.99.0.0/24", None, "cannot be a host's address"),
        ("10.99.0.255/24", None, "cannot be a host's address"),
        ("127.0.0.1/8", None, "cannot be a host's address"),
        ("224.0.0.1/4", None, "cannot be a host's address"),
        ("0.0.0.1/8", None, "cannot be a host's address"),
        ("10.99.0.2/24", "10.99.0.2", "not another host"),
        ("10.99.0.2/24", "10.99.1.1", "not another host"),
        ("10.99.0.2/24", "10.99.0.255", "not another host"),
        ("10.99.0.2/24", "router", "is no address"),
        ("10.99.0.2/24", "2001:db8::1", "IPv6"),
    ],
)
def test_configuration_refused(address: str, gateway: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        InterfaceConfig(address, gateway)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["10.99.0.2/24", "10.0.0.0/31", "10.0.0.1/32", "192.168.1.1/16"])
def test_configuration_accepted(address: str) -> None:
    assert InterfaceConfig(address).address == address


def test_routes() -> None:
    with network_node(gateway="10.99.0.1") as node:
        assert node.network.route("10.99.0.9") == "10.99.0.9 dev wire-a src 10.99.0.2"
        assert node.network.route(ipaddress.ip_address("192.0.2.1")) == (
            "192.0.2.1 via 10.99.0.1 dev wire-a src 10.99.0.2"
        )
        with pytest.raises(ValueError, match="IPv6"):
            node.network.route("::1")
        with pytest.raises(ValueError, match="no IP address"):
            node.network.route("10.99.0")
    with network_node() as node:
        assert node.network.route("192.0.2.1") == "192.0.2.1 is unreachable"


def test_interface_says_what_it_is() -> None:
    with network_node() as node:
        (interface,) = node.network.interfaces
        assert (interface.name, interface.address, interface.mac) == ("wire-a", "10.99.0.2/24", "02:00:00:00:00:0a")
        assert (interface.mtu, interface.closed) == (1500, False)
        assert repr(interface) == "<Interface wire-a 10.99.0.2/24>"


def test_counters_are_gathered_with_those_of_other_ebbs() -> None:
    with network_node() as node:
        node.exchange(b"x")
        gathered = node.core.namespace.counters()["NetworkManager"]
        assert tuple(gathered) == COUNTERS
        assert gathered["frames_truncated"] == 1


def test_counters_have_the_names_of_their_fields() -> None:
    declared = Path(netapp.net.__file__).with_name("counters.pxd").read_text()
    assert tuple(re.findall(r"^    uint64_t (\w+)", declared, re.MULTILINE)) == COUNTERS


def test_nothing_arrives_after_the_end() -> None:
    with network_node() as node:
        interface = node.interface
        node.core.namespace.destroy(NETWORK_MANAGER)
        assert interface.closed
        assert node.exchange(b"\xff" * 60) == []
        node.core.namespace.install(NETWORK_MANAGER, lambda core, ebb_id: None)  # for network_node() to destroy
