"""Frames as a tap's kernel side takes and gives them. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.string import memset
from cython.cimports.netapp.drivers.vnet import (
    FIRST_BYTES,
    LONGEST_FRAME,
    own_room,
    put_offload,
    take_offload,
    vnet_header_t,
)
from cython.cimports.netapp.iobuf.chain import Chain, new_chain
from cython.cimports.netapp.iobuf.pool import (
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    UNIT_BYTES,
    UNIT_CLASS,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)


def prepare(posted, longest, header_bytes):
    memset(posted, 0, cython.sizeof(posted_t))
    posted.header_bytes = header_bytes
    posted.count = 1
    if longest > FIRST_BYTES:
        posted.count += (longest - FIRST_BYTES + UNIT_BYTES - 1) // UNIT_BYTES
    posted.missing = posted.count


def post(posted):
    pool: cython.pointer(pool_t)
    i: uint32_t
    units: cython.bint = posted.missing > 1
    if posted.missing == 0:
        return True
    pool = running_pool()
    while posted.missing:
        i = posted.missing - 1
        posted.slots[i] = take_slot(pool, UNIT_CLASS if i else FRAME_CLASS, PLACE_DEVICE)
        if posted.slots[i] == cython.NULL:
            return False
        posted.missing = i
    # The header right before the frame.
    posted.pieces[0].iov_base = posted.slots[0].memory + HEADROOM - posted.header_bytes
    posted.pieces[0].iov_len = FIRST_BYTES + posted.header_bytes
    if units or posted.pieces_count == 0:
        _join(posted)
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _join(posted: cython.pointer(posted_t)) -> cython.void:
    """Sorted, so that those side by side are found: each piece costs the kernel time in every read, used or not."""
    slot: cython.pointer(slot_t)
    after: cython.pointer(uint8_t) = cython.NULL
    last: uint32_t = 0
    at: uint32_t
    i: uint32_t
    for i in range(1, posted.count):
        slot = posted.slots[i]
        at = i
        while at > 1 and posted.slots[at - 1].memory > slot.memory:
            posted.slots[at] = posted.slots[at - 1]
            at -= 1
        posted.slots[at] = slot
    for i in range(1, posted.count):
        if posted.slots[i].memory == after:
            posted.pieces[last].iov_len += UNIT_BYTES
        else:
            last += 1
            posted.pieces[last].iov_base = posted.slots[i].memory
            posted.pieces[last].iov_len = UNIT_BYTES
        after = posted.slots[i].memory + UNIT_BYTES
    posted.pieces_count = last + 1


def frame_of(posted, length, count):
    frame: Chain
    view: cython.pointer(iobuf_t)
    used: uint32_t = 0
    left: uint32_t
    piece: uint32_t
    if length <= posted.header_bytes:
        count.rx_malformed += 1
        return None
    left = length - posted.header_bytes
    frame = new_chain()
    if posted.header_bytes and not take_offload(
        cython.cast(cython.pointer(vnet_header_t), posted.pieces[0].iov_base), cython.address(frame.offload), left
    ):
        count.rx_malformed += 1
        return None
    while left:
        piece = UNIT_BYTES if used else FIRST_BYTES
        if piece > left:
            piece = left
        view = new_iobuf(
            posted.slots[used], posted.slots[used].memory + (0 if used else cython.cast(uint32_t, HEADROOM)), piece
        )
        if view == cython.NULL:
            count.rx_no_slots += 1
            break
        posted.slots[used] = cython.NULL
        frame.append_view(view)
        left -= piece
        used += 1
    posted.missing = used
    return frame if left == 0 else None


def give_back(posted):
    i: uint32_t
    for i in range(posted.missing, posted.count):
        release_slot(posted.slots[i])
        posted.slots[i] = cython.NULL
    posted.missing = posted.count


def gather(frame, pieces, header, header_bytes):
    view: cython.pointer(iobuf_t) = frame.head
    own: cython.pointer(vnet_header_t)
    count: uint32_t = 0
    if header_bytes:
        own = own_room(view)
        if own == cython.NULL:
            own = header
        put_offload(own, cython.address(frame.offload))
        pieces[0].iov_base = own
        pieces[0].iov_len = header_bytes
        count = 1
        if own != header:
            pieces[0].iov_len += view.length
            view = view.next
    while view != cython.NULL:
        pieces[count].iov_base = view.data
        pieces[count].iov_len = view.length
        count += 1
        view = view.next
    return count


def flatten(frame, flat, header_bytes):
    if frame.length > LONGEST_FRAME:
        return False
    if header_bytes:
        put_offload(cython.cast(cython.pointer(vnet_header_t), flat), cython.address(frame.offload))
    frame.copy_out(0, flat + header_bytes, frame.length)
    running_pool().copied[PLACE_DEVICE] += frame.length
    return True
