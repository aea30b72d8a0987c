"""Values that are read."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.bench.memaslap.client import PREFIX_BYTES, client_t, item_t, task_t
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcmp, memcpy

_STANDARD_ERROR = cython.declare(cython.int, 2)


def tell(c, t, item, what):
    if t.settings.verbose:
        dprintf(
            _STANDARD_ERROR,
            b"\n<%u %s\n\tkey len: %u\n\tkey: %.8s%.*s\n\texpected data len: %u\n",
            c.number,
            what,
            cython.cast(cython.uint, item.key_bytes),
            item.prefix,
            cython.cast(cython.int, item.key_bytes - PREFIX_BYTES),
            t.settings.characters + item.key_at,
            item.value_bytes,
        )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _differs(c: cython.pointer(client_t), t: cython.pointer(task_t)) -> cython.void:
    if not c.failed:  # once a value
        c.failed = True
        t.counters.verify_failed += 1
        tell(c, t, c.wanted[c.answered - 1].item, b"data verification failed")


def expect(c, t, wanted, length):
    item: cython.pointer(item_t) = wanted.item
    wanted.found = True
    c.failed = False
    c.compare_bytes = 0
    c.answered = cython.cast(uint32_t, wanted - c.wanted) + 1
    if not wanted.verify:
        return
    if item.expires:
        if t.second - item.set_at > t.settings.expiry + t.settings.expiry_error:
            t.counters.expired_get += 1
            tell(c, t, item, b"expire time verification failed, object expired but get it now")
    elif length != item.value_bytes:
        _differs(c, t)
    else:
        c.compare = t.settings.characters + item.value_at
        c.compare_bytes = length


def take(c, t, data, length):
    count: uint64_t = min(c.skip, length)
    compared: uint64_t
    if c.compare_bytes:
        compared = min(c.compare_bytes, count)
        if memcmp(data, c.compare, compared):
            _differs(c, t)
        c.compare += compared
        c.compare_bytes -= compared
    c.skip -= count
    return count


def refuse(t, text, length):
    t.counters.errors += 1
    if not t.trouble[0] and length:
        length = min(length, cython.cast(uint64_t, cython.sizeof(t.trouble) - 1))
        memcpy(t.trouble, text, length)
        t.trouble[length] = 0


def refuse_status(t, what, status):
    t.counters.errors += 1
    if not t.trouble[0]:
        snprintf(t.trouble, cython.sizeof(t.trouble), b"%s: status 0x%02x", what, status)
