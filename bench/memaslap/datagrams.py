"""memcached's frames over UDP."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap.client import (
    DATAGRAM_HEADER_BYTES,
    DATAGRAMS_MAX,
    DONE,
    MORE,
    datagrams_t,
)
from cython.cimports.bench.memaslap.sockets import EMSGSIZE, receive_framed
from cython.cimports.libc.stdint import int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc, realloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.wire.bytes import load16, store16

_LARGEST = cython.declare(uint64_t, 65536)  # datagram
_FIRST = cython.declare(uint64_t, 2 * 65536)


def new_datagrams():
    d: cython.pointer(datagrams_t) = cython.cast(cython.pointer(datagrams_t), calloc(1, cython.sizeof(datagrams_t)))
    if d != cython.NULL:
        d.size = _FIRST
        d.bytes = cython.cast(cython.pointer(uint8_t), malloc(_FIRST))
        d.sorted = cython.cast(cython.pointer(uint8_t), malloc(_FIRST))
        if d.bytes == cython.NULL or d.sorted == cython.NULL:
            free_datagrams(d)
            return cython.NULL
    return d


def free_datagrams(d):
    if d != cython.NULL:
        free(d.bytes)
        free(d.sorted)
        free(d)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _clear(d: cython.pointer(datagrams_t)) -> cython.void:
    memset(cython.address(d.starts[0]), 0, d.expected * cython.sizeof(uint32_t))
    d.length = 0
    d.expected = 0
    d.arrived = 0
    d.next = 0
    d.disordered = False


def frame(c):
    d: cython.pointer(datagrams_t) = c.datagrams
    header: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), c.request) - DATAGRAM_HEADER_BYTES
    _clear(d)
    d.request = cython.cast(uint16_t, (d.request + 1) & 0xFFFF)
    store16(header, d.request)
    store16(header + 2, 0)
    store16(header + 4, 1)
    store16(header + 6, 0)
    c.parts[0].iov_base = header
    c.parts[0].iov_len += DATAGRAM_HEADER_BYTES


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _grow(d: cython.pointer(datagrams_t)) -> cython.bint:
    size: uint64_t = d.size * 2
    larger: cython.p_void = realloc(d.bytes, size)
    if larger == cython.NULL:
        return False
    d.bytes = cython.cast(cython.pointer(uint8_t), larger)
    larger = realloc(d.sorted, size)
    if larger == cython.NULL:
        return False
    d.sorted = cython.cast(cython.pointer(uint8_t), larger)
    d.size = size
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sort(d: cython.pointer(datagrams_t)) -> cython.void:
    to: cython.pointer(uint8_t) = d.sorted
    i: uint32_t
    for i in range(d.expected):
        memcpy(to, d.bytes + d.starts[i] - 1, d.lengths[i])
        to += d.lengths[i]
    d.sorted = d.bytes
    d.bytes = to - d.length


def collect(c, t, fd):
    d: cython.pointer(datagrams_t) = c.datagrams
    header: uint8_t[8]
    got: int64_t
    number: uint16_t
    count: uint16_t
    length: uint64_t
    if d.size - d.length < _LARGEST and not _grow(d):
        return -EMSGSIZE
    got = receive_framed(fd, cython.address(header[0]), d.bytes + d.length, d.size - d.length)
    if got < 0:
        return cython.cast(cython.int, got)
    t.counters.read_bytes += got
    if got < DATAGRAM_HEADER_BYTES:
        return MORE
    length = got - DATAGRAM_HEADER_BYTES
    number = load16(cython.address(header[2]))
    count = load16(cython.address(header[4]))
    if (
        load16(cython.address(header[0])) != d.request
        or number >= count
        or count > DATAGRAMS_MAX
        or (d.expected and count != d.expected)
        or d.starts[number]
    ):
        t.counters.packet_disorder += 1  # of an earlier request, most likely
        return MORE
    if number != d.next:
        t.counters.packet_disorder += 1
        d.disordered = True
    d.next = number + 1
    d.expected = count
    d.arrived += 1
    d.starts[number] = cython.cast(uint32_t, d.length) + 1
    d.lengths[number] = cython.cast(uint32_t, length)
    d.length += length
    if d.arrived < count:
        return MORE
    if d.disordered:
        _sort(d)
    return DONE


def give_up(c, t):
    d: cython.pointer(datagrams_t) = c.datagrams
    t.counters.udp_timeout += 1
    t.counters.packet_drop += max(d.expected, 1) - d.arrived
    d.request = cython.cast(uint16_t, (d.request + 1) & 0xFFFF)  # what comes now is of an earlier one
    _clear(d)


def follow(c):
    _clear(c.datagrams)
