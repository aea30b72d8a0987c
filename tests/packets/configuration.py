"""Options and sysctl-like assignments, mapped onto the configuration of the stack and of this harness."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from netapp.drivers.device import CHECKSUM, TSO4
from netapp.net.config import InterfaceConfig
from netapp.tcp.config import TcpConfig
from tests.packets.errors import Refused

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "min": 60 * 10**9,
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_FEATURES = {"none": 0, "checksum": CHECKSUM, "tso4": CHECKSUM | TSO4}

# Linux's names for what means the same here; their values are seconds.
_SYSCTL_SECONDS = {"net.ipv4.tcp_fin_timeout": "fin_wait_2"}


@dataclass(frozen=True)
class Configuration:
    """Times are nanoseconds, sizes bytes."""

    tolerance: int = 1_000  # 1 µs, the script's resolution: the clock is virtual
    mtu: int = 1500
    local_ip: str = "10.99.0.2"
    remote_ip: str = "10.99.0.1"
    netmask_ip: str = "255.255.255.0"
    gateway_ip: str | None = None
    bind_port: int = 8080
    connect_port: int = 8080
    features: int = 0
    pool_bytes: int = 16 << 20
    pool_reserve: int = 1 << 18
    tcp: TcpConfig = field(default_factory=TcpConfig)

    def interface(self) -> InterfaceConfig:
        prefix = ipaddress.ip_network(f"0.0.0.0/{self.netmask_ip}").prefixlen
        return InterfaceConfig(f"{self.local_ip}/{prefix}", self.gateway_ip, announce=False)


def configure(
    options: Iterable[tuple[int, str, str]], commands: Iterable[tuple[int, str]], more: Iterable[str] = ()
) -> Configuration:
    """Of a script's options and commands, and `more` from the command line, NAME=VALUE, which goes before them."""
    made = Configuration()
    given = [*options, *((0, *_split(one)) for one in more)]
    for line, name, value in given:
        try:
            made = _option(made, line, name, value)
        except ValueError as error:
            raise Refused(line, f"option --{name}={value}: {error}") from None
    for line, command in commands:
        for name, value in _assignments(line, command):
            try:
                made = _sysctl(made, line, name, value)
            except ValueError as error:
                raise Refused(line, f"sysctl {name}={value}: {error}") from None
    try:
        made.interface()
    except ValueError as error:
        raise Refused(0, f"the addresses do not fit: {error}") from None
    return made


def _split(assignment: str) -> tuple[str, str]:
    name, _, value = assignment.partition("=")
    return name, value


def _number(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
    if match is None or match[2] not in ("", *_UNITS):
        raise ValueError(f"a number with one of {', '.join(_UNITS)}, or without, is wanted")
    return round(float(match[1]) * _UNITS[match[2]]) if match[2] else int(match[1])


def _option(made: Configuration, line: int, name: str, value: str) -> Configuration:
    if name == "tolerance_usecs":
        return replace(made, tolerance=_number(value) * 1000)
    if name == "ip_version":
        if value != "ipv4":
            raise ValueError("the stack has IPv4 only")
        return made
    if name in ("local_ip", "remote_ip", "netmask_ip", "gateway_ip"):
        ipaddress.IPv4Address(value)
        changes: dict[str, Any] = {name: value}
        return replace(made, **changes)
    if name in ("mtu", "bind_port", "connect_port", "pool_bytes", "pool_reserve"):
        changes = {name: _number(value)}
        return replace(made, **changes)
    if name == "features":
        if value not in _FEATURES:
            raise ValueError(f"one of {', '.join(_FEATURES)} is wanted")
        return replace(made, features=_FEATURES[value])
    if name.startswith("tcp_") and name[4:] in _tcp_fields():
        return _tcp(made, name[4:], value)
    raise Refused(line, f"option --{name}: nothing here corresponds to it")


def _tcp_fields() -> dict[str, Any]:
    return {one.name: one.default for one in fields(TcpConfig)}


def _tcp(made: Configuration, name: str, value: str) -> Configuration:
    default = _tcp_fields()[name]
    changes: dict[str, Any] = {}
    if isinstance(default, bool):
        if value not in ("0", "1", "false", "true"):
            raise ValueError("true or false is wanted")
        changes[name] = value in ("1", "true")
    else:
        changes[name] = _number(value) if isinstance(default, int) else value
    return replace(made, tcp=replace(made.tcp, **changes))


def _assignments(line: int, command: str) -> list[tuple[str, str]]:
    """Of `sysctl -q NAME=VALUE …`, one or more, with `;`, `&&` or line ends between."""
    found = []
    for one in filter(None, (part.strip() for part in re.split(r"[;\n]|&&", command))):
        words = one.split()
        pairs = [word for word in words[1:] if word not in ("-q", "-w")]
        if words[0] != "sysctl" or not pairs or not all("=" in word for word in pairs):
            raise Refused(line, f"shell command `{one}`: only sysctl assignments have a meaning here")
        found += [_split(word) for word in pairs]
    return found


def _sysctl(made: Configuration, line: int, name: str, value: str) -> Configuration:
    if name in _SYSCTL_SECONDS:
        return _tcp(made, _SYSCTL_SECONDS[name], f"{_number(value)}s")
    if name.startswith("netapp.tcp.") and name[11:] in _tcp_fields():
        return _tcp(made, name[11:], value)
    raise Refused(line, f"sysctl {name}: nothing here corresponds to it")
