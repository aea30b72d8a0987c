"""ARP: the table of neighbours, one lazy timer entry each. An idle table wakes nobody: after its minute an entry is
STALE, and is asked for only when a packet goes to it."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from collections import deque

from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.event.timer import timers
from cython.cimports.netapp.iobuf.chain import new_chain
from cython.cimports.netapp.iobuf.pool import PLACE_NETWORK, iobuf_t
from cython.cimports.netapp.net.address import format_address, mapped
from cython.cimports.netapp.net.counters import net_counters_t
from cython.cimports.netapp.net.interface import writable
from cython.cimports.netapp.net.local import PREFERRED, LocalAddress
from cython.cimports.netapp.wire import arp, ethernet
from cython.cimports.netapp.wire.bytes import load16, raw32

STATES = ("incomplete", "reachable", "stale", "probing", "failed", "gone")

ENTRIES_MAX = 4096
# A neighbour may hold back 64 packets, all of them together 512; but each one its latest (RFC 1122, 2.3.2.2).
WAITING_MAX = 64
WAITING_TOTAL_MAX = 512
_ENTRIES_MAX = cython.declare(cython.Py_ssize_t, ENTRIES_MAX)
_WAITING_MAX = cython.declare(cython.Py_ssize_t, WAITING_MAX)
_WAITING_TOTAL_MAX = cython.declare(uint32_t, WAITING_TOTAL_MAX)

# Requests for one address are at least a second apart (RFC 1122, 2.3.2.1).
_RETRY = cython.declare(uint64_t, 1_000_000_000)
_RETRIES = cython.declare(uint8_t, 3)
_REACHABLE = cython.declare(uint64_t, 60_000_000_000)
# Entries looked at to find one to evict.
_EVICT_TRIES = cython.declare(cython.int, 8)

_ARP_BYTES = cython.declare(uint32_t, ethernet.HEADER_BYTES + arp.PACKET_BYTES)
_BROADCAST = cython.declare(uint8_t[6])
memset(_BROADCAST, 255, 6)
_UNKNOWN = cython.declare(uint8_t[6])


@cython.cfunc
@cython.exceptval(-1, check=False)
def _timer_due(owner: cython.p_void, now: uint64_t) -> cython.int:
    neighbour: Neighbour = cython.cast(Neighbour, owner)
    table: Neighbours = neighbour.table
    if neighbour.state == REACHABLE:
        neighbour.state = STALE
        neighbour.usable = False
    elif neighbour.attempts <= _RETRIES:
        table._request(neighbour)
    elif neighbour.state == PROBING:
        # It does not answer where it was: the next packet asks everybody (RFC 1122, 2.3.2.1, "Unicast Poll"), or takes
        # another gateway.
        neighbour.state = FAILED
        neighbour.usable = False
        neighbour.retry_at = now
    else:
        neighbour.state = FAILED
        neighbour.retry_at = now + _RETRY
        table.interface.counters.neighbours_failed += 1
        table._drop_waiting(neighbour, cython.address(table.interface.counters.waiting_dropped_failed))
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _retire(neighbour: Neighbour) -> cython.void:
    if neighbour.timer.pending:
        timers().cancel(cython.address(neighbour.timer))
    neighbour.state = GONE
    neighbour.usable = False
    neighbour.table = None


def send_request(interface, to, sender, target):
    frame: Chain = new_chain()
    at: cython.pointer(uint8_t) = frame.prepend(_ARP_BYTES, PLACE_NETWORK)
    if at == cython.NULL:
        interface.counters.transmit_exhausted += 1
        return 0
    if to == cython.NULL:
        to = _BROADCAST
    ethernet.write(at, to, interface.link_bytes, ethernet.ETHERTYPE_ARP)
    arp.write(at + ethernet.HEADER_BYTES, arp.OPERATION_REQUEST, interface.link_bytes, sender, _UNKNOWN, target)
    if interface.transmit(frame):
        interface.counters.arp_requests_sent += 1
    return 0


class Neighbour:
    def __cinit__(self):
        self.timer.function = _timer_due
        self.timer.owner = cython.cast(cython.p_void, self)


class Neighbours:
    def __cinit__(self, interface: Interface):
        self.interface = interface
        self.entries = {}

    def obtain(self, address):
        found: Neighbour = self.entries.get(address)
        oldest: Neighbour
        interface: Interface = self.interface
        if found is not None:
            return found
        if len(self.entries) >= _ENTRIES_MAX:
            # The oldest of no use; else, after a few, the oldest at hand. Those of use go to the young end.
            for _ in range(_EVICT_TRIES):
                oldest = self.entries[next(iter(self.entries))]
                if not oldest.usable:
                    break
                del self.entries[oldest.address]
                self.entries[oldest.address] = oldest
            interface.counters.neighbours_evicted += 1
            self._remove(oldest)
        found = Neighbour.__new__(Neighbour)
        found.address = address
        found.table = self
        ethernet.write(found.header, _UNKNOWN, interface.link_bytes, ethernet.ETHERTYPE_IPV4)
        if address == EVERYBODY:
            memcpy(found.header, _BROADCAST, ethernet.ADDRESS_BYTES)
            found.state = REACHABLE
            found.usable = True
        self.entries[address] = found
        return found

    def send(self, neighbour, frame):
        counters: cython.pointer(net_counters_t) = self.interface.counters
        held: Chain
        if neighbour.state == STALE:
            # Goes where it went before, and the neighbour is asked whether it is still there.
            neighbour.state = PROBING
            neighbour.usable = True
            neighbour.attempts = 0
            self._request(neighbour)
        if neighbour.usable:
            memcpy(frame.head.data, neighbour.header, ethernet.HEADER_BYTES)
            return self.interface.queue.transmit(frame)
        if neighbour.state == FAILED:
            if events().now < neighbour.retry_at:
                counters.waiting_dropped_failed += 1
                frame.advance(frame.length)
                return True
            neighbour.state = INCOMPLETE
            neighbour.attempts = 0
        if neighbour.waiting is None:
            neighbour.waiting = deque()
        elif len(neighbour.waiting) >= _WAITING_MAX or self.waiting >= _WAITING_TOTAL_MAX:
            # The latest is kept rather than the oldest (RFC 1122, 2.3.2.2).
            neighbour.waiting.popleft()
            self.waiting -= 1
            counters.waiting_dropped_full += 1
        held = new_chain()
        held.move_from(frame)
        held.offload = frame.offload
        neighbour.waiting.append(held)
        self.waiting += 1
        if not neighbour.timer.pending:
            self._request(neighbour)
        return True

    def receive_arp(self, frame):
        interface: Interface = self.interface
        counters: cython.pointer(net_counters_t) = interface.counters
        head: cython.pointer(iobuf_t) = frame.head
        packet: cython.pointer(uint8_t) = head.data + ethernet.HEADER_BYTES
        sender: uint32_t
        reason: cython.int = arp.check(packet, head.length - ethernet.HEADER_BYTES)
        mac: uint64_t
        ours: cython.bint
        local: LocalAddress
        known: Neighbour
        counters.arp_received += 1
        if reason:
            (cython.address(counters.arp_truncated))[reason - 1] += 1
            return 0
        sender = raw32(packet + arp.OFFSET_SENDER_ADDRESS)
        mac = ethernet.address_at(packet + arp.OFFSET_SENDER_MAC)
        # Nobody's link address; or a frame of ours that came back, which is no conflict (RFC 5227, 2.4).
        if (
            ethernet.is_multicast(mac)
            or ethernet.is_multicast(ethernet.address_at(head.data + ethernet.OFFSET_SOURCE))
            or mac == interface.link_address
        ):
            counters.arp_bad_sender += 1
            return 0
        local = interface.local(sender)
        if local is not None:
            return local.claimed(packet + arp.OFFSET_SENDER_MAC)
        local = interface.local(raw32(packet + arp.OFFSET_TARGET_ADDRESS))
        ours = local is not None and local.state == PREFERRED
        # 0.0.0.0 asks whether the address is free (RFC 5227, 2.1.1): answered, but there is nothing to learn.
        if sender == 0:
            if local is not None and not ours and load16(packet + arp.OFFSET_OPERATION) == arp.OPERATION_REQUEST:
                # Two ask at the same time: neither may use it.
                return local.claimed(packet + arp.OFFSET_SENDER_MAC)
        else:
            if not interface.is_neighbour(sender):
                counters.arp_bad_sender += 1
                return 0
            # RFC 826, "Packet Reception": what is known is updated; added are only those who ask for us, because we
            # shall have to answer them. An answer that nobody asked for adds nothing.
            known = self.entries.get(sender)
            if known is None and ours and load16(packet + arp.OFFSET_OPERATION) == arp.OPERATION_REQUEST:
                known = self.obtain(sender)
            if known is not None:
                self._learn(known, packet + arp.OFFSET_SENDER_MAC)
        if ours and load16(packet + arp.OFFSET_OPERATION) == arp.OPERATION_REQUEST:
            return self._reply(frame)
        return 0

    def is_alive(self, address):
        found: Neighbour = self.entries.get(address)
        return found is None or found.state != FAILED

    def ask_again(self, address):
        found: Neighbour = self.entries.get(address)
        if found is not None and found.state == FAILED and events().now >= found.retry_at:
            found.retry_at = events().now + _RETRY
            return send_request(self.interface, cython.NULL, self.interface.source_for(address), address)
        return 0

    def doubt(self, neighbour):
        if neighbour.state == REACHABLE:
            timers().cancel(cython.address(neighbour.timer))
            neighbour.state = STALE
            neighbour.usable = False

    def renew(self):
        old: Neighbour
        made: Neighbour
        for old in list(self.entries.values()):
            made = Neighbour.__new__(Neighbour)
            made.usable = old.usable
            made.state = old.state
            made.attempts = old.attempts
            memcpy(made.header, old.header, ethernet.HEADER_BYTES)
            made.address = old.address
            made.retry_at = old.retry_at
            made.waiting = old.waiting
            made.table = self
            if old.timer.pending:
                timers().set(cython.address(made.timer), old.timer.deadline)
            self.entries[made.address] = made
            old.waiting = None
            _retire(old)

    def close(self):
        for address in list(self.entries):
            self._remove(self.entries[address])
        self.interface = None

    def _learn(self, neighbour, mac):
        frame: Chain
        interface: Interface = self.interface
        if neighbour.state == REACHABLE or neighbour.state == STALE or neighbour.state == PROBING:
            if ethernet.address_at(neighbour.header) != ethernet.address_at(mac):
                interface.counters.neighbours_moved += 1
        memcpy(neighbour.header, mac, ethernet.ADDRESS_BYTES)
        neighbour.state = REACHABLE
        neighbour.usable = True
        neighbour.attempts = 0
        timers().set(cython.address(neighbour.timer), events().now + _REACHABLE)
        if neighbour.waiting is None:
            return 0
        waiting: object = neighbour.waiting
        neighbour.waiting = None
        self.waiting -= cython.cast(uint32_t, len(waiting))
        for frame in waiting:
            memcpy(frame.head.data, neighbour.header, ethernet.HEADER_BYTES)
            interface.transmit(frame)
        return 0

    def _request(self, neighbour):
        """Asks for its link address: itself when PROBING, else everybody. Asks again after a second."""
        interface: Interface = self.interface
        asked: cython.pointer(uint8_t) = cython.NULL
        if neighbour.state == PROBING:
            asked = neighbour.header
        neighbour.attempts += 1
        timers().set(cython.address(neighbour.timer), events().now + _RETRY)
        return send_request(interface, asked, interface.source_for(neighbour.address), neighbour.address)

    def _reply(self, frame):
        """Answers a request, in its own slot if nobody else sees that."""
        interface: Interface = self.interface
        head: cython.pointer(iobuf_t) = frame.head
        at: cython.pointer(uint8_t) = head.data
        asker: uint8_t[6]
        address: uint32_t = raw32(at + ethernet.HEADER_BYTES + arp.OFFSET_SENDER_ADDRESS)
        asked: uint32_t = raw32(at + ethernet.HEADER_BYTES + arp.OFFSET_TARGET_ADDRESS)
        memcpy(asker, at + ethernet.HEADER_BYTES + arp.OFFSET_SENDER_MAC, 6)
        if writable(head):
            frame.trim(frame.length - _ARP_BYTES)
            memset(cython.address(frame.offload), 0, cython.sizeof(frame.offload))
        else:
            frame = new_chain()
            at = frame.prepend(_ARP_BYTES, PLACE_NETWORK)
            if at == cython.NULL:
                interface.counters.transmit_exhausted += 1
                return 0
        ethernet.write(at, asker, interface.link_bytes, ethernet.ETHERTYPE_ARP)
        arp.write(at + ethernet.HEADER_BYTES, arp.OPERATION_REPLY, interface.link_bytes, asked, asker, address)
        if interface.transmit(frame):
            interface.counters.arp_replies_sent += 1
        return 0

    def _drop_waiting(self, neighbour, counter):
        if neighbour.waiting is not None:
            counter[0] += len(neighbour.waiting)
            self.waiting -= cython.cast(uint32_t, len(neighbour.waiting))
            neighbour.waiting = None

    def _remove(self, neighbour):
        self._drop_waiting(neighbour, cython.address(self.interface.counters.waiting_dropped_evicted))
        del self.entries[neighbour.address]
        _retire(neighbour)

    def __len__(self):
        return len(self.entries)

    def __iter__(self):
        """(address, link address or None, state) of every neighbour, as text."""
        found: Neighbour
        rows = []
        for found in self.entries.values():
            mac = cython.cast(bytes, found.header[:6]).hex(":")
            rows.append(
                (
                    format_address(mapped(found.address)),
                    None if found.state == INCOMPLETE or found.state == FAILED else mac,
                    STATES[found.state],
                )
            )
        return iter(rows)
