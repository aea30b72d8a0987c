"""Configuration of a node: its own, and that of its parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from netapp.net.config import InterfaceConfig, RouteConfig, check_routes, devices_of
from netapp.tcp.config import TcpConfig


@dataclass(frozen=True)
class NodeConfig:
    """Times are nanoseconds, sizes bytes."""

    interfaces: tuple[InterfaceConfig, ...] = (InterfaceConfig(),)  # at least one a device
    routes: tuple[RouteConfig, ...] = ()  # beside the subnets and the interfaces' gateways
    tcp: TcpConfig = field(default_factory=TcpConfig)
    pool_bytes: int | None = None  # None: what the appliance asks for
    pool_reserve: int = 2 << 20  # that stores cannot have
    spin: int = 50_000  # how long a device is polled in vain before the core may sleep
    handler_limit: int = 100_000_000  # that a handler may hold the loop before it is reported

    def __post_init__(self) -> None:
        check_routes(self.routes, self.interfaces)
        self.devices()

    def devices(self) -> list[int]:
        """The place of each interface's device among the node's."""
        return list(devices_of(self.interfaces))
