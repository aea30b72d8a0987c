"""Configuration of an interface."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class InterfaceConfig:
    """`address` with its prefix length; `gateway`: the router for everything that is not on its subnet.

    ValueError says what is wrong with them.
    """

    address: str = "10.99.0.2/24"
    gateway: str | None = None

    def __post_init__(self) -> None:
        own = self.parsed_address()
        if "/" not in self.address:
            raise ValueError(f"the address {self.address} has no prefix length: write {self.address}/24")
        if not _is_host(own.ip, own.network):
            raise ValueError(f"{own.ip} cannot be a host's address on {own.network}")
        router = self.parsed_gateway()
        if router is not None and (router not in own.network or router == own.ip or not _is_host(router, own.network)):
            raise ValueError(f"the gateway {router} is not another host on {own.network}")

    def parsed_address(self) -> ipaddress.IPv4Interface:
        try:
            own = ipaddress.ip_interface(self.address)
        except ValueError:
            raise ValueError(f"{self.address!r} is no address with prefix length, as in 10.99.0.2/24") from None
        if not isinstance(own, ipaddress.IPv4Interface):
            raise ValueError(f"{self.address} is an IPv6 address: only IPv4 is supported")
        return own

    def parsed_gateway(self) -> ipaddress.IPv4Address | None:
        if self.gateway is None:
            return None
        try:
            router = ipaddress.ip_address(self.gateway)
        except ValueError:
            raise ValueError(f"the gateway {self.gateway!r} is no address, as in 10.99.0.1") from None
        if not isinstance(router, ipaddress.IPv4Address):
            raise ValueError(f"the gateway {self.gateway} is an IPv6 address: only IPv4 is supported")
        return router


def _is_host(address: ipaddress.IPv4Address, network: ipaddress.IPv4Network) -> bool:
    """Of one host, and not the subnet's own or broadcast address, which /31 and /32 do not have (RFC 3021)."""
    if address.is_multicast or address.is_loopback or address.is_reserved or int(address) >> 24 == 0:
        return False
    return network.prefixlen >= 31 or address not in (network.network_address, network.broadcast_address)
