"""Configuration of interfaces and static routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class InterfaceConfig:
    """An interface: a device, or a VLAN of it, with addresses. ValueError says what is wrong with them.

    An address that somebody else uses too is found out in every case, logged and counted (RFC 5227, 2.4). Using it
    before having asked for it is a deviation from RFC 5227, 2.1, which `detect_conflicts` ends: asking takes 4 to 7
    seconds, for which a server that is started again would not be reachable.
    """

    address: str | None = "10.99.0.2/24"  # with its prefix length; None: the interface has none, only its VLANs do
    gateway: str | None = None  # the router for everything that is on no subnet
    secondary: tuple[str, ...] = ()  # more addresses with prefix lengths, of the same or of other subnets
    vlan: int | None = None  # 1 to 4094: frames with this tag (IEEE 802.1Q); None: those without
    device: int | None = None  # place of the device among the node's; None: that of the interface among the interfaces
    announce: bool = True  # tell the neighbours when an address is taken into use (RFC 5227, 2.3)
    detect_conflicts: bool = False  # use an address only after nobody said that it is his (RFC 5227, 2.1)
    give_up: bool = False  # leave an address to somebody who insists on it (RFC 5227, 2.4 b); else keep it (2.4 c)

    def __post_init__(self) -> None:
        own = self.parsed_addresses()
        if self.address is None and self.secondary:
            raise ValueError("secondary addresses need a first one")
        for one in own:
            if sum(one.ip == other.ip for other in own) > 1:
                raise ValueError(f"the address {one.ip} is given twice")
        router = self.parsed_gateway()
        if router is not None and not any(is_neighbour(router, one) for one in own):
            networks = ", ".join(str(one.network) for one in own) or "an interface without an address"
            raise ValueError(f"the gateway {router} is not another host on {networks}")
        if self.vlan is not None and not 1 <= self.vlan <= 4094:
            raise ValueError(f"{self.vlan} is no VLAN: 1 to 4094")

    def parsed_address(self) -> ipaddress.IPv4Interface:
        """The first one."""
        return self.parsed_addresses()[0]

    def parsed_addresses(self) -> list[ipaddress.IPv4Interface]:
        return [] if self.address is None else [_own(text) for text in (self.address, *self.secondary)]

    def parsed_gateway(self) -> ipaddress.IPv4Address | None:
        return None if self.gateway is None else _gateway(self.gateway)


@dataclass(frozen=True)
class RouteConfig:
    """Packets to `network` go to `gateway`, which is a neighbour. ValueError says what is wrong with them."""

    network: str  # with its prefix length; 0.0.0.0/0 or default: everything
    gateway: str

    def __post_init__(self) -> None:
        self.parsed_network()
        self.parsed_gateway()

    def parsed_network(self) -> ipaddress.IPv4Network:
        text = "0.0.0.0/0" if self.network == "default" else self.network
        try:
            found = ipaddress.ip_network(text)
        except ValueError as error:
            why = "has host bits set" if "host bits" in str(error) else "is no network, as in 192.0.2.0/24"
            raise ValueError(f"{self.network} {why}") from None
        if not isinstance(found, ipaddress.IPv4Network):
            raise ValueError(f"{self.network} is an IPv6 network: only IPv4 is supported")
        if "/" not in text:
            raise ValueError(f"the network {text} has no prefix length: write {text}/32 for one host")
        return found

    def parsed_gateway(self) -> ipaddress.IPv4Address:
        return _gateway(self.gateway)


def check_routes(routes: Sequence[RouteConfig], interfaces: Sequence[InterfaceConfig]) -> None:
    """ValueError: a gateway is nobody's neighbour, or a route is there twice."""
    seen: set[tuple[object, object]] = set()
    for route in routes:
        network, router = route.parsed_network(), route.parsed_gateway()
        if not any(is_neighbour(router, own) for config in interfaces for own in config.parsed_addresses()):
            raise ValueError(not_a_neighbour(network, router))
        if (network, router) in seen:
            raise ValueError(f"the route to {network} via {router} is there already")
        seen.add((network, router))


def not_a_neighbour(network: ipaddress.IPv4Network, router: ipaddress.IPv4Address, interface: str | None = None) -> str:
    where = "ours" if interface is None else interface
    return f"no route to {network} via {router}: the gateway is on no subnet of {where}"


def devices_of(interfaces: Sequence[InterfaceConfig]) -> Iterator[int]:
    """The place of each interface's device. ValueError: two interfaces are the same, or have the same address."""
    seen: set[object] = set()
    for place, config in enumerate(interfaces):
        device = place if config.device is None else config.device
        if (device, config.vlan) in seen:
            raise ValueError(f"device {device} has {f'VLAN {config.vlan}' if config.vlan else 'an interface'} twice")
        seen.add((device, config.vlan))
        for own in config.parsed_addresses():
            if own.ip in seen:
                raise ValueError(f"the address {own.ip} is on two interfaces")
            seen.add(own.ip)
        yield device


def is_neighbour(address: ipaddress.IPv4Address, own: ipaddress.IPv4Interface) -> bool:
    """Another host on the subnet of `own`."""
    return address in own.network and address != own.ip and _is_host(address, own.network)


def _own(text: str) -> ipaddress.IPv4Interface:
    try:
        own = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address with prefix length, as in 10.99.0.2/24") from None
    if not isinstance(own, ipaddress.IPv4Interface):
        raise ValueError(f"{text} is an IPv6 address: only IPv4 is supported")
    if "/" not in text:
        raise ValueError(f"the address {text} has no prefix length: write {text}/24")
    if not _is_host(own.ip, own.network):
        raise ValueError(f"{own.ip} cannot be a host's address on {own.network}")
    return own


def _gateway(text: str) -> ipaddress.IPv4Address:
    try:
        router = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"the gateway {text!r} is no address, as in 10.99.0.1") from None
    if not isinstance(router, ipaddress.IPv4Address):
        raise ValueError(f"the gateway {text} is an IPv6 address: only IPv4 is supported")
    return router


def _is_host(address: ipaddress.IPv4Address, network: ipaddress.IPv4Network) -> bool:
    """Of one host, and not the subnet's own or broadcast address, which /31 and /32 do not have (RFC 3021)."""
    if address.is_multicast or address.is_loopback or address.is_reserved or int(address) >> 24 == 0:
        return False
    return network.prefixlen >= 31 or address not in (network.network_address, network.broadcast_address)
