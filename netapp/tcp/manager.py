"""The tcp Ebb: where segments find their connection, and where connections begin."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno
import logging
from collections import OrderedDict
from operator import attrgetter

from cython.cimports.cpython.ref import Py_DECREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.netapp.ebb.core import representative
from cython.cimports.netapp.ebb.ids import CONGESTION_CONTROL_ID
from cython.cimports.netapp.event.manager import STAGE_OUTPUT, events, turn_time
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, CHECKSUM_VALID, Chain, step_over
from cython.cimports.netapp.iobuf.pool import PLACE_TCP, only_reserve, running_pool
from cython.cimports.netapp.net.address import address_t, format_address, ipv4_of, parse_address, same
from cython.cimports.netapp.net.ipv4 import DEFAULT_TTL
from cython.cimports.netapp.net.key import key_t, same_key
from cython.cimports.netapp.net.manager import network
from cython.cimports.netapp.net.ports import FIRST_PORT, PORTS, port_offset
from cython.cimports.netapp.net.transport import Path, ip_info_t
from cython.cimports.netapp.tcp.congestion.control import CongestionControl
from cython.cimports.netapp.tcp.connection import (
    CLOSED,
    STARVED,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TOUCHED,
    UP_ANY,
    Connection,
    checked_traffic_class,
)
from cython.cimports.netapp.tcp.error_arrives import error_arrives
from cython.cimports.netapp.tcp.handler import TcpHandler, bind_class
from cython.cimports.netapp.tcp.isn import initial_sequence
from cython.cimports.netapp.tcp.listener import Listener
from cython.cimports.netapp.tcp.options import parse_options
from cython.cimports.netapp.tcp.reassembly import Reassembly
from cython.cimports.netapp.tcp.receive import deliver, finish, give_up_unread, reset
from cython.cimports.netapp.tcp.segment_arrives import learn_syn, queue_with_syn, segment_arrives
from cython.cimports.netapp.tcp.send import output, refuse, send_syn
from cython.cimports.netapp.tcp.sequence import seq_add, seq_lt, seq_sub
from cython.cimports.netapp.tcp.table import ConnectionTable, entry_t
from cython.cimports.netapp.tcp.timers import prepare_timers
from cython.cimports.netapp.tcp.touched import append_touched, touch
from cython.cimports.netapp.wire.bytes import load16, load32
from cython.cimports.netapp.wire.checksum import fold, sum_chain, sum_pseudo_header
from cython.cimports.netapp.wire.tcp import (
    FLAG_ACK,
    FLAG_FIN,
    FLAG_RST,
    FLAG_SYN,
    FLAG_URG,
    HEADER_BYTES_MIN,
    OFFSET_ACKNOWLEDGMENT,
    OFFSET_DATA_OFFSET,
    OFFSET_DESTINATION_PORT,
    OFFSET_FLAGS,
    OFFSET_SEQUENCE,
    OFFSET_SOURCE_PORT,
    OFFSET_URGENT,
    OFFSET_WINDOW,
)

from netapp.ebb.core import EbbError
from netapp.event.report import let_go
from netapp.tcp.config import TcpConfig

_log = logging.getLogger("netapp.tcp")

COUNTERS = (
    "segments_in",
    "segments_out",
    "retransmitted",
    "fast_retransmits",
    "timeouts",
    "window_probes",
    "keepalive_probes",
    "negative_advice",
    "duplicate_acks",
    "out_of_order",
    "connects",
    "accepts",
    "closed",
    "resets_in",
    "resets_out",
    "challenge_acks",
    "challenges_withheld",
    "half_open_evicted",
    "stalled_evicted",
    "time_wait_evicted",
    "icmp_hard",
    "icmp_soft",
    "icmp_mtu",
    "icmp_unmatched",
    "icmp_implausible",
    "callback_exceptions",
    "coalesced_bytes",
    "exhausted",
    "transmit_full",
    "dropped_short",
    "dropped_header",
    "dropped_checksum",
    "dropped_multicast",
    "dropped_options",
    "dropped_no_connection",
    "dropped_backlog",
    "dropped_table_full",
    "dropped_sequence",
    "dropped_acknowledgment",
    "dropped_flags",
    "dropped_window",
    "dropped_reassembly",
    "dropped_closed",
)

_PROTOCOL = cython.declare(uint8_t, 6)
_RELIEF_INTERVAL = cython.declare(uint64_t, 100_000_000)  # looking takes time for every connection
_queued = attrgetter("queued")


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _find(tcp: TcpManager, key: cython.pointer(key_t), hashed: uint32_t) -> cython.pointer(PyObject):
    """Borrowed; NULL: there is none."""
    entries: cython.pointer(entry_t) = tcp.table.entries
    at: uint32_t = hashed & tcp.table.mask
    while entries[at].connection != cython.NULL:
        if entries[at].hash == hashed and same_key(
            cython.address(cython.cast(Connection, entries[at].connection).key), key
        ):
            return entries[at].connection
        at = (at + 1) & tcp.table.mask
    return cython.NULL if tcp.table.before == cython.NULL else tcp.table.find_before(key, hashed)


@cython.cfunc
@cython.exceptval(check=False)
def _start_at(c: Connection, iss: uint32_t) -> cython.void:
    c.iss = iss
    c.snd_una = iss
    c.snd_nxt = iss
    c.snd_next_cut = iss
    c.recover = iss


@cython.cfunc
@cython.exceptval(check=False)
def _forget(queue: cython.pointer(touched_t)) -> cython.void:
    c: Connection
    while queue.first != cython.NULL:
        c = cython.cast(Connection, queue.first)
        queue.first = c.next_touched
        Py_DECREF(c)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _take(c: Connection, path: Path, traffic_class: uint8_t) -> cython.int:
    """The connection's path. RFC 9293, 3.9.2 (MUST-49), 3.9.1.9 (MUST-48)."""
    c.path = path
    c.ds_field = traffic_class
    if traffic_class or c.tcp.config.ttl != DEFAULT_TTL:
        path.mark(c.tcp.config.ttl, traffic_class)
    return 0


class Output:
    def end_of_turn(self):
        return tcp().send_touched()


class Retry:
    def poll(self, budget):
        return 0


class TcpManager:
    def __init__(self, config: TcpConfig, entropy):
        """`entropy`: the platform's, for sequence numbers, ports and the table's hash."""
        window: uint64_t = config.receive_window
        secret: bytes = entropy.random_bytes(48)
        self.config.receive_window = window
        self.config.send_limit = config.send_limit
        self.config.send_limit_total = config.send_limit_total
        self.config.backlog = config.backlog
        self.config.max_connections = config.max_connections
        self.config.minimum_rto = config.minimum_rto
        self.config.initial_rto = config.initial_rto
        self.config.maximum_rto = config.maximum_rto
        self.config.delayed_ack = config.delayed_ack
        self.config.give_up = config.give_up
        self.config.syn_give_up = config.syn_give_up
        self.config.syn_received_give_up = config.syn_received_give_up
        self.config.ttl = config.ttl
        self.config.time_wait = config.time_wait
        self.config.fin_wait_2 = config.fin_wait_2
        self.config.window_scale = 0
        while window > 65535:
            window >>= 1
            self.config.window_scale += 1
        self.table = ConnectionTable(secret[:24])
        self.secret[0] = int.from_bytes(secret[24:32], "little")
        self.secret[1] = int.from_bytes(secret[32:40], "little")
        self.next_port = int.from_bytes(secret[40:42], "little")
        self.listeners = {}
        self.bindings = {}
        self.starved = {}
        self.in_time_wait = OrderedDict()
        self.unread = {}
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.counts))
        self.counter_names = COUNTERS
        self.output_hook = Output()
        self.retry = Retry()
        self.transport = TcpTransport()
        self.transport.tcp = self

    def begin(self):
        events().at_end_of_turn(self.output_hook, STAGE_OUTPUT)
        network().register_transport(_PROTOCOL, self.transport)

    def may_be_replaced(self, new):
        if not isinstance(new, TcpManager):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no TcpManager")
        if cython.cast(TcpManager, new).listeners or cython.cast(TcpManager, new).table.count:
            raise EbbError("a TcpManager that takes over has no listeners and connections of its own yet")

    def take_over(self, old):
        before: TcpManager = old
        self.counts = before.counts
        # The numbers of a peer's next connection go on beyond those of its last one.
        self.secret = before.secret
        self.next_port = before.next_port

    def replaced(self, new):
        after: TcpManager = new
        c: Connection
        listener: Listener
        link: cython.pointer(PyObject) = self.touched.first
        after.table = self.table
        after.listeners = self.listeners
        after.bindings = self.bindings
        after.touched = self.touched
        after.queued_bytes = self.queued_bytes
        after.starved = self.starved
        after.in_time_wait = self.in_time_wait
        after.unread = self.unread
        after.output_hook = self.output_hook
        after.retry = self.retry
        after.retrying = self.retrying
        after.transport = self.transport
        after.transport.tcp = after
        for c in after.table.all():
            c.tcp = after
        for c in after.unread:
            c.tcp = after
        while link != cython.NULL:  # those that have ended, too
            c = cython.cast(Connection, link)
            c.tcp = after
            link = c.next_touched
        for bound in after.listeners.values():
            for listener in bound:
                listener.tcp = after
        self.touched.first = cython.NULL
        self.segment = None
        self.table = ConnectionTable(bytes(24))
        self.listeners = {}
        self.starved = {}
        self.in_time_wait = OrderedDict()
        self.unread = {}
        self.transport = None
        self.successor = after

    def __dealloc__(self):
        _forget(cython.address(self.touched))
        _forget(cython.address(self.blocked))

    def destroy(self):
        """Resets every connection; each handler hears of it."""
        c: Connection
        # What handlers try to open from now on finds no room.
        self.config.max_connections = 0
        for listener in [one for bound in self.listeners.values() for one in bound]:
            listener.close()
        for c in self.table.all():
            reset(c, ConnectionAbortedError("the node is shutting down"))
            deliver(c)
        for c in list(self.unread):
            give_up_unread(c)
        self.send_touched()
        events().remove_end_of_turn(self.output_hook)
        if self.retrying:
            events().stop_polling(self.retry)
        network().register_transport(_PROTOCOL, None)
        self.segment = None
        self.transport.tcp = None
        self.bindings.clear()

    # --- for appliances ------------------------------------------------------------------------------------------

    def listen(self, port: int, factory, address=None, backlog=None, traffic_class: int = 0) -> Listener:
        """Accepts connections to `port`; `factory()` returns the TcpHandler of each. Raises OSError when it is taken,
        ValueError for a port, address or traffic class that is none."""
        listener: Listener
        other: Listener
        wanted: address_t
        self._current()
        if not 0 < port < 65536:
            raise ValueError(f"{port} is no port: 1 to 65535")
        if not callable(factory):
            raise TypeError("listen() takes a callable that returns a handler")
        wanted.high = 0
        wanted.low = 0
        if address is not None:
            wanted = parse_address(address)
            if not network().is_local(wanted):
                raise OSError(f"{address} is not an address of this node")
        for other in self.listeners.get(port, ()):
            if same(other.address, wanted):
                raise OSError(f"port {port} has a listener already")
        listener = Listener.__new__(Listener)
        listener.tcp = self
        listener.port = port
        listener.address = wanted
        listener.factory = factory
        listener.backlog = self.config.backlog if backlog is None else backlog
        listener.traffic_class = checked_traffic_class(traffic_class)
        self.listeners.setdefault(port, []).append(listener)
        return listener

    def connect(
        self, address, port: int, factory, local_port: int = 0, local_address=None, traffic_class: int = 0
    ) -> Connection:
        """Opens a connection; `factory()` returns its TcpHandler, whose connected() or closed(error) will be called.
        From `local_address`, else from the one that the route says. Raises OSError: no route, an address that is not
        ours, no port free, too many connections; ValueError for a port or traffic class that is none."""
        key: key_t
        c: Connection
        path: Path
        tried: uint32_t
        offset: uint32_t
        hashed: uint32_t = 0
        local: address_t
        remote: address_t = parse_address(address)
        self._current()
        if not 0 < port < 65536 or not 0 <= local_port < 65536:
            raise ValueError(f"{port if local_port == 0 else local_port} is no port: 1 to 65535")
        if local_address is None:
            # RFC 9293, 3.9.1.1 (MUST-44)
            path = network().path(remote)
        else:
            # RFC 9293, 3.9.1.1 (MUST-43)
            local = parse_address(local_address)
            if not network().is_local(local):
                raise OSError(f"{local_address} is not an address of this node")
            path = network().path_between(local, remote)
        if path is None:
            raise OSError(f"no route to {address}{'' if local_address is None else f' from {local_address}'}")
        if not self.make_room():
            raise OSError("too many connections")
        checked_traffic_class(traffic_class)
        # Before a port is chosen: it may open connections of its own.
        handler = factory()
        key.remote = remote
        key.local = path.source
        # RFC 6056, 3.3.3: a hash of the connection's other side, and a counter.
        key.ports = cython.cast(uint32_t, port) << 16 | cython.cast(uint32_t, local_port)
        offset = port_offset(cython.address(self.secret[0]), cython.address(key))
        for tried in range(1 if local_port else PORTS):
            if not local_port:
                key.ports = cython.cast(uint32_t, port) << 16 | FIRST_PORT + (offset + self.next_port + tried) % PORTS
            hashed = self.table.hash_of(cython.address(key))
            if _find(self, cython.address(key), hashed) == cython.NULL:
                break
        else:
            raise OSError(f"no local port is free for {address}:{port}")
        self.next_port = cython.cast(uint16_t, (self.next_port + tried + 1) & 0xFFFF)
        c = self.new_connection(cython.address(key), hashed)
        _take(c, path, cython.cast(uint8_t, traffic_class))
        c.pseudo = sum_pseudo_header(ipv4_of(path.source), ipv4_of(path.destination), _PROTOCOL, 0)
        c.rcv_mss = cython.cast(uint16_t, path.mtu - 40)
        c.snd_mss = c.rcv_mss
        self.attach(c, handler)
        c.state = SYN_SENT
        self.table.insert(c)
        self.counts.connects += 1
        send_syn(c, events().now)
        return c

    def connections(self):
        """All connections, those in TIME_WAIT included."""
        return self.table.all()

    def listening(self) -> list:
        """All listeners."""
        return [one for bound in self.listeners.values() for one in bound]

    def _current(self):
        if self.successor is not None:
            raise RuntimeError("this TcpManager was replaced: reach it through its Ebb, in every event anew")
        return 0

    # --- for the rest of TCP -------------------------------------------------------------------------------------

    def send_touched(self):
        c: Connection
        now: uint64_t
        if self.starved and self.queued_bytes < self.config.send_limit_total:
            self.feed_starved()
        if self.touched.first == cython.NULL and self.blocked.first == cython.NULL:
            return 0
        now = turn_time()
        # Callbacks may touch more of them. Each is off the queue before: a callback may raise KeyboardInterrupt.
        while self.touched.first != cython.NULL:
            c = cython.cast(Connection, self.touched.first)
            self.touched.first = c.next_touched
            Py_DECREF(c)
            c.flags &= ~TOUCHED
            if c.flags & UP_ANY or c.received is not None:
                deliver(c)
            if c.state != CLOSED and output(c, now) != 0 and not c.flags & TOUCHED:
                append_touched(cython.address(self.blocked), c)
        self.touched = self.blocked
        self.blocked.first = cython.NULL
        if self.touched.first != cython.NULL and not self.retrying:
            self.retrying = True
            events().start_polling(self.retry)
        elif self.touched.first == cython.NULL and self.retrying:
            self.retrying = False
            events().stop_polling(self.retry)
        return 0

    def feed_starved(self):
        c: Connection
        waiting: dict = self.starved
        self.starved = {}
        for c in waiting:
            c.flags &= ~STARVED
            touch(c)
        return 0

    def relieve(self, asks):
        """A reply each, of however many that do not read, is more than there is memory for."""
        c: Connection
        limit: uint64_t = self.config.send_limit_total
        now: uint64_t = turn_time()
        if self.queued_bytes < 2 * limit:
            return True
        if now - self.relieved_at >= _RELIEF_INTERVAL:
            self.relieved_at = now
            for c in sorted(self.table.all(), key=_queued, reverse=True):
                if self.queued_bytes < limit or c.send_queue.length == 0:
                    break
                if c.backoff:
                    self.counts.stalled_evicted += 1
                    reset(c, OSError(errno.ENOBUFS, "the peer does not take what it asked for, and memory is short"))
        # Who has taken a reply before goes on when those that never did have used theirs up.
        return self.queued_bytes < (5 if seq_sub(asks.snd_una, asks.iss) > 1 else 4) * limit

    def make_room(self):
        oldest: Connection
        if self.table.count < self.config.max_connections:
            return True
        # Else connections that have ended would shut out new ones. RFC 9293, 3.6.1 wants twice the MSL; what an old
        # segment can do to a new connection, RFC 1337 says.
        oldest = next(iter(self.in_time_wait), None)
        if oldest is None:
            return False
        self.counts.time_wait_evicted += 1
        finish(oldest, None)
        return True

    def attach(self, c, handler):
        if not isinstance(handler, TcpHandler):
            raise TypeError(f"the factory returned {type(handler).__name__}, which is no TcpHandler")
        if cython.cast(TcpHandler, handler).connection is not None:
            raise ValueError(f"the factory returned a {type(handler).__name__} that has a connection already")
        binding = self.bindings.get(type(handler))
        if binding is None:
            binding = bind_class(type(handler))
            self.bindings[type(handler)] = binding
        c.handler = cython.cast(TcpHandler, handler)
        c.binding = binding
        c.handler.connection = c
        return 0

    def accept(self, c, listener):
        try:
            self.attach(c, listener.factory())
        except Exception as error:
            self.counts.callback_exceptions += 1
            _log.error("the handler of a connection to port %d could not be made", listener.port, exc_info=error)
            let_go(error)
            reset(c, None)
            return False
        return True

    def new_connection(self, key, hashed):
        c: Connection = Connection.__new__(Connection)
        c.tcp = self
        c.key = key[0]
        c.hash = hashed
        c.send_queue = Chain.__new__(Chain)
        c.congestion = cython.cast(CongestionControl, representative(CONGESTION_CONTROL_ID)).for_connections()
        _start_at(c, initial_sequence(cython.address(self.secret[0]), key, events().now))
        prepare_timers(c)
        return c

    def listener_of(self, port, address):
        """The one bound to the address goes before the one for any."""
        one: Listener
        found: Listener = None
        bound = self.listeners.get(port)
        if bound is None:
            return None
        for one in bound:
            if same(one.address, address):
                return one
            if one.address.low == 0 and one.address.high == 0:
                found = one
        return found

    def syn_arrives(self, listener, key, hashed, segment, payload, before, now):
        # RFC 9293, 3.10.7.2, third.
        c: Connection
        path: Path
        if listener.is_full() or not listener.make_room():
            self.counts.dropped_backlog += 1
            return 0
        if not self.make_room():
            self.counts.dropped_table_full += 1
            return 0
        path = network().path_between(key.local, key.remote)
        if path is None:
            self.counts.dropped_no_connection += 1
            return 0
        c = self.new_connection(key, hashed)
        if before is not None:
            # RFC 9293, 3.6.1: our numbers, too, go on beyond the old ones.
            if seq_lt(c.iss, before.snd_nxt):
                _start_at(c, seq_add(before.snd_nxt, 1))
            finish(before, None)
        _take(c, path, listener.traffic_class)
        c.pseudo = sum_pseudo_header(ipv4_of(path.source), ipv4_of(path.destination), _PROTOCOL, 0)
        c.rcv_mss = cython.cast(uint16_t, path.mtu - 40)
        learn_syn(c, segment)
        c.state = SYN_RECEIVED
        c.listener = listener
        listener.half_open[c] = None
        self.table.insert(c)
        if send_syn(c, now) == 0 and (segment.length or segment.flags & FLAG_FIN):
            queue_with_syn(c, segment, payload)
        return 0

    def refuse_connection(self, c, segment):
        info: ip_info_t
        if segment.flags & FLAG_RST or not segment.flags & FLAG_ACK:
            return 0
        info.key = c.key
        refuse(self, segment, cython.address(info))
        return 0

    def keep_out_of_order(self, c, seq, data):
        kept: Chain = data
        # Below the reserve the peer's retransmission serves better than memory that in-order data needs.
        if only_reserve(running_pool()):
            self.counts.exhausted += 1
            return False
        if data.pinned() * 100 > data.length * 145:
            if cython.cast(Reassembly, c.reassembly).extend(seq, data):
                self.counts.coalesced_bytes += data.length
                return True
            kept = data.compact(PLACE_TCP)
            if kept is None:
                self.counts.exhausted += 1
                return False
            self.counts.coalesced_bytes += data.length
        return cython.cast(Reassembly, c.reassembly).insert(seq, kept)


class TcpTransport:
    def address_lost(self, address):
        c: Connection
        for c in self.tcp.table.all():
            if same(c.key.local, address):
                reset(c, ConnectionAbortedError(f"{format_address(address)} is somebody else's address"))
                deliver(c)
        return 0

    def receive_packet(self, packet, info):
        manager: TcpManager = self.tcp
        header: cython.pointer(cython.const[uint8_t])
        header_length: uint32_t
        segment: segment_t
        key: cython.pointer(key_t) = cython.address(info.key)
        hashed: uint32_t
        entry: cython.pointer(PyObject)
        found: Connection
        listener: Listener
        now: uint64_t
        manager.counts.segments_in += 1
        if packet.length < HEADER_BYTES_MIN or packet.head.length < HEADER_BYTES_MIN:
            manager.counts.dropped_short += 1
            return 0
        if info.multicast:
            # RFC 9293, 3.10.7.2 (MUST-57)
            manager.counts.dropped_multicast += 1
            return 0
        header = packet.head.data
        header_length = (header[OFFSET_DATA_OFFSET] >> 4) * 4
        if header_length < HEADER_BYTES_MIN or header_length > packet.head.length:
            manager.counts.dropped_header += 1
            return 0
        if not packet.offload.flags & (CHECKSUM_VALID | CHECKSUM_PARTIAL) and (
            # RFC 9293, 3.1 (MUST-3)
            fold(
                sum_chain(
                    packet,
                    0,
                    sum_pseudo_header(
                        ipv4_of(info.key.remote),
                        ipv4_of(info.key.local),
                        _PROTOCOL,
                        cython.cast(uint32_t, packet.length),
                    ),
                )
            )
            != 0xFFFF
        ):
            manager.counts.dropped_checksum += 1
            return 0
        segment.ports = load32(header + OFFSET_SOURCE_PORT)
        segment.seq = load32(header + OFFSET_SEQUENCE)
        segment.ack = load32(header + OFFSET_ACKNOWLEDGMENT)
        segment.flags = header[OFFSET_FLAGS]
        segment.window = load16(header + OFFSET_WINDOW)
        segment.length = cython.cast(uint32_t, packet.length - header_length)
        if segment.flags & (FLAG_SYN | FLAG_URG):
            # RFC 9293, 3.1 (MUST-62): behind the urgent data.
            segment.urgent = seq_add(segment.seq, load16(header + OFFSET_URGENT))
            if segment.flags & FLAG_SYN and not parse_options(
                header + HEADER_BYTES_MIN, header_length - HEADER_BYTES_MIN, cython.address(segment.options)
            ):
                manager.counts.dropped_options += 1
                return 0
        step_over(packet, header_length)
        key.ports = segment.ports
        hashed = manager.table.hash_of(key)
        entry = _find(manager, key, hashed)
        now = turn_time()
        if entry == cython.NULL:
            found = None
        else:
            found = cython.cast(Connection, entry)
            # RFC 9293, 3.6.1 (MAY-2): out of TIME_WAIT a new connection whose numbers lie beyond those of the old one.
            if (
                found.state != TIME_WAIT
                or segment.flags & (FLAG_SYN | FLAG_ACK | FLAG_RST) != FLAG_SYN
                or not seq_lt(found.rcv_nxt, segment.seq)
            ):
                return segment_arrives(found, cython.address(segment), packet, now)
        if not segment.flags & (FLAG_ACK | FLAG_RST):
            listener = manager.listener_of(cython.cast(uint16_t, segment.ports & 0xFFFF), info.key.local)
            if listener is not None:
                if segment.flags & FLAG_SYN:
                    return manager.syn_arrives(listener, key, hashed, cython.address(segment), packet, found, now)
                # RFC 9293, 3.10.7.2, fourth.
                manager.counts.dropped_flags += 1
                return 0
        if found is not None:
            return segment_arrives(found, cython.address(segment), packet, now)
        manager.counts.dropped_no_connection += 1
        return refuse(manager, cython.address(segment), info)

    def error_arrives(self, error):
        manager: TcpManager = self.tcp
        key: key_t
        found: cython.pointer(PyObject)
        key.remote = error.destination
        key.local = error.source
        # Of a segment of ours: the first port is the local one.
        key.ports = cython.cast(uint32_t, load16(error.header + OFFSET_DESTINATION_PORT)) << 16 | load16(
            error.header + OFFSET_SOURCE_PORT
        )
        found = _find(manager, cython.address(key), manager.table.hash_of(cython.address(key)))
        if found == cython.NULL:
            manager.counts.icmp_unmatched += 1
            return 0
        return error_arrives(cython.cast(Connection, found), error, load32(error.header + OFFSET_SEQUENCE), turn_time())
