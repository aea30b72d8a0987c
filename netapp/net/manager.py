"""The network manager Ebb."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.netapp.net.address import format_address, ipv4_of, is_ipv4, mapped, parse_address
from cython.cimports.netapp.net.icmp import Icmp
from cython.cimports.netapp.net.interface import make_interface
from cython.cimports.netapp.net.ipv4 import make_path
from cython.cimports.netapp.net.routes import Route
from cython.cimports.netapp.wire import ipv4
from cython.cimports.netapp.wire.bytes import swap32

from netapp.ebb.core import EbbError

COUNTERS = (
    "frames_received",
    "frames_truncated",
    "frames_not_ours",
    "frames_unknown_type",
    "arp_received",
    "arp_truncated",
    "arp_bad_type",
    "arp_bad_length",
    "arp_bad_operation",
    "arp_bad_sender",
    "arp_conflict",
    "arp_requests_sent",
    "arp_replies_sent",
    "neighbours_failed",
    "neighbours_moved",
    "neighbours_evicted",
    "waiting_dropped_full",
    "waiting_dropped_failed",
    "waiting_dropped_evicted",
    "ipv4_received",
    "ipv4_truncated",
    "ipv4_split_header",
    "ipv4_bad_version",
    "ipv4_bad_header_length",
    "ipv4_bad_total_length",
    "ipv4_bad_checksum",
    "ipv4_bad_source",
    "ipv4_bad_options",
    "ipv4_source_routed",
    "ipv4_link_broadcast",
    "ipv4_not_ours",
    "ipv4_fragments",
    "ipv4_unknown_protocol",
    "ipv4_sent",
    "ipv4_no_route",
    "ipv4_oversized",
    "ipv4_interface_closed",
    "icmp_received",
    "icmp_truncated",
    "icmp_bad_checksum",
    "icmp_echoed",
    "icmp_echo_to_group",
    "icmp_oversized",
    "icmp_not_handled",
    "transmit_full",
    "transmit_exhausted",
)


@cython.cfunc
@cython.exceptval(check=False)
def _forget_transports(manager: NetworkManager) -> cython.void:
    protocol: cython.int
    for protocol in range(256):
        manager.register_transport(protocol, None)


class NetworkManager:
    """The network layer of one core."""

    def __cinit__(self):
        if len(COUNTERS) * cython.sizeof(uint64_t) != cython.sizeof(net_counters_t):
            raise SystemError("COUNTERS does not name the fields of net_counters_t")
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.values))
        self.counter_names = COUNTERS
        self.interfaces = []
        self.routes = Routes.__new__(Routes)
        self.register_transport(ipv4.PROTOCOL_ICMP, Icmp.__new__(Icmp))

    def __dealloc__(self):
        _forget_transports(self)

    def may_be_replaced(self, new):
        if not isinstance(new, NetworkManager):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no NetworkManager")

    def path(self, destination):
        found: Route = self.routes.find(ipv4_of(destination), None)
        if not is_ipv4(destination) or found is None:
            self.values.ipv4_no_route += 1
            return None
        return self._path_over(found.interface, found.interface.ipv4, ipv4_of(destination))

    def path_between(self, source, destination):
        # The strong model (RFC 1122, 3.3.4.2): what leaves from an address leaves by its interface.
        interface: Interface
        for interface in self.interfaces:
            if interface.ipv4 == ipv4_of(source) and is_ipv4(source) and is_ipv4(destination):
                return self._path_over(interface, interface.ipv4, ipv4_of(destination))
        self.values.ipv4_no_route += 1
        return None

    def _path_over(self, interface, source, target):
        first: uint32_t = target & 255
        found: Route = None
        # To one host, and not to ourselves: broadcast and multicast need no neighbour, and there is no loopback.
        if first != 0 and first != 127 and first < 224 and not self.is_local(mapped(target)):
            found = self.routes.find(target, interface)
        if found is None or (found.gateway == 0 and not interface.is_neighbour(target)):
            self.values.ipv4_no_route += 1
            return None
        return make_path(interface, source, target, found.gateway or target)

    def is_local(self, address):
        interface: Interface
        for interface in self.interfaces:
            if interface.ipv4 == ipv4_of(address) and is_ipv4(address):
                return True
        return False

    def register_transport(self, protocol, transport):
        """Packets of `protocol` go to `transport` from now on; None: to nobody."""
        before: cython.pointer(PyObject) = self.transports[protocol]
        self.transports[protocol] = cython.NULL
        if transport is not None:
            Py_INCREF(transport)
            self.transports[protocol] = cython.cast(cython.pointer(PyObject), transport)
        if before != cython.NULL:
            Py_DECREF(cython.cast(object, before))

    def add_interface(self, queue, config):
        """`config`: an InterfaceConfig. The interface receives what the queue's device receives, from now on."""
        own = config.parsed_address()
        router = config.parsed_gateway()
        number: uint32_t
        interface: Interface = make_interface(self, queue, own, queue.device.name)
        self.interfaces.append(interface)
        self.routes.add(interface.ipv4, interface.netmask, 0, interface)
        if router is not None:
            number = int(router)
            self.routes.add(0, 0, swap32(number), interface)
        return interface

    def route(self, destination):
        """How a packet to `destination` (str or ipaddress) would go, like `ip route get`."""
        target: uint32_t = ipv4_of(parse_address(destination))
        found: Route = self.routes.find(target, None)
        if found is None:
            return f"{destination} is unreachable"
        via: str = f" via {format_address(mapped(found.gateway))}" if found.gateway else ""
        return f"{destination}{via} dev {found.interface.name} src {format_address(mapped(found.interface.ipv4))}"

    def destroy(self):
        """Closes the interfaces; the devices stay open."""
        interface: Interface
        for interface in self.interfaces:
            interface.close()
        self.interfaces = []
        self.routes = Routes.__new__(Routes)
        _forget_transports(self)
