"""Sockets: sending, the callbacks, the end."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno
import logging

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.cpython.ref import Py_REFCNT
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.drivers.device import FEATURE_CHECKSUM, FEATURE_USO
from cython.cimports.netapp.event.raised import raised
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, GSO_UDP_L4, Chain, offload_t, step_over, wrap
from cython.cimports.netapp.iobuf.pool import (
    FRAME_CLASS,
    HEADROOM,
    PLACE_APPLIANCE,
    PLACE_NETWORK,
    iobuf_t,
    new_iobuf,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)
from cython.cimports.netapp.net.address import address_t, format_address, ipv4_of, parse_address, same
from cython.cimports.netapp.net.manager import network
from cython.cimports.netapp.net.transport import Path
from cython.cimports.netapp.net.udp import LONGEST_PAYLOAD, UdpManager, new_path
from cython.cimports.netapp.wire import ipv4, udp
from cython.cimports.netapp.wire.checksum import fold, sum_chain, sum_pseudo_header

from netapp.event.binding import python_method
from netapp.event.report import let_go

_log = logging.getLogger("netapp.net")

# Bytes up to which sending copies: a reference to them would cost more.
_SMALL_SEND = cython.declare(cython.Py_ssize_t, 256)
_HEADERS = cython.declare(uint32_t, udp.HEADER_BYTES + ipv4.HEADER_BYTES_MIN)


@cython.freelist(64)
@cython.cclass
class Endpoint:
    def __init__(self, address, port: int):
        """`address`: str or ipaddress. Raises ValueError for what is none."""
        if not 0 < port < 65536:
            raise ValueError(f"{port} is no port: 1 to 65535")
        self.remote = parse_address(address)
        self.port = port

    @property
    def address(self) -> str:
        return format_address(self.remote)

    @property
    def destination(self) -> str:
        """Of a received datagram: the address that it was sent to, ours or a broadcast one (RFC 1122, 4.1.3.5)."""
        return format_address(self.local)

    def __eq__(self, other):
        if not isinstance(other, Endpoint):
            return NotImplemented
        theirs: Endpoint = other
        return self.port == theirs.port and same(self.remote, theirs.remote)

    def __hash__(self):
        return hash((self.remote.high, self.remote.low, self.port))

    def __repr__(self):
        return f"<Endpoint {self.address}:{self.port}>"


class UdpHandler:
    def receive(self, datagram, source):
        """A datagram arrived."""

    def error(self, error, destination):
        """What was sent to `destination` did not get there."""

    def writable(self):
        """The device's ring, which had been full, may have room."""

    def closed(self, error):
        """The socket has ended. `error` is None, or ConnectionAbortedError (the node is
        shutting down, or the address is somebody else's)."""

    def send(self, data, segment_size=0):
        return _socket_of(self).send(data, segment_size)

    def send_to(self, data, address, port=0, segment_size=0):
        return _socket_of(self).send_to(data, address, port, segment_size)

    def reply(self, data, segment_size=0):
        return _socket_of(self).reply(data, segment_size)

    def close(self):
        if self.socket is not None:
            self.socket.close()


@cython.cfunc
@cython.inline
def _socket_of(handler: UdpHandler) -> UdpSocket:
    if handler.socket is None:
        raise ConnectionError("the handler has no socket")
    return handler.socket


class UdpBinding:
    pass


def bind_class(handler_class):
    binding: UdpBinding = UdpBinding.__new__(UdpBinding)
    binding.receive = python_method(handler_class, "receive")
    binding.error = python_method(handler_class, "error")
    binding.writable = python_method(handler_class, "writable")
    binding.closed = python_method(handler_class, "closed")
    return binding


# --- sending -----------------------------------------------------------------------------------------------------


@cython.cfunc
def _chain_of(data) -> Chain:
    """The data as a chain: the caller's own, or a new one."""
    chain: Chain
    slot: cython.pointer(slot_t)
    view: cython.pointer(iobuf_t)
    if isinstance(data, Chain):
        return data
    if not isinstance(data, bytes) or len(data) > _SMALL_SEND or len(data) == 0:
        return wrap(data)
    # With room in front for all the headers: one slot, one view.
    chain = Chain.__new__(Chain)
    slot = take_slot(running_pool(), FRAME_CLASS, PLACE_APPLIANCE)
    if slot == cython.NULL:
        raise MemoryError("the buffer pool is exhausted")
    view = new_iobuf(slot, slot.memory + HEADROOM, cython.cast(uint32_t, PyBytes_GET_SIZE(data)))
    if view == cython.NULL:
        release_slot(slot)
        raise MemoryError("no memory for another view")
    memcpy(view.data, PyBytes_AS_STRING(data), view.length)
    running_pool().copied[PLACE_APPLIANCE] += view.length
    chain.append_view(view)
    return chain


@cython.cfunc
@cython.exceptval(-1, check=False)
def _transmit(
    manager: UdpManager,
    path: Path,
    packet: Chain,
    ports: uint32_t,
    segment_size: uint32_t,
    dont_fragment: cython.bint,
) -> cython.int:
    """One frame. 0: the ring is full, and the packet is as it was, unless IP had to cut it."""
    length: uint32_t = cython.cast(uint32_t, packet.length) + udp.HEADER_BYTES
    header: cython.pointer(uint8_t) = packet.prepend(udp.HEADER_BYTES, PLACE_NETWORK)
    checksum: uint16_t
    pseudo: uint64_t
    if header == cython.NULL:
        manager.counts.exhausted += 1
        packet.drop_views()
        return 1
    udp.write(
        header, cython.cast(uint16_t, ports & 0xFFFF), cython.cast(uint16_t, ports >> 16), cython.cast(uint16_t, length)
    )
    memset(cython.address(packet.offload), 0, cython.sizeof(offload_t))
    pseudo = sum_pseudo_header(ipv4_of(path.source), ipv4_of(path.destination), ipv4.PROTOCOL_UDP, length)
    if path.features & FEATURE_CHECKSUM and (segment_size or length + ipv4.HEADER_BYTES_MIN <= path.mtu):
        checksum = fold(pseudo)
        packet.offload.flags = CHECKSUM_PARTIAL
        packet.offload.csum_offset = udp.OFFSET_CHECKSUM
        if segment_size:
            packet.offload.gso_type = GSO_UDP_L4
            packet.offload.gso_size = cython.cast(uint16_t, segment_size)
            packet.offload.header_length = udp.HEADER_BYTES
    else:
        # The device completes no checksum over several fragments.
        checksum = udp.stored(fold(sum_chain(packet, 0, pseudo)))
    memcpy(header + udp.OFFSET_CHECKSUM, cython.address(checksum), 2)
    if path.send_datagram(packet, ipv4.PROTOCOL_UDP, dont_fragment):
        return 1
    if packet.head != cython.NULL:
        step_over(packet, udp.HEADER_BYTES)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _send_segments(
    s: UdpSocket, manager: UdpManager, path: Path, data: Chain, ports: uint32_t, segment_size: uint32_t
) -> cython.int:
    """In frames that the device cuts, or in datagrams that are cut here; how many datagrams were handed over."""
    offloaded: cython.bint = (
        path.features & (FEATURE_USO | FEATURE_CHECKSUM) == FEATURE_USO | FEATURE_CHECKSUM
        and segment_size + _HEADERS <= path.refresh_mtu()
    )
    largest: uint32_t = LONGEST_PAYLOAD - LONGEST_PAYLOAD % segment_size if offloaded else segment_size
    piece: Chain
    number: uint32_t
    done: cython.int = 0
    while data.length:
        piece = data.take_front(largest if data.length > largest else data.length)
        number = (cython.cast(uint32_t, piece.length) + segment_size - 1) // segment_size
        if not _transmit(manager, path, piece, ports, segment_size if number > 1 else 0, s.dont_fragment):
            manager.counts.transmit_full += 1
            piece.move_from(data)
            data.move_from(piece)
            manager.block(s)
            break
        done += number
        if not offloaded:
            manager.counts.cut_out += 1
    manager.counts.datagrams_out += done
    return done


@cython.cfunc
@cython.exceptval(-1, check=False)
def _send(s: UdpSocket, path: Path, given, port: uint16_t, segment_size: uint32_t) -> cython.int:
    manager: UdpManager = s.udp
    data: Chain = _chain_of(given)
    packet: Chain = manager.packet
    longest: uint64_t = data.length
    ports: uint32_t = cython.cast(uint32_t, port) << 16 | s.key.ports & 0xFFFF
    if segment_size and longest > segment_size:
        longest = segment_size
    if longest > LONGEST_PAYLOAD:
        raise OSError(errno.EMSGSIZE, f"a datagram of {longest} bytes: at most {LONGEST_PAYLOAD}")
    if s.dont_fragment and longest + _HEADERS > path.refresh_mtu():
        raise OSError(errno.EMSGSIZE, f"a datagram of {longest} bytes: the path takes {path.mtu - _HEADERS}")
    if segment_size and data.length > segment_size:
        return _send_segments(s, manager, path, data, ports, segment_size)
    # The last packet's chain, unless it waits somewhere, for an address say.
    if packet is None or Py_REFCNT(packet) != 2 or packet.head != cython.NULL:
        packet = Chain.__new__(Chain)
        manager.packet = packet
    packet.move_from(data)
    if _transmit(manager, path, packet, ports, 0, s.dont_fragment):
        manager.counts.datagrams_out += 1
        return 1
    manager.counts.transmit_full += 1
    data.move_from(packet)
    manager.block(s)
    return 0


@cython.cfunc
def _path_or_raise(s: UdpSocket, found: object, destination: address_t) -> Path:
    path: Path
    if found is None:
        raise OSError(errno.ENETUNREACH, f"no route to {format_address(destination)}")
    path = found
    if path.broadcast and not s.broadcast:
        raise OSError(errno.EACCES, f"{format_address(destination)} is a broadcast address: bind with broadcast=True")
    return path


class UdpSocket:
    def send(self, data, segment_size=0):
        """OSError: too long, no way there; ConnectionError: closed."""
        if self.ended:
            raise ConnectionError("the socket is closed")
        if not self.is_connected():
            raise OSError(errno.EDESTADDRREQ, "the socket has no peer: send_to()")
        return _send(self, self.peer_path(), data, cython.cast(uint16_t, self.key.ports >> 16), segment_size)

    def send_to(self, data, address, port=0, segment_size=0):
        """`address`: an Endpoint, or str or ipaddress with a port. ValueError: they are none."""
        endpoint: Endpoint
        if self.ended:
            raise ConnectionError("the socket is closed")
        if self.is_connected():
            raise OSError(errno.EISCONN, "the socket has a peer: send()")
        endpoint = address if isinstance(address, Endpoint) else Endpoint(address, port)
        if endpoint.port == 0:
            raise ValueError("the datagram came from port 0: no reply is expected (RFC 768)")
        return _send(
            self,
            _path_or_raise(self, self.udp.path(self, endpoint.remote), endpoint.remote),
            data,
            endpoint.port,
            segment_size,
        )

    def reply(self, data, segment_size=0):
        """ConnectionError: outside receive(). Where no reply can go it is dropped and counted, as on its way."""
        source: Endpoint = self.source
        path: Path
        local: address_t
        if not self.in_receive:
            raise ConnectionError("reply() is for within receive(): keep the source, and send_to() it")
        if self.ended:
            raise ConnectionError("the socket is closed")
        if self.is_connected():
            return self.send(data, segment_size)
        # RFC 1122, 4.1.3.5: from the address that the datagram was sent to.
        local = self.key.local
        if not source.broadcast:
            self.key.local = source.local
        path = self.udp.path(self, source.remote)
        self.key.local = local
        if path is None or source.port == 0:
            self.udp.counts.replies_undeliverable += 1
            if isinstance(data, Chain):
                cython.cast(Chain, data).drop_views()
            return 1
        return _send(self, path, data, source.port, segment_size)

    def set_marks(self, ttl, traffic_class):
        """Of the IP header of what is sent from now on (RFC 1122, 4.1.4). ValueError: out of range."""
        if not 0 < ttl < 256 or not 0 <= traffic_class < 256:
            raise ValueError(f"a TTL of {ttl}, a traffic class of {traffic_class}: 1 to 255 and 0 to 255")
        self.ttl = ttl
        self.traffic_class = traffic_class
        self.path = None

    def close(self):
        """Nothing is sent or received any more; closed(None) follows."""
        end(self, None)

    def is_connected(self):
        return self.key.ports >> 16 != 0

    def peer_path(self):
        if self.path is None or self.routes_version != network().routes_version:
            self.routes_version = network().routes_version
            self.path = None
            self.path = _path_or_raise(self, new_path(self, self.key.remote), self.key.remote)
        return self.path

    def next_source(self):
        """The endpoint to describe the next datagram with."""
        source: Endpoint = self.source
        if source is None or Py_REFCNT(source) != 2:
            source = Endpoint.__new__(Endpoint)
            self.source = source
        return source

    @property
    def local(self) -> tuple:
        """(address, port); of an address that is chosen with each datagram: "0.0.0.0"."""
        address = "0.0.0.0" if self.key.local.low == 0 else format_address(self.key.local)
        return address, self.key.ports & 0xFFFF

    @property
    def remote(self):
        """(address, port); None without a peer."""
        return (format_address(self.key.remote), self.key.ports >> 16) if self.is_connected() else None

    @property
    def path_mtu(self) -> int:
        """Of the path to the peer, bytes of an IP packet."""
        if not self.is_connected():
            raise OSError(errno.EDESTADDRREQ, "the socket has no peer")
        return self.peer_path().refresh_mtu()

    def __repr__(self):
        return f"<UdpSocket {self.local} {self.remote or '*'}>"


# --- callbacks ---------------------------------------------------------------------------------------------------


@cython.cfunc
@cython.exceptval(-1, check=False)
def _failed(s: UdpSocket, callback: str, error) -> cython.int:
    """An exception came out of a callback: the socket stays."""
    s.udp.counts.callback_exceptions += 1
    _log.error("%s() of %s raised; its socket goes on", callback, type(s.handler).__name__, exc_info=error)
    let_go(error)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _leave(s: UdpSocket) -> cython.int:
    """After a callback: closed() may have become due."""
    s.in_callback = False
    return _closed(s) if s.ended else 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _call_receive(s: UdpSocket, datagram: Chain) -> cython.int:
    if s.binding.receive is None:
        s.handler.receive(datagram, s.source)
    else:
        s.binding.receive(s.handler, datagram, s.source)
    return 0


# Entering a `try` costs more than the whole hand-over.
_unguarded_receive = cython.declare(receive_t, cython.cast(receive_t, _call_receive))


@cython.cfunc
@cython.exceptval(-1, check=False)
def _receive_failed(s: UdpSocket) -> cython.int:
    try:
        raised()
    except Exception as error:
        _failed(s, "receive", error)
    return 0


def hand_up(s, datagram):
    failed: cython.int
    s.in_callback = True
    s.in_receive = True
    failed = _unguarded_receive(s, datagram)
    s.in_receive = False
    s.in_callback = False
    if failed:
        _receive_failed(s)
    if s.ended:
        return _closed(s)
    return 0


def tell_error(s, error, destination):
    s.in_callback = True
    try:
        if s.binding.error is None:
            s.handler.error(error, destination)
        else:
            s.binding.error(s.handler, error, destination)
    except Exception as raised_by_it:
        _failed(s, "error", raised_by_it)
    return _leave(s)


def tell_writable(s):
    s.in_callback = True
    try:
        if s.binding.writable is None:
            s.handler.writable()
        else:
            s.binding.writable(s.handler)
    except Exception as raised_by_it:
        _failed(s, "writable", raised_by_it)
    return _leave(s)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _closed(s: UdpSocket) -> cython.int:
    """The last call; afterwards handler and socket let go of each other."""
    handler: UdpHandler = s.handler
    binding: UdpBinding = s.binding
    if handler is None:
        return 0
    s.handler = None
    try:
        if binding.closed is None:
            handler.closed(s.failure)
        else:
            binding.closed(handler, s.failure)
    except Exception as raised_by_it:
        s.udp.counts.callback_exceptions += 1
        _log.error("closed() of %s raised", type(handler).__name__, exc_info=raised_by_it)
        let_go(raised_by_it)
    finally:
        handler.socket = None
        s.udp = None
        s.binding = None
        s.failure = None
        s.source = None
    return 0


def end(s, error):
    # The table and the handler let go of it, which may be all that holds it.
    kept: UdpSocket = s
    if kept.ended:
        return 0
    kept.ended = True
    kept.failure = error
    kept.path = None
    kept.udp.forget(kept)
    return 0 if kept.in_callback else _closed(kept)
