"""Options of the command line that say where a node is in the network. What a field's metadata means is in
netapp/cli/options.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netapp.net.config import InterfaceConfig, RouteConfig, check_routes


def option(default: Any, help_text: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **metadata})


@dataclass(frozen=True)
class NetworkOptions:
    """Where it is, and what it reaches."""

    address: tuple[str, ...] = option(
        ("10.99.0.2/24",), "the appliance's address; several times: the first is the main one", metavar="ADDRESS/PREFIX"
    )
    gateway: str | None = option(None, "the router for what is on no subnet of the appliance's", metavar="ADDRESS")
    route: tuple[str, ...] = option((), "a static route; may be given several times", metavar="NETWORK=GATEWAY")
    vlan: int | None = option(None, "the VLAN that the appliance is on; without it, no tags", range=(1, 4094))
    detect_conflicts: bool = option(False, "ask whether an address is free before using it (takes 4 to 7 seconds)")

    def __post_init__(self) -> None:
        """ValueError: they do not fit together."""
        check_routes(self.routes(), [self.interface()])

    def interface(self) -> InterfaceConfig:
        return InterfaceConfig(
            self.address[0],
            self.gateway,
            self.address[1:],
            vlan=self.vlan,
            device=0,
            detect_conflicts=self.detect_conflicts,
        )

    def routes(self) -> tuple[RouteConfig, ...]:
        made = []
        for text in self.route:
            network, equals, gateway = text.partition("=")
            if not equals:
                raise ValueError(f"{text!r} is no route: write NETWORK=GATEWAY, as in 192.0.2.0/24=10.99.0.1")
            made.append(RouteConfig(network, gateway))
        return tuple(made)
