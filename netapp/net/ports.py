"""Ephemeral ports. What they are chosen by is secret, so that nobody else can tell the next one."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.net.key import key_t
from cython.cimports.netapp.wire.bytes import raw64


@cython.cfunc
@cython.inline
@cython.overflowcheck(False)
@cython.exceptval(check=False)
def _rotate(x: uint64_t, by: cython.int) -> uint64_t:
    return (x << by) | (x >> (64 - by))


@cython.cfunc
@cython.overflowcheck(False)
@cython.exceptval(check=False)
def _rounds(v: cython.pointer(uint64_t), number: cython.int) -> cython.void:
    for _ in range(number):
        v[0] += v[1]
        v[1] = _rotate(v[1], 13) ^ v[0]
        v[0] = _rotate(v[0], 32)
        v[2] += v[3]
        v[3] = _rotate(v[3], 16) ^ v[2]
        v[0] += v[3]
        v[3] = _rotate(v[3], 21) ^ v[0]
        v[2] += v[1]
        v[1] = _rotate(v[1], 17) ^ v[2]
        v[2] = _rotate(v[2], 32)


@cython.overflowcheck(False)
def siphash(key, data, length):
    v: uint64_t[4]
    word: uint64_t
    at: uint32_t = 0
    v[0] = key[0] ^ 0x736F6D6570736575
    v[1] = key[1] ^ 0x646F72616E646F6D
    v[2] = key[0] ^ 0x6C7967656E657261
    v[3] = key[1] ^ 0x7465646279746573
    while at + 8 <= length:
        word = raw64(data + at)
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
        at += 8
    word = 0
    memcpy(cython.address(word), data + at, length - at)
    word |= cython.cast(uint64_t, length & 255) << 56
    v[3] ^= word
    _rounds(v, 2)
    v[0] ^= word
    v[2] ^= 0xFF
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def port_offset(key, connection):
    # RFC 6056, 3.3.3: the offset depends on everything but the local port.
    without: key_t = connection[0]
    without.ports &= 0xFFFF0000
    return cython.cast(uint16_t, siphash(key, cython.cast(cython.pointer(uint8_t), cython.address(without)), KEY_BYTES))
