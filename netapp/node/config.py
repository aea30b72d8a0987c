"""Configuration of a node: its own, and that of its parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from netapp.net.config import InterfaceConfig
from netapp.tcp.config import TcpConfig


@dataclass(frozen=True)
class NodeConfig:
    """Times are nanoseconds, sizes bytes."""

    interfaces: tuple[InterfaceConfig, ...] = (InterfaceConfig(),)  # one a device
    tcp: TcpConfig = field(default_factory=TcpConfig)
    pool_bytes: int | None = None  # None: what the appliance asks for
    pool_reserve: int = 2 << 20  # that stores cannot have
    spin: int = 50_000  # how long a device is polled in vain before the core may sleep
    handler_limit: int = 100_000_000  # that a handler may hold the loop before it is reported
