"""The network manager Ebb."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.net.address import format_address, ipv4_of, is_ipv4, mapped, parse_address
from cython.cimports.netapp.net.icmp import Icmp
from cython.cimports.netapp.net.interface import make_interface, make_vlan
from cython.cimports.netapp.net.ipv4 import make_path
from cython.cimports.netapp.net.local import PREFERRED, make_local
from cython.cimports.netapp.net.neighbours import EVERYBODY
from cython.cimports.netapp.wire import ipv4
from cython.cimports.netapp.wire.bytes import swap32

from netapp.ebb.core import EbbError
from netapp.net.config import RouteConfig, not_a_neighbour

COUNTERS = (
    "frames_received",
    "frames_truncated",
    "frames_not_ours",
    "frames_unknown_type",
    "frames_unknown_vlan",
    "arp_received",
    "arp_truncated",
    "arp_bad_type",
    "arp_bad_length",
    "arp_bad_operation",
    "arp_bad_sender",
    "arp_conflict",
    "arp_defences",
    "arp_announcements",
    "addresses_lost",
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
    "ipv4_other_interface",
    "ipv4_fragments",
    "ipv4_fragments_bad_length",
    "ipv4_fragments_oversized",
    "ipv4_fragments_tiny",
    "ipv4_fragments_duplicate",
    "ipv4_fragments_refused",
    "ipv4_fragments_exhausted",
    "ipv4_reassembled",
    "ipv4_reassembly_overlaps",
    "ipv4_reassembly_limits",
    "ipv4_reassembly_evicted",
    "ipv4_reassembly_timeouts",
    "ipv4_unknown_protocol",
    "ipv4_sent",
    "ipv4_no_route",
    "ipv4_oversized",
    "ipv4_too_big",
    "ipv4_fragmented",
    "ipv4_fragments_sent",
    "ipv4_interface_closed",
    "icmp_received",
    "icmp_truncated",
    "icmp_bad_checksum",
    "icmp_echoed",
    "icmp_echo_to_group",
    "icmp_errors_received",
    "icmp_errors_malformed",
    "icmp_errors_not_ours",
    "icmp_errors_fragment",
    "icmp_errors_bad_mtu",
    "icmp_errors_unmatched",
    "icmp_errors_accepted",
    "icmp_errors_sent",
    "icmp_errors_forbidden",
    "icmp_errors_limited",
    "icmp_source_quench",
    "icmp_redirects",
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

    def __cinit__(self, entropy=None):
        """`entropy`: the platform's, for random times and for what nobody may foretell."""
        secret: bytes = bytes(32) if entropy is None else entropy.random_bytes(32)
        if len(COUNTERS) * cython.sizeof(uint64_t) != cython.sizeof(net_counters_t):
            raise SystemError("COUNTERS does not name the fields of net_counters_t")
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.values))
        self.counter_names = COUNTERS
        self.entropy = entropy
        self.interfaces = []
        self.routes = Routes.__new__(Routes)
        self.reassembly = Reassembly.__new__(Reassembly)
        self.reassembly.counters = cython.address(self.values)
        self.path_mtus = PathMtus.__new__(PathMtus)
        self.identifications = Identifications.__new__(Identifications, secret[:16])
        self.error_limit = ErrorLimit.__new__(ErrorLimit, secret[16:])
        self.register_transport(ipv4.PROTOCOL_ICMP, Icmp.__new__(Icmp))

    def __dealloc__(self):
        _forget_transports(self)

    def may_be_replaced(self, new):
        raise EbbError("the network manager cannot be replaced: paths of connections lead over its interfaces")

    def path(self, destination):
        target: uint32_t = ipv4_of(destination)
        found: Route = self.routes.find(target, None) if is_ipv4(destination) else None
        source: uint32_t = 0
        if found is not None:
            source = found.interface.source_for(found.gateway or target)
        return self._path_over(found, source, target)

    def path_between(self, source, destination):
        # The strong model (RFC 1122, 3.3.4.2): what leaves from an address leaves by its interface.
        interface: Interface
        for interface in self.interfaces:
            if is_ipv4(source) and is_ipv4(destination) and interface.owns(ipv4_of(source)):
                found: Route = self.routes.find(ipv4_of(destination), interface)
                return self._path_over(found, ipv4_of(source), ipv4_of(destination))
        self.values.ipv4_no_route += 1
        return None

    def broadcast_path(self, source, destination):
        target: uint32_t = ipv4_of(destination)
        interface: Interface
        own: uint32_t
        path: Path
        if not is_ipv4(destination):
            return None
        for interface in self.interfaces:
            if target != EVERYBODY and not interface.is_broadcast(target):
                continue
            own = interface.source_for(target) if source.low == 0 else ipv4_of(source)
            if own != 0 and interface.owns(own):
                path = make_path(interface, own, target, EVERYBODY)
                path.broadcast = True
                return path
        return None

    def _path_over(self, found, source, target):
        if found is None or source == 0 or not self._is_reachable(found, target):
            self.values.ipv4_no_route += 1
            return None
        return make_path(found.interface, source, target, found.gateway or target)

    def _is_reachable(self, route, target):
        first: uint32_t = target & 255
        # To one host, and not to ourselves: broadcast and multicast need no neighbour, and there is no loopback.
        if first == 0 or first == 127 or first >= 224 or self.is_local(mapped(target)):
            return False
        return route.gateway != 0 or route.interface.is_neighbour(target)

    def next_hop(self, interface, source, target):
        found: Route
        if target == EVERYBODY or interface.is_broadcast(target):
            return EVERYBODY if interface.owns(source) else 0
        found = self.routes.find(target, interface)
        if found is None or not interface.owns(source) or not self._is_reachable(found, target):
            return 0
        return found.gateway or target

    def is_local(self, address):
        interface: Interface
        for interface in self.interfaces:
            if interface.local(ipv4_of(address)) is not None and is_ipv4(address):
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
        """`config`: an InterfaceConfig. The interface receives what the queue's device receives, from now on: all of
        it, or the frames of one VLAN."""
        router = config.parsed_gateway()
        local: LocalAddress
        made: Interface
        untagged: Interface = self._untagged(queue)
        if untagged is None:
            untagged = make_interface(self, queue, queue.device.name)
            queue.set_receiver(untagged)
            self.interfaces.append(untagged)
        made = untagged
        if config.vlan is not None:
            if config.vlan in untagged.vlans:
                raise ValueError(f"{untagged.name} has VLAN {config.vlan} already")
            made = make_vlan(untagged, config.vlan)
            self.interfaces.append(made)
        elif made.locals:
            raise ValueError(f"{made.name} has addresses already")
        for own in config.parsed_addresses():
            if self.is_local(parse_address(own.ip)):
                raise ValueError(f"the address {own.ip} is ours already")
            local = make_local(made, own)
            made.locals.append(local)
            self.routes.add_subnet(local)
            local.begin(config)
        if router is not None:
            self.add_route("default", router, made.name)
        self.routes_changed()
        return made

    def _untagged(self, queue):
        interface: Interface
        for interface in self.interfaces:
            if interface.queue is queue:
                return interface
        return None

    def remove_local(self, local):
        interface: Interface = local.interface
        protocol: cython.int
        used: cython.bint = local.state == PREFERRED
        # Before its users hear of it: what they open then has another address.
        interface.locals.remove(local)
        local.end()
        self.routes.remove_subnet(local)
        interface.choose()
        if used:
            for protocol in range(256):
                if self.transports[protocol] != cython.NULL:
                    cython.cast(Transport, self.transports[protocol]).address_lost(mapped(local.address))
        # Last: until then neighbours stay usable, for resets from the address (RFC 5227, 2.4).
        self.routes_changed()
        return 0

    def keep_header(self, header):
        memcpy(self.header, header, ipv4.header_length(header))
        return self.header

    def count_addresses(self):
        interface: Interface
        several: cython.bint = sum([len(interface.locals) for interface in self.interfaces]) > 1
        for interface in self.interfaces:
            interface.several = several

    def random_time(self, least, greatest):
        if self.entropy is None:
            return greatest
        number: uint32_t = int.from_bytes(self.entropy.random_bytes(4), "little")
        return least + (greatest - least) * number // 0xFFFFFFFF

    def routes_changed(self):
        interface: Interface
        self.routes_version = (self.routes_version + 1) & 0xFFFFFFFF
        # Paths whose neighbour is GONE look for their route again: nothing else is kept of them.
        for interface in self.interfaces:
            interface.neighbours.renew()

    def add_route(self, network, gateway, interface=None):
        config = RouteConfig(str(network), str(gateway))
        over: Interface = self._interface_of(config, interface)
        number: uint32_t = int(config.parsed_network().network_address)
        mask: uint32_t = int(config.parsed_network().netmask)
        router: uint32_t = ipv4_of(parse_address(gateway))
        if self.routes.get(swap32(number), swap32(mask), router, over) is not None:
            raise ValueError(f"the route to {network} via {gateway} is there already")
        self.routes.add(swap32(number), swap32(mask), router, over, None)
        self.routes_changed()

    def remove_route(self, network, gateway, interface=None):
        config = RouteConfig(str(network), str(gateway))
        over: Interface = None if interface is None else self._interface_of(config, interface)
        number: uint32_t = int(config.parsed_network().network_address)
        mask: uint32_t = int(config.parsed_network().netmask)
        found: Route = self.routes.get(swap32(number), swap32(mask), ipv4_of(parse_address(gateway)), over)
        if found is None:
            raise ValueError(f"there is no route to {network} via {gateway}")
        self.routes.remove(found)
        self.routes_changed()

    def _interface_of(self, config, name):
        """The one that has the route's gateway as a neighbour."""
        over: Interface
        router: uint32_t = ipv4_of(parse_address(config.gateway))
        for over in self.interfaces:
            if (name is None or over.name == name) and over.is_neighbour(router):
                return over
        raise ValueError(not_a_neighbour(config.parsed_network(), config.parsed_gateway(), name))

    def route_table(self):
        return [str(found) for found in self.routes.entries]

    def route(self, destination):
        """How a packet to `destination` (str or ipaddress) would go, like `ip route get`."""
        target: uint32_t = ipv4_of(parse_address(destination))
        found: Route = self.routes.find(target, None)
        if found is None or not self._is_reachable(found, target):
            return f"{destination} is unreachable"
        via: str = f" via {format_address(mapped(found.gateway))}" if found.gateway else ""
        source: uint32_t = found.interface.source_for(found.gateway or target)
        return f"{destination}{via} dev {found.interface.name} src {format_address(mapped(source))}"

    def destroy(self):
        """Closes the interfaces; the devices stay open."""
        interface: Interface
        for interface in self.interfaces:
            interface.close()
        self.interfaces = []
        self.routes = Routes.__new__(Routes)
        self.reassembly.close()
        _forget_transports(self)
