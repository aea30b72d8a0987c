"""Interfaces. The way of a received frame begins here."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.drivers.device import Device
from cython.cimports.netapp.iobuf.chain import step_over
from cython.cimports.netapp.iobuf.pool import iobuf_t
from cython.cimports.netapp.net.address import format_address, mapped
from cython.cimports.netapp.net.ipv4 import receive_ipv4
from cython.cimports.netapp.net.local import PREFERRED
from cython.cimports.netapp.net.tagging import make_tagging_queue
from cython.cimports.netapp.wire import ethernet, vlan
from cython.cimports.netapp.wire.bytes import load16


class Interface:
    def local(self, address):
        found: LocalAddress
        for found in self.locals:
            if found.address == address:
                return found
        return None

    def owns(self, address):
        found: LocalAddress
        for found in self.locals:
            if found.address == address:
                return found.state == PREFERRED
        return False

    def is_broadcast(self, address):
        found: LocalAddress
        for found in self.locals:
            if found.broadcast == address:
                return True
        return False

    def is_neighbour(self, address):
        found: LocalAddress
        on_subnet: cython.bint = False
        for found in self.locals:
            if found.covers(address):
                # The subnet's own address was broadcast once (RFC 1122, 3.3.6).
                if (
                    address == found.address
                    or address == found.broadcast
                    or (found.prefix_length < 31 and address == found.address & found.netmask)
                ):
                    return False
                on_subnet = True
        return on_subnet

    def source_for(self, next_hop):
        found: LocalAddress
        for found in self.locals:
            if found.state == PREFERRED and found.covers(next_hop):
                return found.address
        return self.ipv4

    def is_strange(self, source):
        return self.manager.is_local(mapped(source)) or self.is_broadcast(source)

    def destination(self, address, to_group):
        if self.several and self.owns(address):
            if to_group:
                self.counters.ipv4_link_broadcast += 1
                return NOT_OURS
            return OURS
        # 255.255.255.255; 224.0.0.1
        if self.ipv4 != 0 and (
            address == ~cython.cast(uint32_t, 0) or address == 224 | 1 << 24 or self.is_broadcast(address)
        ):
            return GROUP
        # The strong model (RFC 1122, 3.3.4.2): an address is reached over its interface only …
        if self.several and self.manager.is_local(mapped(address)):
            self.counters.ipv4_other_interface += 1
        else:
            # … and nothing is forwarded.
            self.counters.ipv4_not_ours += 1
        return NOT_OURS

    def receive_frame(self, frame):
        counters: cython.pointer(net_counters_t) = self.counters
        head: cython.pointer(iobuf_t) = frame.head
        destination: uint64_t
        ethertype: uint16_t
        to_group: cython.bint = False
        counters.frames_received += 1
        if head == cython.NULL or ethernet.check(head.data, head.length):
            counters.frames_truncated += 1
            return 0
        destination = ethernet.address_at(head.data)
        if destination != self.link_address:
            # Of groups only 224.0.0.1, which every host belongs to (RFC 1112, 4).
            if not ethernet.is_broadcast(destination) and not ethernet.is_all_hosts(destination):
                counters.frames_not_ours += 1
                return 0
            to_group = True
        ethertype = load16(head.data + ethernet.OFFSET_ETHERTYPE)
        if ethertype == ethernet.ETHERTYPE_IPV4:
            return receive_ipv4(self, frame, to_group)
        if ethertype == vlan.TAG_TYPE:
            return self._receive_tagged(frame, to_group)
        return self._receive(frame, ethertype, to_group)

    def _receive_tagged(self, frame, to_group):
        head: cython.pointer(iobuf_t) = frame.head
        tag: cython.pointer(uint8_t) = head.data + ethernet.HEADER_BYTES
        to: Interface = self
        identifier: uint16_t
        addresses: uint8_t[12]
        if vlan.check(tag, head.length - ethernet.HEADER_BYTES):
            self.counters.frames_truncated += 1
            return 0
        identifier = vlan.identifier(tag)
        # A tag with identifier 0 says the priority only (IEEE 802.1Q, 6.9).
        if identifier != 0:
            to = self.vlans.get(identifier)
            if to is None:
                self.counters.frames_unknown_vlan += 1
                return 0
        # From here on the frame looks as if it had no tag. A capture that holds the slot keeps what it has seen.
        if writable(head):
            memcpy(addresses, head.data, 12)
            step_over(frame, vlan.HEADER_BYTES)
            memcpy(frame.head.data, addresses, 12)
        else:
            step_over(frame, vlan.HEADER_BYTES)
        return to._receive(frame, load16(tag + vlan.OFFSET_ETHERTYPE), to_group)

    def _receive(self, frame, ethertype, to_group):
        if ethertype == ethernet.ETHERTYPE_IPV4:
            return receive_ipv4(self, frame, to_group)
        if ethertype == ethernet.ETHERTYPE_ARP:
            return self.neighbours.receive_arp(frame)
        self.counters.frames_unknown_type += 1
        return 0

    def transmit(self, frame):
        if self.queue.transmit(frame):
            return True
        self.counters.transmit_full += 1
        return False

    def choose(self):
        found: LocalAddress
        self.ipv4 = self.netmask = 0
        self.broadcast = ~cython.cast(uint32_t, 0)
        for found in self.locals:
            if found.state == PREFERRED:
                self.ipv4 = found.address
                self.netmask = found.netmask
                self.broadcast = found.broadcast
                break
        self.manager.count_addresses()

    def close(self):
        found: LocalAddress
        self.closed = True
        if self.vlan == 0:
            self.queue.set_receiver(None)
        for found in self.locals:
            found.end()
        self.vlans = {}
        self.neighbours.close()

    @property
    def addresses(self):
        """Those in use, with their prefix lengths, as text; the first one is that of what has no reason for another."""
        found: LocalAddress
        return [
            f"{format_address(mapped(found.address))}/{found.prefix_length}"
            for found in self.locals
            if found.state == PREFERRED
        ]

    @property
    def address(self):
        """The first address in use; None: there is none."""
        return next(iter(self.addresses), None)

    @property
    def mac(self):
        return cython.cast(bytes, self.link_bytes[:6]).hex(":")

    def __repr__(self):
        return f"<Interface {' '.join([self.name, *self.addresses])}>"


def make_interface(manager, queue, name):
    made: Interface = Interface.__new__(Interface)
    device: Device = queue.device
    mac: bytes = device.mac
    made.name = name
    made.mtu = device.mtu
    made.features = device.features
    made.queue = queue
    made.manager = manager
    made.counters = cython.address(manager.values)
    memcpy(made.link_bytes, PyBytes_AS_STRING(mac), 6)
    made.link_address = ethernet.address_at(made.link_bytes)
    made.broadcast = ~cython.cast(uint32_t, 0)
    made.locals = []
    made.vlans = {}
    made.neighbours = Neighbours.__new__(Neighbours, made)
    return made


def make_vlan(untagged, identifier):
    # The MTU stays: frames with a tag may be 4 bytes longer (IEEE 802.3, 3.2.7).
    made: Interface = make_interface(
        untagged.manager, make_tagging_queue(untagged.queue, identifier), f"{untagged.name}.{identifier}"
    )
    made.vlan = identifier
    untagged.vlans[identifier] = made
    return made
