"""Interfaces. The way of a received frame begins here."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.drivers.device import Device
from cython.cimports.netapp.iobuf.pool import iobuf_t
from cython.cimports.netapp.net.address import format_address, mapped
from cython.cimports.netapp.net.ipv4 import receive_ipv4
from cython.cimports.netapp.wire import ethernet
from cython.cimports.netapp.wire.bytes import load16, swap32


class Interface:
    def is_neighbour(self, address):
        # The subnet's own address was broadcast once (RFC 1122, 3.3.6).
        if (address ^ self.ipv4) & self.netmask or address == self.ipv4 or address == self.broadcast:
            return False
        return self.prefix_length >= 31 or address != self.ipv4 & self.netmask

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
        if ethertype == ethernet.ETHERTYPE_ARP:
            return self.neighbours.receive_arp(frame)
        counters.frames_unknown_type += 1
        return 0

    def transmit(self, frame):
        if self.queue.transmit(frame):
            return True
        self.counters.transmit_full += 1
        return False

    def close(self):
        self.closed = True
        self.queue.set_receiver(None)
        self.neighbours.close()

    @property
    def address(self):
        """With the prefix length, as text."""
        return f"{format_address(mapped(self.ipv4))}/{self.prefix_length}"

    @property
    def mac(self):
        return cython.cast(bytes, self.link_bytes[:6]).hex(":")

    def __repr__(self):
        return f"<Interface {self.name} {self.address}>"


def make_interface(manager, queue, address, name):
    """`address`: an ipaddress.IPv4Interface."""
    made: Interface = Interface.__new__(Interface)
    device: Device = queue.device
    mac: bytes = device.mac
    number: uint32_t
    made.name = name
    made.mtu = device.mtu
    made.features = device.features
    made.queue = queue
    made.manager = manager
    made.counters = cython.address(manager.values)
    memcpy(made.link_bytes, PyBytes_AS_STRING(mac), 6)
    made.link_address = ethernet.address_at(made.link_bytes)
    made.prefix_length = address.network.prefixlen
    number = int(address.ip)
    made.ipv4 = swap32(number)
    number = int(address.netmask)
    made.netmask = swap32(number)
    # A subnet of two hosts, or of one, has no broadcast address (RFC 3021).
    made.broadcast = made.ipv4 | ~made.netmask if made.prefix_length < 31 else ~cython.cast(uint32_t, 0)
    made.neighbours = Neighbours.__new__(Neighbours, made)
    queue.set_receiver(made)
    return made
