"""IPv4: what is received is checked as RFC 1122, 3.2.1, says; what is sent has all its headers prepended in one go."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.iobuf.chain import Chain, extend_header, step_over
from cython.cimports.netapp.iobuf.pool import PLACE_NETWORK, iobuf_t
from cython.cimports.netapp.net.address import ipv4_of, mapped
from cython.cimports.netapp.net.counters import net_counters_t
from cython.cimports.netapp.net.fragmentation import complete_checksum, send_fragments
from cython.cimports.netapp.net.icmp_errors import send_error
from cython.cimports.netapp.net.interface import GROUP, NOT_OURS
from cython.cimports.netapp.net.neighbours import FAILED, GONE
from cython.cimports.netapp.net.transport import LOWER_HEADERS_BYTES, Transport, ip_info_t
from cython.cimports.netapp.wire import ethernet, icmp, ipv4
from cython.cimports.netapp.wire.bytes import load16, raw16, raw32, store16, swap16
from cython.cimports.netapp.wire.checksum import fold, sum_bytes

_live = cython.declare(cython.longlong, 0)


def live_paths():
    """IPv4Path objects alive in this process (the collector does not see them)."""
    return _live


@cython.cfunc
@cython.exceptval(check=False)
def _is_host(address: uint32_t) -> cython.bint:
    """Not 0.0.0.0/8, loopback, multicast, reserved or broadcast (RFC 1122, 3.2.1.3)."""
    first: uint32_t = address & 255
    return first != 0 and first != 127 and first < 224


@cython.cfunc
@cython.exceptval(-1)
def _refuse_options(
    counters: cython.pointer(net_counters_t), frame: Chain, info: cython.pointer(ip_info_t)
) -> cython.bint:
    """Steps over options, of which the transports need none (RFC 1122, 3.2.1.8); True: the packet is to be dropped."""
    option: cython.pointer(cython.const[uint8_t]) = info.header + ipv4.HEADER_BYTES_MIN
    end: cython.pointer(cython.const[uint8_t]) = info.header + ipv4.header_length(info.header)
    while option < end and option[0] != ipv4.OPTION_END:
        if option[0] == ipv4.OPTION_NOP:
            option += 1
            continue
        # The sender must not choose the way (RFC 7126, 4.3 and 4.4), nor where we reply to (RFC 1122, 3.2.1.8).
        if option[0] == ipv4.OPTION_LOOSE_SOURCE_ROUTE or option[0] == ipv4.OPTION_STRICT_SOURCE_ROUTE:
            counters.ipv4_source_routed += 1
            return True
        if end - option < 2 or option[1] < 2 or option[1] > end - option:
            counters.ipv4_bad_options += 1
            # RFC 1122, 3.2.2.5: the pointer is to the byte that is wrong.
            send_error(frame, info, icmp.TYPE_PARAMETER_PROBLEM, 0, cython.cast(uint32_t, option - info.header) << 24)
            return True
        option += option[1]
    return False


@cython.cfunc
@cython.exceptval(-1)
def _receive_fragment(
    interface: Interface, frame: Chain, transport: cython.pointer(PyObject), info: cython.pointer(ip_info_t)
) -> cython.int:
    whole: Chain = interface.manager.reassembly.fragment_arrives(interface, frame, info)
    if whole is None:
        return 0
    return cython.cast(Transport, transport).receive_packet(whole, info)


def receive_ipv4(interface, frame, to_group):
    counters: cython.pointer(net_counters_t) = interface.counters
    head: cython.pointer(iobuf_t) = frame.head
    header: cython.pointer(uint8_t) = head.data + ethernet.HEADER_BYTES
    length: uint64_t = frame.length - ethernet.HEADER_BYTES
    reason: cython.int
    found: cython.int
    header_length: uint32_t
    total_length: uint32_t
    source: uint32_t
    destination: uint32_t
    info: ip_info_t
    transport: cython.pointer(PyObject)

    counters.ipv4_received += 1
    reason = ipv4.check(header, head.length - ethernet.HEADER_BYTES, length)
    if reason:
        (cython.address(counters.ipv4_truncated))[reason - 1] += 1
        return 0
    header_length = ipv4.header_length(header)
    source = raw32(header + ipv4.OFFSET_SOURCE)
    destination = raw32(header + ipv4.OFFSET_DESTINATION)

    # RFC 1122, 3.2.1.3: a source is one host, and not us.
    if (
        not _is_host(source)
        or source == interface.ipv4
        or source == interface.broadcast
        or (interface.several and interface.is_strange(source))
    ):
        counters.ipv4_bad_source += 1
        return 0
    if destination == interface.ipv4:
        # RFC 1122, 3.3.6: what goes to everybody on the link must say so in IP too. 0.0.0.0 is that of an interface
        # without an address.
        if to_group or destination == 0:
            counters.ipv4_link_broadcast += 1
            return 0
    else:
        found = interface.destination(destination, to_group)
        if found == NOT_OURS:
            return 0
        to_group = found == GROUP
    # A time to live of 0 or 1 is of no concern to the destination (RFC 1122, 3.2.1.7).

    info.key.remote = mapped(source)
    info.key.local = mapped(destination)
    info.multicast = to_group
    total_length = load16(header + ipv4.OFFSET_TOTAL_LENGTH)
    if length != total_length:
        frame.trim(length - total_length)
    header_length += ethernet.HEADER_BYTES
    if head.length > header_length:
        head.data += header_length
        head.length -= header_length
        frame.length -= header_length
    else:
        # The view goes, and its slot may.
        header = cython.cast(cython.pointer(uint8_t), interface.manager.keep_header(header))
        frame.advance(header_length)
    info.header = header
    if header_length != LOWER_HEADERS_BYTES:
        if _refuse_options(counters, frame, cython.address(info)):
            return 0
    transport = interface.manager.transports[header[ipv4.OFFSET_PROTOCOL]]
    if transport == cython.NULL:
        counters.ipv4_unknown_protocol += 1
        # RFC 1122, 3.2.2.1
        return send_error(frame, cython.address(info), icmp.TYPE_UNREACHABLE, icmp.CODE_PROTOCOL_UNREACHABLE, 0)
    if load16(header + ipv4.OFFSET_FRAGMENT) & (ipv4.MORE_FRAGMENTS | ipv4.FRAGMENT_OFFSET):
        return _receive_fragment(interface, frame, transport, cython.address(info))
    return cython.cast(Transport, transport).receive_packet(frame, cython.address(info))


@cython.no_gc
@cython.freelist(64)
@cython.cclass
class IPv4Path:
    def __cinit__(self):
        global _live
        _live += 1

    def __dealloc__(self):
        global _live
        _live -= 1

    def send(self, packet, protocol):
        length: uint64_t = packet.length - ethernet.HEADER_BYTES
        at: cython.pointer(uint8_t) = packet.head.data
        stored: uint16_t
        counters: cython.pointer(net_counters_t) = self.interface.counters
        if length > 65535:
            counters.ipv4_oversized += 1
            packet.advance(packet.length)
            return True
        memcpy(at, self.neighbour.header, ethernet.HEADER_BYTES)
        at += ethernet.HEADER_BYTES
        memcpy(at, self.header, ipv4.HEADER_BYTES_MIN)
        store16(at + ipv4.OFFSET_TOTAL_LENGTH, cython.cast(uint16_t, length))
        at[ipv4.OFFSET_PROTOCOL] = protocol
        # The identification stays 0: nobody may cut this packet (RFC 6864, 4.1).
        stored = ~fold(self.header_sum + raw16(at + ipv4.OFFSET_TOTAL_LENGTH) + swap16(protocol))
        memcpy(at + ipv4.OFFSET_CHECKSUM, cython.address(stored), 2)
        counters.ipv4_sent += 1
        if not self.neighbour.usable:
            return self._send_unresolved(packet)
        return self.interface.queue.transmit(packet)

    def _send_behind_headers(self, packet, protocol):
        if extend_header(packet, LOWER_HEADERS_BYTES, PLACE_NETWORK) == cython.NULL:
            self.interface.counters.transmit_exhausted += 1
            packet.advance(packet.length)
            return True
        if packet.offload.flags or packet.offload.gso_type:
            packet.offload.csum_start += LOWER_HEADERS_BYTES
            packet.offload.header_length += LOWER_HEADERS_BYTES
        if self.send(packet, protocol):
            return True
        step_over(packet, LOWER_HEADERS_BYTES)
        return False

    def send_datagram(self, packet, protocol, dont_fragment):
        length: uint64_t = packet.length + ipv4.HEADER_BYTES_MIN
        mtu: uint32_t = self.refresh_mtu()
        identification: uint16_t
        # A device makes whole datagrams of one.
        if packet.offload.gso_type:
            return self._send_behind_headers(packet, protocol)
        if dont_fragment:
            if length > mtu:
                self.interface.counters.ipv4_too_big += 1
                packet.advance(packet.length)
                return True
            return self._send_behind_headers(packet, protocol)
        if length > 65535:
            self.interface.counters.ipv4_oversized += 1
            packet.advance(packet.length)
            return True
        identification = self.interface.manager.identifications.take(
            ipv4_of(self.source), ipv4_of(self.destination), protocol
        )
        if length <= mtu:
            return self.send_piece(packet, protocol, identification, 0)
        complete_checksum(packet)
        return send_fragments(self, packet, protocol, identification, mtu)

    def send_piece(self, packet, protocol, identification, fragment):
        at: cython.pointer(uint8_t) = extend_header(packet, LOWER_HEADERS_BYTES, PLACE_NETWORK)
        stored: uint16_t
        if at == cython.NULL:
            self.interface.counters.transmit_exhausted += 1
            packet.advance(packet.length)
            return True
        memcpy(at, self.neighbour.header, ethernet.HEADER_BYTES)
        at += ethernet.HEADER_BYTES
        memcpy(at, self.header, ipv4.HEADER_BYTES_MIN)
        store16(at + ipv4.OFFSET_TOTAL_LENGTH, cython.cast(uint16_t, packet.length - ethernet.HEADER_BYTES))
        store16(at + ipv4.OFFSET_IDENTIFICATION, identification)
        store16(at + ipv4.OFFSET_FRAGMENT, fragment)
        at[ipv4.OFFSET_PROTOCOL] = protocol
        stored = ~fold(sum_bytes(at, ipv4.HEADER_BYTES_MIN, 0))
        memcpy(at + ipv4.OFFSET_CHECKSUM, cython.address(stored), 2)
        if packet.offload.flags:
            packet.offload.csum_start += LOWER_HEADERS_BYTES
            packet.offload.header_length += LOWER_HEADERS_BYTES
        self.interface.counters.ipv4_sent += 1
        if self.interface.queue.transmit(packet) if self.neighbour.usable else self._send_unresolved(packet):
            return True
        step_over(packet, LOWER_HEADERS_BYTES)
        return False

    def refresh_mtu(self):
        self.mtu = self.interface.manager.path_mtus.get(ipv4_of(self.destination), self.interface.mtu, events().now)
        return self.mtu

    def _send_unresolved(self, packet):
        interface: Interface = self.interface
        next_hop: uint32_t
        if interface.closed:
            interface.counters.ipv4_interface_closed += 1
            packet.advance(packet.length)
            return True
        # The routes have changed, or the neighbour does not answer: another gateway may be the better way now.
        if self.neighbour.state == GONE or self.neighbour.state == FAILED:
            next_hop = interface.manager.next_hop(interface, ipv4_of(self.source), ipv4_of(self.destination))
            if next_hop == 0:
                interface.counters.ipv4_no_route += 1
                packet.advance(packet.length)
                return True
            self.neighbour = interface.neighbours.obtain(next_hop)
        return interface.neighbours.send(self.neighbour, packet)

    def mark(self, ttl, traffic_class):
        self.header[ipv4.OFFSET_TTL] = ttl
        self.header[ipv4.OFFSET_TRAFFIC_CLASS] = traffic_class
        self.header_sum = sum_bytes(self.header, ipv4.HEADER_BYTES_MIN, 0)
        return 0

    def doubt(self):
        if self.neighbour.state != GONE:
            self.interface.neighbours.doubt(self.neighbour)
        return 0


def make_path(interface, source, destination, next_hop):
    path: IPv4Path = IPv4Path.__new__(IPv4Path)
    path.interface = interface
    path.features = interface.features
    path.source = mapped(source)
    path.destination = mapped(destination)
    path.neighbour = interface.neighbours.obtain(next_hop)
    ipv4.write(path.header, source, destination, 0, ipv4.HEADER_BYTES_MIN, 0, 0, ipv4.DONT_FRAGMENT, DEFAULT_TTL, 0)
    path.header_sum = sum_bytes(path.header, ipv4.HEADER_BYTES_MIN, 0)
    path.refresh_mtu()
    return path
