"""The internet checksum over bytes and chains (RFC 1071)."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.pool import iobuf_t
from cython.cimports.netapp.wire.bytes import raw32


@cython.overflowcheck(False)
def sum_bytes(data, length, initial):
    total: uint64_t = initial
    end: cython.pointer(cython.const[uint8_t]) = data + (length & ~cython.cast(uint64_t, 63))
    while data != end:
        total = add512(total, data)
        data += 64
    if length & 32:
        total = add256(total, data)
        data += 32
    end = data + (length & 24)
    while data != end:
        total = add64(total, data)
        data += 8
    # Room for what follows, at most 2^32 + 2^17.
    total = cython.cast(uint32_t, total) + (total >> 32)
    if length & 4:
        total += raw32(data)
        data += 4
    if length & 2:
        total += data[0] | cython.cast(uint64_t, data[1]) << 8
        data += 2
    if length & 1:
        # As if a zero byte followed.
        total += data[0]
    return total


@cython.overflowcheck(False)
def sum_chain(chain, offset, initial):
    total: uint64_t = initial
    part: uint16_t
    length: uint64_t
    odd: cython.bint = False
    view: cython.pointer(iobuf_t) = chain.head
    while view != cython.NULL and offset >= view.length:
        offset -= view.length
        view = view.next
    while view != cython.NULL:
        length = view.length - offset
        if odd:
            # These bytes are the other halves of their words: swap the sum (RFC 1071, 2(B)).
            part = fold(sum_bytes(view.data + offset, length, 0))
            total += cython.cast(uint16_t, part << 8 | part >> 8)
        else:
            total = sum_bytes(view.data + offset, length, total)
        odd ^= length & 1
        offset = 0
        view = view.next
    return cython.cast(uint32_t, total) + (total >> 32)


def checksum(data, offset: cython.ulonglong = 0):
    """The checksum of bytes or a Chain from `offset` on, as a header's field says it; 0 over bytes that hold theirs."""
    total: uint64_t
    stored: uint16_t
    copy: bytes
    if isinstance(data, Chain):
        total = sum_chain(data, offset, 0)
    else:
        copy = bytes(data)[offset:]
        total = sum_bytes(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(copy)), len(copy), 0)
    stored = ~fold(total)
    return cython.cast(uint16_t, stored << 8 | stored >> 8)
