"""Address conflict detection. Times and counts are those of RFC 5227, 1.1."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import logging

from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.event.timer import timers
from cython.cimports.netapp.net.address import format_address, mapped
from cython.cimports.netapp.net.neighbours import send_request
from cython.cimports.netapp.wire.bytes import swap32

_log = logging.getLogger("netapp.net")

SECOND = 1_000_000_000
PROBE_WAIT = 1 * SECOND
PROBE_NUM = 3
PROBE_MIN = 1 * SECOND
PROBE_MAX = 2 * SECOND
ANNOUNCE_WAIT = 2 * SECOND
ANNOUNCE_NUM = 2
ANNOUNCE_INTERVAL = 2 * SECOND
DEFEND_INTERVAL = 10 * SECOND

_PROBE_NUM = cython.declare(uint8_t, PROBE_NUM)
_ANNOUNCE_NUM = cython.declare(uint8_t, ANNOUNCE_NUM)
_ANNOUNCE_INTERVAL = cython.declare(uint64_t, ANNOUNCE_INTERVAL)
_DEFEND_INTERVAL = cython.declare(uint64_t, DEFEND_INTERVAL)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _timer_due(owner: cython.p_void, now: uint64_t) -> cython.int:
    local: LocalAddress = cython.cast(LocalAddress, owner)
    if local.state == PREFERRED:
        return local._announce(now)
    if local.sent == _PROBE_NUM:
        # Nobody answered within ANNOUNCE_WAIT of the last probe.
        return local._take()
    # RFC 5227, 2.1.1: a request from 0.0.0.0, which teaches nobody anything.
    local.sent += 1
    send_request(local.interface, cython.NULL, 0, local.address)
    if local.sent == _PROBE_NUM:
        timers().set(cython.address(local.timer), now + cython.cast(uint64_t, ANNOUNCE_WAIT))
    else:
        timers().set(cython.address(local.timer), now + local.interface.manager.random_time(PROBE_MIN, PROBE_MAX))
    return 0


class LocalAddress:
    def __cinit__(self):
        self.timer.function = _timer_due
        self.timer.owner = cython.cast(cython.p_void, self)

    def begin(self, config):
        self.announces = config.announce
        self.gives_up = config.give_up
        if not config.detect_conflicts:
            return self._take()
        timers().set(cython.address(self.timer), events().now + self.interface.manager.random_time(0, PROBE_WAIT))
        return 0

    def covers(self, address):
        return (address ^ self.address) & self.netmask == 0

    def claimed(self, mac):
        interface: Interface = self.interface
        now: uint64_t = events().now
        interface.counters.arp_conflict += 1
        if self.conflict_at == 0 or now - self.conflict_at >= _DEFEND_INTERVAL:
            self.conflict_at = now
            _log.warning(
                "%s: %s says that %s is its address",
                interface.name,
                cython.cast(bytes, mac[:6]).hex(":"),
                format_address(mapped(self.address)),
            )
        if self.state == TENTATIVE:
            # RFC 5227, 2.1.1: not to be used.
            return self._lose()
        # RFC 5227, 2.4 (b) and (c): one announcement in ten seconds. Whoever claims it again within them …
        if self.defended_at != 0 and now - self.defended_at < _DEFEND_INTERVAL:
            # … gets it (b), or no answer (c), so that two who insist do not fill the network.
            return self._lose() if self.gives_up else 0
        self.defended_at = now
        interface.counters.arp_defences += 1
        send_request(interface, cython.NULL, self.address, self.address)
        return 0

    def end(self):
        if self.timer.pending:
            timers().cancel(cython.address(self.timer))
        self.state = LOST
        self.interface = None

    def _take(self):
        self.state = PREFERRED
        self.sent = 0
        self.interface.choose()
        return self._announce(events().now) if self.announces else 0

    def _announce(self, now):
        # RFC 5227, 2.3: a request from it for itself corrects what others have in their caches.
        self.sent += 1
        self.interface.counters.arp_announcements += 1
        send_request(self.interface, cython.NULL, self.address, self.address)
        if self.sent < _ANNOUNCE_NUM:
            timers().set(cython.address(self.timer), now + _ANNOUNCE_INTERVAL)
        return 0

    def _lose(self):
        interface: Interface = self.interface
        _log.error(
            "%s: %s is somebody else's address and is not used", interface.name, format_address(mapped(self.address))
        )
        interface.counters.addresses_lost += 1
        interface.manager.remove_local(self)
        return 0


def make_local(interface, address):
    made: LocalAddress = LocalAddress.__new__(LocalAddress)
    number: uint32_t = int(address.ip)
    made.interface = interface
    made.address = swap32(number)
    number = int(address.netmask)
    made.netmask = swap32(number)
    made.prefix_length = address.network.prefixlen
    # A subnet of two hosts, or of one, has no broadcast address (RFC 3021).
    made.broadcast = made.address | ~made.netmask if made.prefix_length < 31 else ~cython.cast(uint32_t, 0)
    return made
