"""The routing table. Few entries, looked up once a connection: a list, the longest prefix first."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t
from cython.cimports.netapp.wire.bytes import swap32


class Routes:
    def __cinit__(self):
        self.entries = []

    def add(self, network, netmask, gateway, interface):
        made: Route = Route.__new__(Route)
        mask: uint32_t = swap32(netmask)
        made.network = network & netmask
        made.netmask = netmask
        made.gateway = gateway
        made.interface = interface
        while mask:
            made.prefix_length += 1
            mask <<= 1
        self.entries.append(made)
        # Stable: of equal prefixes the first added wins.
        self.entries.sort(key=_shortest)

    def find(self, destination, interface):
        found: Route
        for found in self.entries:
            if destination & found.netmask == found.network and (interface is None or found.interface is interface):
                return found
        return None

    def remove_interface(self, interface):
        found: Route
        self.entries = [found for found in self.entries if found.interface is not interface]


def _shortest(route: Route) -> int:
    return -cython.cast(cython.int, route.prefix_length)
