"""The routing table. Few entries, looked up once a connection: a list, the longest prefix first."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t
from cython.cimports.netapp.net.address import format_address, mapped
from cython.cimports.netapp.wire.bytes import swap32


class Route:
    def __str__(self):
        network: str = f"{format_address(mapped(self.network))}/{self.prefix_length}"
        via: str = f" via {format_address(mapped(self.gateway))}" if self.gateway else ""
        return f"{network}{via} dev {self.interface.name}"


class Routes:
    def __cinit__(self):
        self.entries = []

    def add_subnet(self, local):
        self.add(local.address & local.netmask, local.netmask, 0, local.interface, local)

    def remove_subnet(self, local):
        found: Route
        self.entries = [found for found in self.entries if found.local is not local]

    def add(self, network, netmask, gateway, interface, local):
        made: Route = Route.__new__(Route)
        mask: uint32_t = swap32(netmask)
        made.network = network
        made.netmask = netmask
        made.gateway = gateway
        made.interface = interface
        made.local = local
        while mask:
            made.prefix_length += 1
            mask <<= 1
        self.entries.append(made)
        # Stable: of equal prefixes the first added wins.
        self.entries.sort(key=_shortest)

    def get(self, network, netmask, gateway, interface):
        found: Route
        for found in self.entries:
            if (
                found.network == network
                and found.netmask == netmask
                and found.gateway == gateway
                and (interface is None or found.interface is interface)
            ):
                return found
        return None

    def remove(self, route):
        self.entries.remove(route)

    def find(self, destination, interface):
        found: Route
        best: Route = None
        for found in self.entries:
            if best is not None and found.prefix_length < best.prefix_length:
                break
            if destination & found.netmask == found.network and (interface is None or found.interface is interface):
                # RFC 1122, 3.3.1.4: of several gateways one that answers to ARP.
                if found.gateway == 0 or found.interface.neighbours.is_alive(found.gateway):
                    if best is not None:
                        # It may be back: then what begins later goes by it again.
                        best.interface.neighbours.ask_again(best.gateway)
                    return found
                if best is None:
                    best = found
        return best


def _shortest(route: Route) -> int:
    return -cython.cast(cython.int, route.prefix_length)
