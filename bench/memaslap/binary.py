"""memcached's binary protocol, as a client speaks it."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap.client import (
    BROKEN,
    COPY_BYTES,
    DONE,
    GET,
    MORE,
    PREFIX_BYTES,
    client_t,
    item_t,
    task_t,
)
from cython.cimports.bench.memaslap.value import expect, refuse_status, take
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.wire.bytes import load16, load32, store16, store32

_REQUEST = cython.declare(uint8_t, 0x80)
_RESPONSE = cython.declare(uint8_t, 0x81)
_GET = cython.declare(uint8_t, 0)
_SET = cython.declare(uint8_t, 1)
_SUCCESS = cython.declare(cython.uint, 0)
_NOT_FOUND = cython.declare(cython.uint, 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _put(
    to: cython.pointer(uint8_t),
    t: cython.pointer(task_t),
    item: cython.pointer(item_t),
    command: uint8_t,
    number: uint32_t,
    extras: uint8_t,
    value: uint32_t,
) -> cython.pointer(uint8_t):
    """Header and key; extras are left free."""
    memset(to, 0, HEADER_BYTES)
    to[0] = _REQUEST
    to[1] = command
    store16(to + 2, item.key_bytes)
    to[4] = extras
    store32(to + 8, extras + item.key_bytes + value)
    store32(to + 12, number)  # opaque
    to += HEADER_BYTES + extras
    memcpy(to, item.prefix, PREFIX_BYTES)
    memcpy(to + PREFIX_BYTES, t.settings.characters + item.key_at, item.key_bytes - PREFIX_BYTES)
    return to + item.key_bytes


def build(c, t):
    start: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), c.request)
    to: cython.pointer(uint8_t) = start
    item: cython.pointer(item_t)
    value: cython.p_const_char
    i: uint32_t
    c.part = 0
    c.part_count = 1
    if c.kind == GET:
        for i in range(c.wanted_count):
            to = _put(to, t, c.wanted[i].item, _GET, i, 0, 0)
    else:
        item = c.item
        to = _put(to, t, item, _SET, 0, SET_EXTRAS_BYTES, item.value_bytes)
        store32(start + HEADER_BYTES, 0)  # flags
        store32(start + HEADER_BYTES + 4, t.settings.expiry if item.expires else 0)
        value = t.settings.characters + c.value_at
        if item.value_bytes <= COPY_BYTES:
            memcpy(to, value, item.value_bytes)
            to += item.value_bytes
        else:
            c.part_count = 2
            c.parts[1].iov_base = cython.cast(cython.p_void, value)
            c.parts[1].iov_len = item.value_bytes
    c.parts[0].iov_base = start
    c.parts[0].iov_len = to - start


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _header(
    c: cython.pointer(client_t),
    t: cython.pointer(task_t),
    header: cython.pointer(uint8_t),
    stored: cython.pointer(cython.bint),
) -> cython.int:
    status: cython.uint = load16(header + 6)
    body: uint32_t = load32(header + 8)
    before: uint32_t = header[4] + load16(header + 2)
    number: uint32_t = load32(header + 12)
    if (
        header[0] != _RESPONSE
        or header[1] != (_GET if c.kind == GET else _SET)
        or before > body
        or number != c.answered
    ):
        refuse_status(t, b"not a binary answer to what was asked", status)
        return BROKEN
    c.skip = body
    c.compare_bytes = 0
    if c.kind == GET:
        if status == _SUCCESS:
            c.before = before
            expect(c, t, c.wanted + number, body - before)
        else:
            c.answered += 1
            if status != _NOT_FOUND:
                refuse_status(t, b"a binary get was refused", status)
    else:
        c.answered = 1
        if status == _SUCCESS:
            stored[0] = True
        else:
            refuse_status(t, b"a binary set was refused", status)
    return MORE


def read(c, t, data, length, stored):
    end: cython.p_const_char = data + length
    count: uint64_t
    expected: uint32_t = c.wanted_count if c.kind == GET else 1
    while True:
        if c.skip:
            if data == end:
                return MORE
            if c.before:  # extras and key, before the value
                count = min(cython.cast(uint64_t, c.before), cython.cast(uint64_t, end - data))
                c.before -= cython.cast(uint32_t, count)
                c.skip -= count
                data += count
            else:
                data += take(c, t, data, end - data)
            continue
        if c.answered == expected:
            if data == end:
                return DONE
            refuse_status(t, b"more binary answers than were asked for", 0)
            return BROKEN
        if end - data < HEADER_BYTES:
            c.tail_bytes = cython.cast(uint32_t, end - data)
            memcpy(c.tail, data, c.tail_bytes)
            return MORE
        if _header(c, t, cython.cast(cython.pointer(uint8_t), data), stored) == BROKEN:
            return BROKEN
        data += HEADER_BYTES
