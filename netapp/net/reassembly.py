"""Reassembly. Overlaps are refused as RFC 5722 does for IPv6: who sends them means to deceive one of those who look at
the packets. What is sent twice with the same bytes harms nobody and is dropped."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcmp, memcpy, memmove
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.event.timer import timers
from cython.cimports.netapp.iobuf.chain import new_chain
from cython.cimports.netapp.iobuf.pool import PLACE_NETWORK, iobuf_t, only_reserve, running_pool
from cython.cimports.netapp.net.address import ipv4_of
from cython.cimports.netapp.net.icmp_errors import send_error
from cython.cimports.netapp.wire import icmp, ipv4
from cython.cimports.netapp.wire.bytes import load16, store16

# RFC 1122, 3.3.2: 60 to 120 seconds from the first fragment that comes, whatever its time to live.
TIMEOUT = 60_000_000_000
DATAGRAMS_MAX = 256
SOURCE_DATAGRAMS_MAX = 64
FRAGMENTS_MAX = 256  # 64 KiB over a link of 296 bytes
PINNED_MAX = 4 << 20
DATAGRAM_PINNED_MAX = 128 << 10
_TIMEOUT = cython.declare(uint64_t, TIMEOUT)
_DATAGRAMS_MAX = cython.declare(cython.Py_ssize_t, DATAGRAMS_MAX)
_SOURCE_DATAGRAMS_MAX = cython.declare(cython.int, SOURCE_DATAGRAMS_MAX)
_FRAGMENTS_MAX = cython.declare(uint32_t, FRAGMENTS_MAX)
_PINNED_MAX = cython.declare(uint64_t, PINNED_MAX)
_DATAGRAM_PINNED_MAX = cython.declare(uint64_t, DATAGRAM_PINNED_MAX)
_KEY_BYTES = cython.declare(cython.Py_ssize_t, 19)
# RFC 1858, 3 and 4: a first fragment without the ports and flags, or a second one over them, is to get past a filter.
_TCP_FIRST_BYTES = cython.declare(uint32_t, 20)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _timer_due(owner: cython.p_void, now: uint64_t) -> cython.int:
    return cython.cast(Reassembly, owner)._expire(now)


@cython.cfunc
@cython.exceptval(check=False)
def _same_bytes(kept: Chain, offset: uint64_t, data: Chain) -> cython.bint:
    view: cython.pointer(iobuf_t) = kept.head
    other: cython.pointer(iobuf_t) = data.head
    done: uint64_t = 0
    piece: uint64_t
    while other != cython.NULL:
        while offset >= view.length:
            offset -= view.length
            view = view.next
        piece = view.length - offset
        if piece > other.length - done:
            piece = other.length - done
        if memcmp(view.data + offset, other.data + done, piece) != 0:
            return False
        offset += piece
        done += piece
        if done == other.length:
            other = other.next
            done = 0
    return True


class Datagram:
    def __dealloc__(self):
        self.forget()

    def forget(self):
        i: cython.int
        for i in range(self.count):
            Py_DECREF(cython.cast(object, self.ranges[i].data))
        self.count = 0


class Reassembly:
    def __cinit__(self):
        self.datagrams = {}
        self.sources = {}
        self.timer.function = _timer_due
        self.timer.owner = cython.cast(cython.p_void, self)

    def fragment_arrives(self, interface, fragment, info):
        word: uint16_t = load16(info.header + ipv4.OFFSET_FRAGMENT)
        header_length: uint32_t = ipv4.header_length(info.header)
        start: uint32_t = cython.cast(uint32_t, word & ipv4.FRAGMENT_OFFSET) * 8
        end: uint32_t = start + cython.cast(uint32_t, fragment.length)
        found: Datagram
        at: cython.int = 0
        last: cython.bint = not word & ipv4.MORE_FRAGMENTS
        key: bytes
        done: Chain
        self.counters.ipv4_fragments += 1
        if fragment.length == 0 or (not last and fragment.length & 7):
            self.counters.ipv4_fragments_bad_length += 1
            return None
        if end > 65535 - header_length:
            self.counters.ipv4_fragments_oversized += 1
            return None
        if info.header[ipv4.OFFSET_PROTOCOL] == ipv4.PROTOCOL_TCP and (
            (start == 0 and fragment.length < _TCP_FIRST_BYTES) or 0 < start < _TCP_FIRST_BYTES
        ):
            self.counters.ipv4_fragments_tiny += 1
            return None
        if only_reserve(running_pool()):
            self.counters.ipv4_fragments_exhausted += 1
            return None
        key = _key_of(interface, info.header)
        found = self.datagrams.get(key)
        if found is None:
            found = self._begin(key, ipv4_of(info.key.remote))
            found.info = info[0]
        elif found.refused:
            self.counters.ipv4_fragments_refused += 1
            return None
        while at < found.count and found.ranges[at].end <= start:
            at += 1
        if at < found.count and found.ranges[at].start < end:
            if (
                found.ranges[at].start <= start
                and end <= found.ranges[at].end
                and (not last or end == found.length)
                and _same_bytes(cython.cast(Chain, found.ranges[at].data), start - found.ranges[at].start, fragment)
            ):
                self.counters.ipv4_fragments_duplicate += 1
            else:
                self._refuse(found, cython.address(self.counters.ipv4_reassembly_overlaps))
            return None
        # Two ends, or data behind the end.
        if (found.length and (last or end > found.length)) or (last and at < found.count):
            self._refuse(found, cython.address(self.counters.ipv4_reassembly_overlaps))
            return None
        if found.fragments == _FRAGMENTS_MAX:
            self._refuse(found, cython.address(self.counters.ipv4_reassembly_limits))
            return None
        if not self._keep(found, at, start, fragment):
            return None
        found.fragments += 1
        if info.multicast:
            found.info.multicast = True
        if last:
            found.length = end
        if start == 0:
            memcpy(found.header, info.header, header_length)
        if found.length == 0 or found.count != 1 or found.ranges[0].start != 0 or found.ranges[0].end != found.length:
            if found.pinned > _DATAGRAM_PINNED_MAX:
                self._refuse(found, cython.address(self.counters.ipv4_reassembly_limits))
            while self.pinned > _PINNED_MAX:
                self._evict()
            return None
        done = new_chain()
        done.move_from(cython.cast(Chain, found.ranges[0].data))
        self._remove(found)
        header_length = ipv4.header_length(found.header)
        memcpy(self.header, found.header, header_length)
        if found.length + header_length > 65535:
            self.counters.ipv4_fragments_oversized += 1
            return None
        store16(self.header + ipv4.OFFSET_TOTAL_LENGTH, cython.cast(uint16_t, header_length + found.length))
        store16(self.header + ipv4.OFFSET_FRAGMENT, 0)
        info.header = self.header
        info.multicast = found.info.multicast
        self.counters.ipv4_reassembled += 1
        return done

    def _begin(self, key, source):
        made: Datagram
        other: Datagram
        number: cython.int = self.sources.get(source, 0)
        if number >= _SOURCE_DATAGRAMS_MAX:
            for other in self.datagrams.values():
                if ipv4_of(other.info.key.remote) == source:
                    self.counters.ipv4_reassembly_evicted += 1
                    self._remove(other)
                    break
        # The oldest is the one least likely to be completed: fragments of one datagram follow each other.
        if len(self.datagrams) >= _DATAGRAMS_MAX:
            self._evict()
        made = Datagram.__new__(Datagram)
        made.key = key
        made.deadline = events().now + _TIMEOUT
        self.datagrams[key] = made
        number = self.sources.get(source, 0)
        self.sources[source] = number + 1
        if not self.timer.pending:
            timers().set(cython.address(self.timer), made.deadline)
        return made

    def _keep(self, datagram, at, start, fragment):
        """Puts it before range `at`. False: no room, which is counted."""
        end: uint32_t = start + cython.cast(uint32_t, fragment.length)
        before: Chain = None
        kept: Chain = None
        view: cython.pointer(iobuf_t)
        pinned: uint64_t = 0
        length: uint64_t
        i: cython.int
        if at and datagram.ranges[at - 1].end == start:
            before = cython.cast(Chain, datagram.ranges[at - 1].data)
        elif datagram.count == RANGES and not (at < datagram.count and datagram.ranges[at].start == end):
            self._refuse(datagram, cython.address(self.counters.ipv4_reassembly_limits))
            return False
        if fragment.pinned() * 100 <= fragment.length * 145:
            kept = new_chain()
            kept.move_from(fragment)
            pinned = kept.pinned()
        elif before is not None:
            pinned = before.pinned()
            length = before.length
            view = fragment.head
            while view != cython.NULL:
                if not before.append_copy(view.data, view.length, PLACE_NETWORK):
                    before.trim(before.length - length)
                    self.counters.ipv4_fragments_exhausted += 1
                    return False
                view = view.next
            pinned = before.pinned() - pinned
        else:
            kept = fragment.compact(PLACE_NETWORK)
            if kept is None:
                self.counters.ipv4_fragments_exhausted += 1
                return False
            pinned = kept.pinned()
        datagram.pinned += pinned
        self.pinned += pinned
        if before is not None:
            if kept is not None:
                before.move_from(kept)
            at -= 1
            datagram.ranges[at].end = end
        else:
            if at < datagram.count and datagram.ranges[at].start == end:
                # In front of the next one, whose chain it becomes part of.
                kept.move_from(cython.cast(Chain, datagram.ranges[at].data))
                Py_DECREF(cython.cast(object, datagram.ranges[at].data))
            else:
                memmove(
                    cython.address(datagram.ranges[at + 1]),
                    cython.address(datagram.ranges[at]),
                    (datagram.count - at) * cython.sizeof(fragment_range_t),
                )
                datagram.count += 1
                datagram.ranges[at].end = end
            Py_INCREF(kept)
            datagram.ranges[at].start = start
            datagram.ranges[at].data = cython.cast(cython.pointer(PyObject), kept)
        i = at + 1
        if i < datagram.count and datagram.ranges[i].start == datagram.ranges[at].end:
            cython.cast(Chain, datagram.ranges[at].data).move_from(cython.cast(Chain, datagram.ranges[i].data))
            Py_DECREF(cython.cast(object, datagram.ranges[i].data))
            datagram.ranges[at].end = datagram.ranges[i].end
            memmove(
                cython.address(datagram.ranges[i]),
                cython.address(datagram.ranges[i + 1]),
                (datagram.count - i - 1) * cython.sizeof(fragment_range_t),
            )
            datagram.count -= 1
        return True

    def _remove(self, datagram):
        source: uint32_t = ipv4_of(datagram.info.key.remote)
        number: cython.int = self.sources[source]
        if number == 1:
            del self.sources[source]
        else:
            self.sources[source] = number - 1
        del self.datagrams[datagram.key]
        self.pinned -= datagram.pinned
        if not self.datagrams and self.timer.pending:
            timers().cancel(cython.address(self.timer))

    def _refuse(self, datagram, counter):
        """What it has is dropped at once; it stays, so that what comes of it later is dropped too (RFC 5722, 4)."""
        counter[0] += 1
        datagram.refused = True
        datagram.forget()
        self.pinned -= datagram.pinned
        datagram.pinned = 0

    def _evict(self):
        oldest: Datagram = self.datagrams[next(iter(self.datagrams))]
        self.counters.ipv4_reassembly_evicted += 1
        self._remove(oldest)

    def _expire(self, now):
        oldest: Datagram
        while self.datagrams:
            oldest = self.datagrams[next(iter(self.datagrams))]
            if oldest.deadline > now:
                timers().set(cython.address(self.timer), oldest.deadline)
                break
            self._remove(oldest)
            if oldest.refused:
                continue
            self.counters.ipv4_reassembly_timeouts += 1
            # RFC 1122, 3.3.2 and RFC 792: only who has sent the first fragment is told.
            if oldest.header[0]:
                oldest.info.header = oldest.header
                send_error(
                    cython.cast(Chain, oldest.ranges[0].data),
                    cython.address(oldest.info),
                    icmp.TYPE_TIME_EXCEEDED,
                    icmp.CODE_REASSEMBLY,
                    0,
                )
        return 0

    def close(self):
        if self.timer.pending:
            timers().cancel(cython.address(self.timer))
        self.datagrams = {}
        self.sources = {}
        self.pinned = 0

    def __len__(self):
        return len(self.datagrams)


@cython.cfunc
def _key_of(interface: Interface, header: cython.pointer(cython.const[uint8_t])) -> bytes:
    """What tells datagrams apart (RFC 791, 3.2), and where it came in."""
    key: cython.char[19]
    at: cython.p_void = cython.cast(cython.p_void, interface)
    memcpy(key, header + ipv4.OFFSET_SOURCE, 8)
    memcpy(key + 8, header + ipv4.OFFSET_IDENTIFICATION, 2)
    key[10] = header[ipv4.OFFSET_PROTOCOL]
    memcpy(key + 11, cython.address(at), 8)
    return PyBytes_FromStringAndSize(key, _KEY_BYTES)
