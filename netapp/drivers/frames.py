"""Frames in slots as devices place them. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.iobuf.chain import Chain, new_chain, offload_t
from cython.cimports.netapp.iobuf.pool import (
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    UNIT_CLASS,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)
from cython.cimports.netapp.wire.checksum import fold, sum_chain


def store_checksum(at, total):
    checksum: uint16_t = ~fold(total)
    # RFC 768: a checksum of zero is transmitted as all ones. For TCP the two mean the same.
    if checksum == 0:
        checksum = 0xFFFF
    memcpy(at, cython.address(checksum), 2)


def allocate_frame(length):
    frame: Chain = new_chain()
    pool: cython.pointer(pool_t) = running_pool()
    slot: cython.pointer(slot_t) = take_slot(pool, FRAME_CLASS, PLACE_DEVICE)
    view: cython.pointer(iobuf_t)
    start: uint32_t = HEADROOM
    piece: uint32_t
    while True:
        if slot == cython.NULL:
            return None
        piece = slot.size - start
        if piece > length:
            piece = cython.cast(uint32_t, length)
        view = new_iobuf(slot, slot.memory + start, piece)
        if view == cython.NULL:
            release_slot(slot)
            return None
        frame.append_view(view)
        length -= piece
        if length == 0:
            return frame
        start = 0
        slot = take_slot(pool, UNIT_CLASS, PLACE_DEVICE)


def fill_frame(frame, skip, source, offset):
    view: cython.pointer(iobuf_t) = frame.head
    while view != cython.NULL:
        source.copy_out(offset, view.data + skip, view.length - skip)
        offset += view.length - skip
        skip = 0
        view = view.next


def frame_bytes(frame):
    copy: bytes = PyBytes_FromStringAndSize(cython.NULL, frame.length)
    frame.copy_out(0, cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(copy)), frame.length)
    return copy


def complete_checksum(frame):
    offload: cython.pointer(offload_t) = cython.address(frame.offload)
    store_checksum(frame.head.data + offload.csum_start + offload.csum_offset, sum_chain(frame, offload.csum_start, 0))
    memset(offload, 0, cython.sizeof(offload_t))
