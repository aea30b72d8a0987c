"""Path MTUs."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t, uint64_t

ENTRIES_MAX = 1024
_ENTRIES_MAX = cython.declare(cython.Py_ssize_t, ENTRIES_MAX)
# RFC 1191, 6.3: after ten minutes the path is tried with more again.
_LIFE = cython.declare(uint64_t, 600_000_000_000)


class PathMtus:
    def __cinit__(self):
        self.entries = {}

    def get(self, destination, limit, now):
        mtu: uint32_t
        until: uint64_t
        if not self.entries:
            return limit
        found: tuple = self.entries.get(destination)
        if found is None:
            return limit
        mtu = found[0]
        until = found[1]
        if now >= until:
            del self.entries[destination]
            return limit
        return mtu if mtu < limit else limit

    def lower(self, destination, mtu, now):
        if self.entries.pop(destination, None) is None and len(self.entries) >= _ENTRIES_MAX:
            # It is found out anew where it is still needed.
            del self.entries[next(iter(self.entries))]
        self.entries[destination] = (mtu, now + _LIFE)
        return 0


def plateau_below(length):
    if length > 32000:
        return 32000
    if length > 17914:
        return 17914
    if length > 8166:
        return 8166
    if length > 4352:
        return 4352
    if length > 2002:
        return 2002
    if length > 1492:
        return 1492
    if length > 1006:
        return 1006
    return 508
