"""What a client does next."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap.client import (
    GET,
    IDLE,
    NOT_STORED,
    PREFIX_BYTES,
    SET,
    client_t,
    item_t,
    task_t,
    wanted_t,
)
from cython.cimports.bench.memaslap.value import tell
from cython.cimports.libc.stdint import uint32_t, uint64_t

_LETTERS = cython.declare(cython.p_const_char, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-")
_LEAST_SHARE = cython.declare(cython.double, 0.001)  # what is smaller is none, as in memaslap


@cython.overflowcheck(False)
def chance(state):
    # xorshift64
    x: uint64_t = state[0]
    x ^= x << 13
    x ^= x >> 7
    x ^= x << 17
    state[0] = x
    return x >> 16


def name_item(item, number):
    i: cython.int
    for i in range(PREFIX_BYTES):
        item.prefix[i] = _LETTERS[number & 63]
        number >>= 6


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _stored_item(
    c: cython.pointer(client_t), t: cython.pointer(task_t), random: cython.pointer(uint64_t)
) -> cython.pointer(item_t):
    """Any that was stored; the first where none was."""
    count: uint64_t = min(c.cursor, cython.cast(uint64_t, t.settings.window))
    return c.window + (chance(random) % count if count else 0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _set(
    c: cython.pointer(client_t),
    t: cython.pointer(task_t),
    item: cython.pointer(item_t),
    random: cython.pointer(uint64_t),
) -> cython.void:
    c.kind = SET
    c.item = item
    c.value_at = cython.cast(uint32_t, chance(random) % t.settings.offsets)
    if c.value_at == item.value_at:
        c.value_at = (c.value_at + 1) % t.settings.offsets
    c.sets += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _choose_set(
    c: cython.pointer(client_t),
    t: cython.pointer(task_t),
    random: cython.pointer(uint64_t),
    names: cython.pointer(uint64_t),
) -> cython.void:
    item: cython.pointer(item_t) = c.window + c.cursor % t.settings.window
    overwrite: cython.bint = c.overwritten < c.sets * t.settings.overwrite
    if c.cursor >= t.settings.window:
        c.cursor += 1
        if overwrite:
            c.overwritten += 1
        else:
            name_item(item, names[0])
            names[0] += 1
            item.key_at = cython.cast(uint32_t, chance(random) % t.settings.offsets)
    elif overwrite and c.cursor:
        c.overwritten += 1
        item = _stored_item(c, t, random)
    else:
        c.cursor += 1
    _set(c, t, item, random)


def choose(c, t, random, names):
    item: cython.pointer(item_t)
    w: cython.pointer(wanted_t)
    while c.remaining:
        c.remaining -= 1
        if t.settings.set_share > _LEAST_SHARE and c.gets * t.settings.set_share >= c.sets * t.settings.get_share:
            _choose_set(c, t, random, names)
            return
        item = _stored_item(c, t, random)
        if item.value_at == NOT_STORED:  # no set of it succeeded
            _set(c, t, item, random)
            return
        w = c.wanted + c.wanted_count
        w.item = item
        w.found = False
        if item.expires:
            w.verify = True
        else:
            w.verify = c.verified < (c.gets + 1) * t.settings.verify
            c.verified += w.verify
        c.gets += 1
        c.wanted_count += 1
        if c.wanted_count == t.settings.division:
            c.kind = GET
            return
    c.kind = GET if c.wanted_count else IDLE


def choose_next_of_window(c, t, random):
    if c.cursor == t.settings.window:
        c.kind = IDLE
        return
    _set(c, t, c.window + c.cursor, random)
    c.cursor += 1


def account(c, t, answered, stored):
    i: uint32_t
    w: cython.pointer(wanted_t)
    age: uint32_t
    if c.kind == SET:
        c.item.value_at = c.value_at if stored else NOT_STORED
        c.item.set_at = t.second
        if answered:
            t.counters.cmd_set += 1
            t.counters.object_bytes += c.item.key_bytes + c.item.value_bytes
    else:
        if answered:
            t.counters.cmd_get += c.wanted_count
            for i in range(c.wanted_count):
                w = c.wanted + i
                if w.found:
                    continue
                t.counters.get_misses += 1
                if not w.verify:
                    continue
                if w.item.expires:
                    age = t.second - w.item.set_at
                    if age + t.settings.expiry_error < t.settings.expiry:
                        t.counters.unexpired_unget += 1
                        tell(
                            c, t, w.item, b"expire time verification failed, object doesn't expire but can't get it now"
                        )
                else:
                    t.counters.verify_misses += 1
                    tell(c, t, w.item, b"data verification failed: not there")
        c.wanted_count = 0
    c.kind = IDLE
