"""The UDP Ebb: where datagrams and ICMP errors find their socket, and where sockets begin."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno
import os

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, CHECKSUM_VALID, GSO_UDP_L4, Chain, step_over
from cython.cimports.netapp.iobuf.keys import KeyTable
from cython.cimports.netapp.iobuf.mix import mix
from cython.cimports.netapp.net.address import address_t, format_address, ipv4_of, parse_address, same
from cython.cimports.netapp.net.icmp_errors import send_error
from cython.cimports.netapp.net.ipv4 import DEFAULT_TTL
from cython.cimports.netapp.net.key import key_t
from cython.cimports.netapp.net.manager import NetworkManager, network
from cython.cimports.netapp.net.ports import FIRST_PORT, KEY_BYTES, PORTS, port_offset
from cython.cimports.netapp.net.transport import Path, icmp_error_t, ip_info_t
from cython.cimports.netapp.net.udp_socket import (
    Endpoint,
    UdpHandler,
    UdpSocket,
    bind_class,
    end,
    hand_up,
    tell_error,
    tell_writable,
)
from cython.cimports.netapp.wire import icmp, ipv4
from cython.cimports.netapp.wire import udp as wire
from cython.cimports.netapp.wire.bytes import load16
from cython.cimports.netapp.wire.checksum import fold, sum_chain, sum_pseudo_header

from netapp.ebb.core import EbbError

COUNTERS = (
    "datagrams_in",
    "datagrams_out",
    "unchecked",
    "cut_in",
    "cut_out",
    "errors_in",
    "errors_unmatched",
    "callback_exceptions",
    "exhausted",
    "transmit_full",
    "replies_undeliverable",
    "dropped_short",
    "dropped_length",
    "dropped_checksum",
    "dropped_no_socket",
    "dropped_broadcast",
)

# By code of a Destination Unreachable (RFC 792; RFC 1122, 3.2.2.1).
_UNREACHABLE = {
    0: errno.ENETUNREACH,
    2: errno.ECONNREFUSED,
    3: errno.ECONNREFUSED,
    4: errno.EMSGSIZE,
    6: errno.ENETUNREACH,
    9: errno.ENETUNREACH,
    11: errno.ENETUNREACH,
}


def new_path(socket, destination):
    manager: NetworkManager = network()
    found: Path = manager.broadcast_path(socket.key.local, destination)
    if found is None:
        if socket.key.local.low:
            found = manager.path_between(socket.key.local, destination)
        else:
            found = manager.path(destination)
    if found is not None and (socket.ttl != DEFAULT_TTL or socket.traffic_class):
        found.mark(socket.ttl, socket.traffic_class)
    return found


class UdpRetry:
    def poll(self, budget):
        s: UdpSocket
        waiting: list = self.udp.blocked
        self.udp.blocked = []
        for s in waiting:
            s.blocked = False
            if not s.ended:
                tell_writable(s)
        # A handler may have ended the node.
        if self.udp is None or not self.udp.blocked:
            events().stop_polling(self)
        return 0


class UdpManager:
    def __init__(self, entropy):
        """`entropy`: the platform's, for ports and the table's hash."""
        secret: bytes = entropy.random_bytes(34)
        self.table = KeyTable(secret[:16])
        self.secret[0] = int.from_bytes(secret[16:24], "little")
        self.secret[1] = int.from_bytes(secret[24:32], "little")
        self.next_port = int.from_bytes(secret[32:34], "little")
        self.ports = {}
        self.blocked = []
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.counts))
        self.counter_names = COUNTERS
        self.retry = UdpRetry()
        self.retry.udp = self
        self.transport = UdpTransport()
        self.transport.udp = self

    def begin(self):
        network().register_transport(ipv4.PROTOCOL_UDP, self.transport)

    def may_be_replaced(self, new):
        raise EbbError("the UDP manager cannot be replaced: sockets belong to it")

    def __dealloc__(self):
        _forget_paths(self)

    def destroy(self):
        """Ends every socket; each handler hears of it."""
        s: UdpSocket
        network().register_transport(ipv4.PROTOCOL_UDP, None)
        while self.table.count:
            for s in self.sockets():
                end(s, ConnectionAbortedError("the node is shutting down"))
        if self.blocked:
            events().stop_polling(self.retry)
            self.blocked = []
        self.packet = None
        self.transport.udp = None
        self.retry.udp = None
        _forget_paths(self)

    # --- for appliances ------------------------------------------------------------------------------------------

    def bind(
        self, port: int, handler, address=None, broadcast=False, ttl=DEFAULT_TTL, traffic_class=0, dont_fragment=False
    ) -> UdpSocket:
        """A socket on `port` (0: one that is free), of one of our addresses or of all. `broadcast`: it receives what is
        sent to everybody on the link, too, and may send so. `dont_fragment`: what is longer than the path MTU is
        refused, not cut. Raises OSError when the port is taken, ValueError for a
        port or address that is none."""
        key: key_t
        if not 0 <= port < 65536:
            raise ValueError(f"{port} is no port: 1 to 65535, or 0 for a free one")
        memset(cython.address(key), 0, cython.sizeof(key))
        if address is not None:
            key.local = _own_address(address)
        if port:
            key.ports = port
            if _exact(self, cython.address(key)) is not None:
                raise OSError(errno.EADDRINUSE, f"port {port} has a socket already")
        else:
            _choose_port(self, cython.address(key))
        return _open(self, cython.address(key), handler, broadcast, ttl, traffic_class, dont_fragment)

    def connect(
        self,
        address,
        port: int,
        handler,
        local_port: int = 0,
        local_address=None,
        broadcast=False,
        ttl=DEFAULT_TTL,
        traffic_class=0,
        dont_fragment=False,
    ) -> UdpSocket:
        """A socket with a peer: send() goes there, and only what comes from there is received. No packet is exchanged.
        Raises OSError: no route, no port free, port taken; ValueError for a port or address that is none."""
        key: key_t
        s: UdpSocket
        path: Path
        if not 0 < port < 65536 or not 0 <= local_port < 65536:
            raise ValueError(f"{port if local_port == 0 else local_port} is no port: 1 to 65535")
        memset(cython.address(key), 0, cython.sizeof(key))
        key.remote = parse_address(address)
        if local_address is not None:
            key.local = _own_address(local_address)
        s = UdpSocket.__new__(UdpSocket)
        s.key = key
        s.ttl = DEFAULT_TTL
        path = new_path(s, key.remote)
        if path is None:
            raise OSError(errno.ENETUNREACH, f"no route to {address}")
        if path.broadcast and not broadcast:
            raise OSError(errno.EACCES, f"{address} is a broadcast address: connect with broadcast=True")
        key.local = path.source
        key.ports = cython.cast(uint32_t, port) << 16 | cython.cast(uint32_t, local_port)
        if not local_port:
            _choose_port(self, cython.address(key))
        elif _exact(self, cython.address(key)) is not None:
            raise OSError(errno.EADDRINUSE, f"port {local_port} has a socket for {address}:{port} already")
        return _open(self, cython.address(key), handler, broadcast, ttl, traffic_class, dont_fragment)

    def sockets(self):
        """All of them."""
        return list(self.table)

    # --- for the rest of UDP -------------------------------------------------------------------------------------

    def find(self, key):
        other: key_t
        found = None
        if self.connected:
            found = self.table.find(cython.cast(cython.pointer(uint8_t), key), KEY_BYTES)
            if found is not None:
                return cython.cast(UdpSocket, found)
        memset(cython.address(other), 0, cython.sizeof(other))
        other.ports = key.ports & 0xFFFF
        if self.addressed:
            other.local = key.local
            found = self.table.find(cython.cast(cython.pointer(uint8_t), cython.address(other)), KEY_BYTES)
            if found is not None:
                return cython.cast(UdpSocket, found)
            other.local.high = 0
            other.local.low = 0
        found = self.table.find(cython.cast(cython.pointer(uint8_t), cython.address(other)), KEY_BYTES)
        return None if found is None else cython.cast(UdpSocket, found)

    def path(self, socket, destination):
        marks: uint32_t = cython.cast(uint32_t, socket.ttl) << 8 | socket.traffic_class
        entry: cython.pointer(path_entry_t) = cython.address(
            self.paths[mix(destination.low ^ self.secret[0], socket.key.local.low ^ marks ^ self.secret[1]) % PATHS]
        )
        made: Path
        if self.routes_version != network().routes_version:
            self.routes_version = network().routes_version
            _forget_paths(self)
        if (
            entry.path != cython.NULL
            and same(entry.destination, destination)
            and same(entry.source, socket.key.local)
            and entry.marks == marks
        ):
            return cython.cast(Path, entry.path)
        made = new_path(socket, destination)
        if made is not None:
            if entry.path != cython.NULL:
                Py_DECREF(cython.cast(object, entry.path))
            Py_INCREF(made)
            entry.path = cython.cast(cython.pointer(PyObject), made)
            entry.destination = destination
            entry.source = socket.key.local
            entry.marks = marks
        return made

    def sends_to(self, destination):
        i: cython.int
        for i in range(PATHS):
            if self.paths[i].path != cython.NULL and same(self.paths[i].destination, destination):
                return True
        return False

    def block(self, socket):
        if not socket.blocked:
            socket.blocked = True
            if not self.blocked:
                events().start_polling(self.retry)
            self.blocked.append(socket)
        return 0

    def forget(self, socket):
        port: uint32_t = socket.key.ports & 0xFFFF
        self.table.remove(socket)
        if self.ports[port] == 1:
            del self.ports[port]
        else:
            self.ports[port] -= 1
        if socket.is_connected():
            self.connected -= 1
        elif socket.key.local.low:
            self.addressed -= 1
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def _forget_paths(manager: UdpManager) -> cython.void:
    i: cython.int
    entry: cython.pointer(PyObject)
    for i in range(PATHS):
        entry = manager.paths[i].path
        if entry != cython.NULL:
            manager.paths[i].path = cython.NULL
            Py_DECREF(cython.cast(object, entry))


@cython.cfunc
def _exact(manager: UdpManager, key: cython.pointer(key_t)):
    return manager.table.find(cython.cast(cython.pointer(uint8_t), key), KEY_BYTES)


@cython.cfunc
@cython.exceptval(check=True)
def _own_address(address) -> address_t:
    wanted: address_t = parse_address(address)
    if not network().is_local(wanted):
        raise OSError(errno.EADDRNOTAVAIL, f"{address} is not an address of this node")
    return wanted


@cython.cfunc
@cython.exceptval(-1, check=False)
def _choose_port(manager: UdpManager, key: cython.pointer(key_t)) -> cython.int:
    """RFC 6056, 3.3.3: by a hash of the other side, and a counter. A port with any other socket is left alone."""
    offset: uint32_t = port_offset(cython.address(manager.secret[0]), key)
    remote: uint32_t = key.ports & 0xFFFF0000
    tried: uint32_t
    port: uint32_t
    for tried in range(PORTS):
        port = FIRST_PORT + (offset + manager.next_port + tried) % PORTS
        if port not in manager.ports:
            manager.next_port = cython.cast(uint16_t, (manager.next_port + tried + 1) & 0xFFFF)
            key.ports = remote | port
            return 0
    raise OSError(errno.EADDRINUSE, "no port is free")


@cython.cfunc
def _open(
    manager: UdpManager, key: cython.pointer(key_t), handler, broadcast, ttl, traffic_class, dont_fragment
) -> UdpSocket:
    s: UdpSocket = UdpSocket.__new__(UdpSocket)
    port: uint32_t = key.ports & 0xFFFF
    if not isinstance(handler, UdpHandler):
        raise TypeError(f"{type(handler).__name__} is no UdpHandler")
    if cython.cast(UdpHandler, handler).socket is not None:
        raise ValueError(f"the {type(handler).__name__} has a socket already")
    s.set_marks(ttl, traffic_class)
    s.udp = manager
    s.key = key[0]
    s.broadcast = broadcast
    s.dont_fragment = dont_fragment
    s.binding = bind_class(type(handler))
    s.handler = cython.cast(UdpHandler, handler)
    s.handler.socket = s
    s.key_start = cython.cast(cython.pointer(uint8_t), cython.address(s.key))
    s.key_length = KEY_BYTES
    manager.table.put(s)
    manager.ports[port] = manager.ports.get(port, 0) + 1
    if s.is_connected():
        manager.connected += 1
    elif key.local.low:
        manager.addressed += 1
    return s


@cython.cfunc
def _error_of(error: cython.pointer(icmp_error_t)):
    """The OSError that an ICMP error is for an appliance."""
    number = errno.EHOSTUNREACH
    if error.type == icmp.TYPE_UNREACHABLE:
        number = _UNREACHABLE.get(error.code, number)
    elif error.type == icmp.TYPE_PARAMETER_PROBLEM:
        number = errno.EPROTO
    more = f", next hop's MTU {error.mtu}" if error.mtu else ""
    text = (
        f"{os.strerror(number)}: ICMP type {error.type}, code {error.code}, from {format_address(error.reporter)}{more}"
    )
    return OSError(number, text)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _deliver(s: UdpSocket, datagram: Chain, info: cython.pointer(ip_info_t), port: uint16_t) -> cython.int:
    source: Endpoint = s.next_source()
    source.remote = info.key.remote
    source.local = info.key.local
    source.port = port
    source.broadcast = info.multicast
    source.ttl = info.header[ipv4.OFFSET_TTL]
    source.traffic_class = info.header[ipv4.OFFSET_TRAFFIC_CLASS]
    source.options = None
    if ipv4.header_length(info.header) != ipv4.HEADER_BYTES_MIN:
        # RFC 1122, 4.1.3.2: IP's options are passed up.
        source.options = cython.cast(bytes, info.header[ipv4.HEADER_BYTES_MIN : ipv4.header_length(info.header)])
    s.udp.counts.datagrams_in += 1
    return hand_up(s, datagram)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _deliver_cut(
    s: UdpSocket, frame: Chain, info: cython.pointer(ip_info_t), port: uint16_t, size: uint64_t
) -> cython.int:
    """The datagrams of a frame that the device joined: views of its slots."""
    manager: UdpManager = s.udp
    # The first slot goes with its datagrams; what IP's header says is passed up with all.
    info.header = network().keep_header(info.header)
    while frame.length and not s.ended:
        manager.counts.cut_in += 1
        _deliver(s, frame.take_front(size if frame.length > size else frame.length), info, port)
    return 0


class UdpTransport:
    def address_lost(self, address):
        s: UdpSocket
        for s in self.udp.sockets():
            if same(s.key.local, address):
                end(s, ConnectionAbortedError(f"{format_address(address)} is somebody else's address"))
        return 0

    def receive_packet(self, packet, info):
        manager: UdpManager = self.udp
        copy: uint8_t[8]
        header: cython.pointer(uint8_t) = copy
        reason: cython.int
        length: uint32_t
        port: uint16_t
        s: UdpSocket
        if packet.length >= wire.HEADER_BYTES:
            if packet.head.length >= wire.HEADER_BYTES:
                header = packet.head.data
            else:
                packet.copy_out(0, copy, wire.HEADER_BYTES)
        reason = wire.check(header, packet.length)
        if reason:
            (cython.address(manager.counts.dropped_short))[reason - 1] += 1
            return 0
        length = load16(header + wire.OFFSET_LENGTH)
        if length != packet.length:
            # RFC 768 has a length of its own: what follows is not data.
            packet.trim(packet.length - length)
        if load16(header + wire.OFFSET_CHECKSUM) == 0:
            # RFC 1122, 4.1.3.4: the sender made none.
            manager.counts.unchecked += 1
        elif not packet.offload.flags & (CHECKSUM_VALID | CHECKSUM_PARTIAL) and (
            fold(
                sum_chain(
                    packet,
                    0,
                    sum_pseudo_header(ipv4_of(info.key.remote), ipv4_of(info.key.local), ipv4.PROTOCOL_UDP, length),
                )
            )
            != 0xFFFF
        ):
            manager.counts.dropped_checksum += 1
            return 0
        port = load16(header + wire.OFFSET_SOURCE_PORT)
        info.key.ports = cython.cast(uint32_t, port) << 16 | load16(header + wire.OFFSET_DESTINATION_PORT)
        s = manager.find(cython.address(info.key))
        if s is None:
            # RFC 1122, 4.1.3.1; to a group nobody answers (3.2.2).
            manager.counts.dropped_no_socket += 1
            if info.multicast:
                return 0
            return send_error(packet, info, icmp.TYPE_UNREACHABLE, icmp.CODE_PORT_UNREACHABLE, 0)
        if info.multicast and not s.broadcast:
            manager.counts.dropped_broadcast += 1
            return 0
        if packet.head.length <= wire.HEADER_BYTES:
            # The view goes, and its slot may; what IP's header says is passed up.
            info.header = network().keep_header(info.header)
        step_over(packet, wire.HEADER_BYTES)
        if (
            packet.offload.gso_type == GSO_UDP_L4
            and packet.offload.gso_size
            and packet.length > packet.offload.gso_size
        ):
            return _deliver_cut(s, packet, info, port, packet.offload.gso_size)
        return _deliver(s, packet, info, port)

    def error_arrives(self, error):
        # RFC 1122, 4.1.3.3: every one is passed up. It is believed of a path that is in use: anybody can make it up.
        manager: UdpManager = self.udp
        key: key_t
        s: UdpSocket
        destination: Endpoint
        believed: cython.bint
        key.remote = error.destination
        key.local = error.source
        key.ports = cython.cast(uint32_t, load16(error.header + wire.OFFSET_DESTINATION_PORT)) << 16
        key.ports |= load16(error.header + wire.OFFSET_SOURCE_PORT)
        s = manager.find(cython.address(key))
        if s is None:
            manager.counts.errors_unmatched += 1
            return 0
        manager.counts.errors_in += 1
        destination = Endpoint.__new__(Endpoint)
        destination.remote = error.destination
        destination.local = error.source
        destination.port = cython.cast(uint16_t, key.ports >> 16)
        believed = s.is_connected() or manager.sends_to(error.destination)
        tell_error(s, _error_of(error), destination)
        return believed
