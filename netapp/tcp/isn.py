"""Initial sequence numbers."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.netapp.net.ports import KEY_BYTES, siphash
from cython.cimports.netapp.tcp.sequence import seq_add


def initial_sequence(key, connection, now):
    # RFC 6528, 3: ISN = M + F(addresses, ports, secret), where M counts once in 4 microseconds.
    hashed: uint64_t = siphash(key, cython.cast(cython.pointer(uint8_t), connection), KEY_BYTES)
    return seq_add(cython.cast(uint32_t, now >> 12), cython.cast(uint32_t, hashed))
