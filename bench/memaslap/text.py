"""memcached's text protocol, as a client speaks it."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap.client import (
    BROKEN,
    COPY_BYTES,
    DONE,
    GET,
    LINE_BYTES_MAX,
    MORE,
    PREFIX_BYTES,
    client_t,
    item_t,
    task_t,
)
from cython.cimports.bench.memaslap.value import expect, refuse, take
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memchr, memcmp, memcpy

_END = cython.declare(cython.p_const_char, b"\r\n")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _put(to: cython.p_char, text: cython.p_const_char, length: uint64_t) -> cython.p_char:
    memcpy(to, text, length)
    return to + length


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _put_number(to: cython.p_char, number: uint32_t) -> cython.p_char:
    digits: cython.char[10]
    count: cython.int = 0
    while True:
        digits[count] = cython.cast(cython.char, 48 + number % 10)
        count += 1
        number //= 10
        if not number:
            break
    while count:
        count -= 1
        to[0] = digits[count]
        to += 1
    return to


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _put_key(to: cython.p_char, item: cython.pointer(item_t), t: cython.pointer(task_t)) -> cython.p_char:
    to = _put(to, item.prefix, PREFIX_BYTES)
    return _put(to, t.settings.characters + item.key_at, item.key_bytes - PREFIX_BYTES)


def build(c, t):
    to: cython.p_char = c.request
    i: uint32_t
    item: cython.pointer(item_t)
    value: cython.p_const_char
    c.part = 0
    c.part_count = 1
    if c.kind == GET:
        to = _put(to, b"get", 3)
        for i in range(c.wanted_count):
            to[0] = 32
            to = _put_key(to + 1, c.wanted[i].item, t)
        to = _put(to, _END, 2)
    else:
        item = c.item
        value = t.settings.characters + c.value_at
        to = _put_key(_put(to, b"set ", 4), item, t)
        to = _put(to, b" 0 ", 3)
        to = _put_number(to, t.settings.expiry if item.expires else 0)
        to[0] = 32
        to = _put(_put_number(to + 1, item.value_bytes), _END, 2)
        if item.value_bytes <= COPY_BYTES:
            to = _put(_put(to, value, item.value_bytes), _END, 2)
        else:
            c.part_count = 3
            c.parts[1].iov_base = cython.cast(cython.p_void, value)
            c.parts[1].iov_len = item.value_bytes
            c.parts[2].iov_base = cython.cast(cython.p_void, _END)
            c.parts[2].iov_len = 2
    c.parts[0].iov_base = c.request
    c.parts[0].iov_len = to - c.request


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _starts(line: cython.p_const_char, length: uint64_t, word: cython.p_const_char, size: uint64_t) -> cython.bint:
    return length >= size and memcmp(line, word, size) == 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _value_line(
    c: cython.pointer(client_t), t: cython.pointer(task_t), line: cython.p_const_char, length: uint64_t
) -> cython.bint:
    """VALUE <key> <flags> <bytes>: of one of the keys that are wanted, in their order; who is left out was missed."""
    item: cython.pointer(item_t)
    at: uint64_t = 0
    number: uint64_t = 0
    while c.answered < c.wanted_count:
        item = c.wanted[c.answered].item
        at = 6 + cython.cast(uint64_t, item.key_bytes)
        if (
            at < length
            and line[at] == 32
            and memcmp(line + 6, item.prefix, PREFIX_BYTES) == 0
            and memcmp(line + 6 + PREFIX_BYTES, t.settings.characters + item.key_at, item.key_bytes - PREFIX_BYTES) == 0
        ):
            break
        c.answered += 1
    if c.answered == c.wanted_count:
        return False
    at += 1
    while at < length and line[at] != 32:  # flags
        at += 1
    at += 1
    if at >= length:
        return False
    while at < length and 48 <= line[at] <= 57 and number < cython.cast(uint64_t, 4294967296):
        number = number * 10 + (line[at] - 48)
        at += 1
    if at < length and line[at] != 32:
        return False
    expect(c, t, c.wanted + c.answered, number)
    c.skip = number + 2
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _line(
    c: cython.pointer(client_t),
    t: cython.pointer(task_t),
    line: cython.p_const_char,
    length: uint64_t,
    stored: cython.pointer(cython.bint),
) -> cython.int:
    if length and line[length - 1] == 13:
        length -= 1
    if c.kind == GET:
        if _starts(line, length, b"VALUE ", 6) and _value_line(c, t, line, length):
            return MORE
        if length == 3 and _starts(line, length, b"END", 3):
            return DONE
    elif length == 6 and _starts(line, length, b"STORED", 6):
        stored[0] = True
        return DONE
    refuse(t, line, length)
    if (
        _starts(line, length, b"SERVER_ERROR", 12)
        or _starts(line, length, b"CLIENT_ERROR", 12)
        or _starts(line, length, b"NOT_STORED", 10)
        or (length == 5 and _starts(line, length, b"ERROR", 5))
    ):
        return DONE
    return BROKEN


def read(c, t, data, length, stored):
    end: cython.p_const_char = data + length
    newline: cython.p_const_char
    result: cython.int
    while data < end:
        if c.skip:
            data += take(c, t, data, end - data)
            continue
        newline = cython.cast(cython.p_const_char, memchr(data, 10, end - data))
        if newline == cython.NULL:
            if end - data > LINE_BYTES_MAX:
                refuse(t, data, 64)
                return BROKEN
            c.tail_bytes = cython.cast(uint32_t, end - data)
            memcpy(c.tail, data, c.tail_bytes)
            return MORE
        result = _line(c, t, data, newline - data, stored)
        data = newline + 1
        if result != MORE:
            if data < end and result == DONE:  # nothing else was asked
                refuse(t, data, end - data)
                return BROKEN
            return result
    return MORE
