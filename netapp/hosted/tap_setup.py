"""The tap device of a hosted node, and the host's side of it: address, MTU, link up."""

import errno
import ipaddress
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netapp.drivers.tap import TapDevice
from netapp.drivers.tap_queue import TapError

_logger = logging.getLogger("netapp.hosted.tap")

# The kernel takes a tap of a process that was killed away a little later than the process.
_TEARDOWN_SECONDS = 1.0


@contextmanager
def host_tap(
    name: str = "netapp0",
    host_address: str = "10.99.0.1/24",
    mtu: int = 1500,
    offloads: bool = True,
    vlan: int | None = None,
    io: str = "auto",
) -> Iterator[TapDevice]:
    """Opens the tap `name`. Where this makes it, it gets `host_address` and `mtu` and goes with the process, however
    that ends; with `vlan` the address is that of a link `name`.`vlan` on it. A tap that exists (`ip tuntap add`) is
    used as it is, and stays. `io`: TapDevice's. Raises TapError.
    """
    address = _parse(host_address)
    if vlan is not None and len(f"{name}.{vlan}") > 15:
        raise TapError(errno.EINVAL, f"{name}.{vlan} is too long for a link's name: choose a shorter one for the tap")
    with IPRoute() as routes:
        link = _link(routes, name)
        if link is None:
            _check_free(routes, name, address)
        else:
            if link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "tun":
                raise TapError(errno.EINVAL, f"the interface {name} is no tap device: choose another name")
            mtu = link.get("IFLA_MTU")
        device = _open(name, mtu, offloads, io)
        try:
            if device.persistent:
                _check_existing(routes, device, address, vlan)
            else:
                _set_up(routes, device, address, vlan)
        except BaseException:
            device.close()
            raise
    try:
        yield device
    finally:
        device.close()


def _parse(text: str) -> ipaddress.IPv4Interface:
    try:
        address = ipaddress.IPv4Interface(text)
    except ValueError:
        address = None
    if address is None or "/" not in text:
        raise TapError(errno.EINVAL, f"{text!r} is no IPv4 address with its prefix length, like 10.99.0.1/24")
    network = address.network
    if network.prefixlen > 30:
        raise TapError(errno.EINVAL, f"{text} leaves no address for the appliance: choose a prefix length up to 30")
    if address.ip in (network.network_address, network.broadcast_address) or address.ip.is_multicast:
        raise TapError(errno.EINVAL, f"{text} is no host's address: choose one like {network[1]}/{network.prefixlen}")
    return address


def _link(routes: Any, name: str) -> Any:
    """The interface of this name, None if there is none."""
    for index in routes.link_lookup(ifname=name):
        return routes.get_links(index)[0]
    return None


def _addresses(routes: Any) -> Iterator[tuple[int, ipaddress.IPv4Interface]]:
    """(interface's index, address) for every IPv4 address of the host."""
    for found in routes.get_addr(family=AF_INET):
        own = found.get("IFA_LOCAL") or found.get("IFA_ADDRESS")
        if own is not None:
            yield found["index"], ipaddress.IPv4Interface(f"{own}/{found['prefixlen']}")


def _check_free(routes: Any, name: str, wanted: ipaddress.IPv4Interface) -> None:
    """Packets for the appliance must not already go elsewhere, nor others' packets go to the appliance."""
    for index, other in _addresses(routes):
        owner = routes.get_links(index)[0].get("IFLA_IFNAME")
        if owner == name:
            continue
        if other.ip == wanted.ip:
            raise TapError(errno.EADDRINUSE, f"the address {wanted.ip} is on {owner} already: choose another")
        if other.ip in wanted.network or (
            wanted.ip in other.network and other.network.prefixlen >= wanted.network.prefixlen
        ):
            raise TapError(
                errno.EADDRINUSE, f"{wanted.network} overlaps {other} on {owner}: choose addresses of another network"
            )
    for route in routes.get_routes(family=AF_INET, table=254):
        target, out = route.get("RTA_DST"), route.get("RTA_OIF")
        if (
            target is None
            or out is None
            or (target, route["dst_len"])
            != (
                str(wanted.network.network_address),
                wanted.network.prefixlen,
            )
        ):
            continue
        owner = routes.get_links(out)[0].get("IFLA_IFNAME")
        if owner != name:
            raise TapError(
                errno.EADDRINUSE, f"{wanted.network} is routed to {owner}: choose addresses of another network"
            )


def _open(name: str, mtu: int, offloads: bool, io: str) -> TapDevice:
    patience = time.monotonic() + _TEARDOWN_SECONDS
    while True:
        try:
            return TapDevice(name, mtu=mtu, offloads=offloads, io=io)
        except TapError as error:
            if error.errno != errno.EBUSY or time.monotonic() > patience:
                raise
        time.sleep(0.02)


def _set_up(routes: Any, device: TapDevice, address: ipaddress.IPv4Interface, vlan: int | None) -> None:
    """The tap is new: it is nobody's but ours."""
    index = routes.link_lookup(ifname=device.name)[0]
    _disable_ipv6(device.name)
    step = f"set the MTU {device.mtu}"
    try:
        routes.link("set", index=index, mtu=device.mtu)
        owner = index
        if vlan is not None:
            name = f"{device.name}.{vlan}"
            step = f"add the link {name}"
            routes.link("add", ifname=name, kind="vlan", link=index, vlan_id=vlan)
            owner = routes.link_lookup(ifname=name)[0]
            _disable_ipv6(name)
        step = f"add the address {address}"
        routes.addr("add", index=owner, address=str(address.ip), prefixlen=address.network.prefixlen)
        step = "set the link up"
        routes.link("set", index=index, state="up")
        if owner != index:
            routes.link("set", index=owner, state="up")
    except NetlinkError as error:
        raise _failed(device, step, error) from None


def _disable_ipv6(name: str) -> None:
    """Otherwise the host's neighbour and router discovery wakes an idle appliance."""
    setting = Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
    try:
        setting.write_text("1")
    except OSError as error:
        _logger.debug("%s: %s", setting, error)


def _check_existing(routes: Any, device: TapDevice, address: ipaddress.IPv4Interface, vlan: int | None) -> None:
    """The tap was there: its addresses are its owner's matter."""
    link = _link(routes, device.name)
    if not link["flags"] & 1:  # IFF_UP
        try:
            routes.link("set", index=link["index"], state="up")
        except NetlinkError as error:
            raise _failed(device, "set the link up", error) from None
    mine = {link["index"]}
    if vlan is not None:
        mine = {one["index"] for one in routes.get_links() if one.get("IFLA_LINK") == link["index"]}
    if all(index not in mine or own != address for index, own in _addresses(routes)):
        where = "" if vlan is None else f" on a VLAN {vlan}"
        said = f"{device.name} exists and does not have the address {address}{where}"
        _logger.warning("%s: it is used as it is", said)


def _failed(device: TapDevice, step: str, error: Any) -> TapError:
    text = str(error.args[-1]) if error.args else str(error)
    if error.code == errno.EPERM:
        text = "no permission: run as root (CAP_NET_ADMIN), or make the tap beforehand"
    return TapError(error.code, f"tap device {device.name}: cannot {step}: {text}")
