"""Binary requests written by hand: every opcode with each status that it can give."""

import struct
from itertools import count

from tests.memcached.binary import request

SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH, NOOP, APPEND, PREPEND, STAT = (
    *range(1, 9),
    *(0x0A, 0x0E, 0x0F, 0x10),
)
QUIET = {0: 0x09, 0x0C: 0x0D, APPEND: 0x19, PREPEND: 0x1A, 0x1D: 0x1E, 0x23: 0x24}
QUIET |= {verb: 0x10 + verb for verb in range(1, 9)}
BIG = 1 << 20
STORED = struct.pack(">II", 7, 0)
DELTA, NO_CREATION = struct.pack(">QQI", 1, 99, 0), struct.pack(">QQI", 1, 99, 0xFFFFFFFF)
EXTRAS = {
    **dict.fromkeys((SET, ADD, REPLACE), STORED),
    **dict.fromkeys((INCREMENT, DECREMENT), NO_CREATION),
    **dict.fromkeys((0x1C, 0x1D, 0x23), struct.pack(">I", 0)),
}
_opaques = count(1)


def ask(opcode: int, key: bytes = b"", value: bytes = b"", extras: bytes | None = None, unique: int = 0) -> bytes:
    loud = next((verb for verb, quiet in QUIET.items() if quiet == opcode), opcode)
    return request(opcode, key, EXTRAS.get(loud, b"") if extras is None else extras, value, unique, next(_opaques))


def _both(opcode: int) -> tuple[int, ...]:
    return (opcode, QUIET[opcode]) if opcode in QUIET else (opcode,)


_WRONG = 99999999  # no item's unique
BINARY_SCRIPTS: list[list[bytes]] = []
FIRST_BINARY = [
    [
        *(ask(SET, b"u", b"1"), ask(SET, b"u", b"2", unique=1), ask(ADD, b"u", b"3", unique=2)),
        *(ask(REPLACE, b"u", b"4", unique=3), ask(APPEND, b"u", b"5", unique=4), ask(PREPEND, b"u", b"6", unique=5)),
        *(ask(INCREMENT, b"u", unique=6), ask(DECREMENT, b"u", unique=7), ask(DELETE, b"u", unique=8)),
        *(ask(SET, b"u", b"1"), ask(0x11, b"u", b"2", unique=9), ask(0x12, b"u", b"3", unique=10)),
        *(ask(0x13, b"u", b"4", unique=11), ask(0x19, b"u", b"5", unique=12), ask(0x1A, b"u", b"6", unique=13)),
        *(ask(0x15, b"u", unique=14), ask(0x16, b"u", unique=15), ask(0x14, b"u", unique=16)),
        *(ask(SET, b"u", b"word"), *(ask(verb, b"u", unique=17) for verb in (5, 6, 0x15, 0x16)), ask(NOOP)),
    ]
]
"""The first that a server gets: they know the uniques."""


def _script(*requests: bytes) -> None:
    BINARY_SCRIPTS.append([*requests, ask(NOOP)])


for _opcode in (form for verb in (SET, ADD, REPLACE, APPEND, PREPEND) for form in _both(verb)):
    _key = b"B%x" % _opcode
    for _unique in (0, _WRONG):
        _script(
            *(ask(SET, _key, b"1"), ask(_opcode, _key, b"2", unique=_unique), ask(DELETE, _key)),
            *(ask(_opcode, _key, b"3", unique=_unique), ask(_opcode, _key, b"v" * BIG, unique=_unique)),
        )
        _script(ask(_opcode, _key, b"4", b"x" * 5, unique=_unique))
for _opcode in (form for verb in (DELETE, INCREMENT, DECREMENT) for form in _both(verb)):
    _key = b"B%x" % _opcode
    for _unique in (0, _WRONG):
        _script(
            *(ask(SET, _key, b"1"), ask(_opcode, _key, unique=_unique), ask(SET, _key, b"word")),
            *(ask(_opcode, _key, unique=_unique), ask(DELETE, _key), ask(_opcode, _key, unique=_unique)),
            *(ask(SET, _key, b"word"), ask(_opcode, _key)),
        )
        _script(ask(_opcode, _key, b"value", unique=_unique))
for _opcode in (form for verb in (0, 0x0C, 0x1C, 0x1D, 0x23) for form in _both(verb)):
    _script(ask(SET, b"Bg", b"value"), ask(_opcode, b"Bg"), ask(_opcode, b"none"))
    _script(ask(_opcode, b"Bg", extras=b"x"))
    _script(ask(_opcode))
    _script(ask(_opcode, b"k" * 251))
for _opcode in (QUIT, 0x17, FLUSH, 0x18, NOOP, 0x0B, STAT, 0x20, 0x21, 0x22):
    _script(ask(_opcode, extras=b"x"))
    if _opcode not in (STAT, 0x21, 0x22):
        _script(ask(_opcode))
        _script(ask(_opcode, b"key"))
_script(ask(FLUSH, extras=struct.pack(">I", 1000000)), ask(0x18, extras=struct.pack(">I", 1000000)))
_script(ask(STAT, b"reset"), ask(STAT, b"bogus"), ask(STAT, b"reset"))
_script(ask(0x21, b"PLAIN", b"\0user\0secret"), ask(0x22, b"PLAIN", b"secret"))
_script(ask(0x25), ask(0x30, b"", b"value"), ask(0x7F))
_script(request(0, b"key", b"", b"")[:8] + struct.pack(">IIQ", 0, next(_opaques), 0) + b"key")  # a body of nothing
