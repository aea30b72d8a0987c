"""ICMP errors, in and out."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.iobuf.chain import new_chain
from cython.cimports.netapp.iobuf.mix import mix
from cython.cimports.netapp.iobuf.pool import PLACE_NETWORK
from cython.cimports.netapp.net.address import ipv4_of, mapped
from cython.cimports.netapp.net.counters import net_counters_t
from cython.cimports.netapp.net.interface import Interface
from cython.cimports.netapp.net.manager import network
from cython.cimports.netapp.net.path_mtu import LEAST_MTU, plateau_below
from cython.cimports.netapp.net.transport import Path, Transport, icmp_error_t
from cython.cimports.netapp.wire import icmp, ipv4
from cython.cimports.netapp.wire.bytes import load16, raw32
from cython.cimports.netapp.wire.checksum import fold, sum_chain

_SECOND = cython.declare(uint64_t, 1_000_000_000)
_AT_ONCE_ALL = cython.declare(uint64_t, 50)
_INTERVAL_ALL = cython.declare(uint64_t, 1_000_000)
_AT_ONCE = cython.declare(uint64_t, 6)
# RFC 1812, 4.3.2.3: as much of the packet as fits.
_ERROR_BYTES = cython.declare(uint32_t, 576)
# Of a message: its header and of what it quotes the longest IP header and that of a transport.
_MESSAGE_BYTES = cython.declare(uint32_t, 128)


class ErrorLimit:
    def __cinit__(self, secret: bytes):
        self.secret[0] = int.from_bytes(secret[:8], "little")
        self.secret[1] = int.from_bytes(secret[8:16], "little")

    def take(self, destination, now):
        bucket: uint32_t = mix(destination ^ self.secret[0], self.secret[1]) % DESTINATIONS
        full: uint64_t = self.next[bucket] if self.next[bucket] > now else now
        full_all: uint64_t = self.next_all if self.next_all > now else now
        if full - now > (_AT_ONCE - 1) * _SECOND or full_all - now > (_AT_ONCE_ALL - 1) * _INTERVAL_ALL:
            return False
        self.next[bucket] = full + _SECOND
        self.next_all = full_all + _INTERVAL_ALL
        return True


@cython.cfunc
@cython.exceptval(check=False)
def _is_query(type: uint8_t) -> cython.bint:
    """Echo, router discovery, timestamp, information, address mask: no error (RFC 1122, 3.2.2)."""
    return type == icmp.TYPE_ECHO_REPLY or 8 <= type <= 10 or 13 <= type <= 18


def send_error(packet, info, type, code, rest):
    manager: NetworkManager = network()
    counters: cython.pointer(net_counters_t) = cython.address(manager.values)
    header_length: uint32_t = ipv4.header_length(info.header)
    quoted: uint64_t = _ERROR_BYTES - ipv4.HEADER_BYTES_MIN - icmp.HEADER_BYTES - header_length
    first: uint8_t = 0
    checksum: uint16_t
    error: Chain
    path: Path
    at: cython.pointer(uint8_t)
    # RFC 1122, 3.2.2: none about what went to many, about a fragment that is not the first, about an error. (What has
    # no single host as its source was dropped on its way here.)
    if info.multicast or load16(info.header + ipv4.OFFSET_FRAGMENT) & ipv4.FRAGMENT_OFFSET:
        counters.icmp_errors_forbidden += 1
        return 0
    if info.header[ipv4.OFFSET_PROTOCOL] == ipv4.PROTOCOL_ICMP:
        if packet.length:
            packet.copy_out(0, cython.address(first), 1)
        if packet.length == 0 or not _is_query(first):
            counters.icmp_errors_forbidden += 1
            return 0
    # RFC 1122, 3.2.2 (as RFC 1812, 4.3.2.8): limited, or we could be made to flood somebody.
    if not manager.error_limit.take(ipv4_of(info.key.remote), events().now):
        counters.icmp_errors_limited += 1
        return 0
    path = manager.path_between(info.key.local, info.key.remote)
    if path is None:
        return 0
    if quoted > packet.length:
        quoted = packet.length
    error = new_chain()
    if quoted and not error.append_range(packet.head, 0, quoted):
        counters.transmit_exhausted += 1
        return 0
    at = error.prepend(icmp.HEADER_BYTES + header_length, PLACE_NETWORK)
    if at == cython.NULL:
        counters.transmit_exhausted += 1
        return 0
    icmp.write(at, type, code, rest)
    memcpy(at + icmp.HEADER_BYTES, info.header, header_length)
    checksum = ~fold(sum_chain(error, 0, 0))
    memcpy(at + icmp.OFFSET_CHECKSUM, cython.address(checksum), 2)
    if path.send_datagram(error, ipv4.PROTOCOL_ICMP, False):
        counters.icmp_errors_sent += 1
    else:
        counters.transmit_full += 1
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _mtu_of(manager: NetworkManager, source: uint32_t) -> uint32_t:
    """Of the interface that has the address `source`; 0: none."""
    interface: Interface
    for interface in manager.interfaces:
        if interface.owns(source):
            return interface.mtu
    return 0


def error_received(manager, packet, info):
    counters: cython.pointer(net_counters_t) = cython.address(manager.values)
    message: uint8_t[128]
    quoted: cython.pointer(uint8_t) = message + icmp.HEADER_BYTES
    length: uint64_t = packet.length
    header_length: uint32_t
    total_length: uint32_t
    current: uint32_t
    error: icmp_error_t
    transport: cython.pointer(PyObject)
    counters.icmp_errors_received += 1
    if length > _MESSAGE_BYTES:
        length = _MESSAGE_BYTES
    packet.copy_out(0, message, length)
    length -= icmp.HEADER_BYTES
    # RFC 1122, 3.2.2: the header and 8 bytes of data at least. The header's checksum is of no use: routers quote it
    # before and after they changed the time to live.
    if length < ipv4.HEADER_BYTES_MIN or quoted[ipv4.OFFSET_VERSION] >> 4 != 4:
        counters.icmp_errors_malformed += 1
        return 0
    header_length = ipv4.header_length(quoted)
    total_length = load16(quoted + ipv4.OFFSET_TOTAL_LENGTH)
    if header_length < ipv4.HEADER_BYTES_MIN or length < header_length + 8 or total_length < header_length + 8:
        counters.icmp_errors_malformed += 1
        return 0
    # An error comes to where the packet came from, and about its first fragment (RFC 792).
    if info.multicast or raw32(quoted + ipv4.OFFSET_SOURCE) != ipv4_of(info.key.local):
        counters.icmp_errors_not_ours += 1
        return 0
    if load16(quoted + ipv4.OFFSET_FRAGMENT) & ipv4.FRAGMENT_OFFSET:
        counters.icmp_errors_fragment += 1
        return 0
    transport = manager.transports[quoted[ipv4.OFFSET_PROTOCOL]]
    if transport == cython.NULL:
        counters.icmp_errors_unmatched += 1
        return 0
    error.source = info.key.local
    error.destination = mapped(raw32(quoted + ipv4.OFFSET_DESTINATION))
    error.reporter = info.key.remote
    error.header = quoted + header_length
    error.length = cython.cast(uint32_t, length) - header_length
    if error.length > total_length - header_length:
        # What follows is not of the packet (RFC 4884 puts extensions there).
        error.length = total_length - header_length
    error.type = message[icmp.OFFSET_TYPE]
    error.code = message[icmp.OFFSET_CODE]
    error.mtu = 0
    if error.type == icmp.TYPE_UNREACHABLE and error.code == icmp.CODE_FRAGMENTATION_NEEDED:
        current = manager.path_mtus.get(
            ipv4_of(error.destination), _mtu_of(manager, ipv4_of(error.source)), events().now
        )
        error.mtu = load16(message + icmp.OFFSET_REST + 2)
        if error.mtu == 0:
            # A router from before RFC 1191 (section 5).
            error.mtu = plateau_below(total_length if total_length < current else current)
        if error.mtu < LEAST_MTU:
            error.mtu = LEAST_MTU
        # Never more than it is now (RFC 1191, 3); and what was short enough did not need to be cut.
        if error.mtu > current:
            error.mtu = current
        if error.mtu >= total_length:
            counters.icmp_errors_bad_mtu += 1
            return 0
    if cython.cast(Transport, transport).error_arrives(cython.address(error)) == 0:
        counters.icmp_errors_unmatched += 1
        return 0
    counters.icmp_errors_accepted += 1
    if error.mtu:
        manager.path_mtus.lower(ipv4_of(error.destination), error.mtu, events().now)
    return 0
