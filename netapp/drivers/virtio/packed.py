"""Many buffers of a packed virtqueue at once. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint16_t, uint32_t, uint64_t
from cython.cimports.netapp.drivers.access import acquire16, bus_address, index_add, load16, load32, release16, unlikely
from cython.cimports.netapp.drivers.virtio.buffers import (
    BUFFER_BYTES,
    MOST_KEPT,
    before,
    end_look,
    found_t,
    free_views,
    is_other,
    replace_one,
)
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    NO_ID,
    USED_OR_NOT,
    WRITE,
    buffer_t,
    end_release,
    packed_descriptor_t,
)
from cython.cimports.netapp.drivers.vnet import VNET_BYTES
from cython.cimports.netapp.iobuf.pool import HEADROOM, iobuf_t, slot_class_t


def look_packed(queue, batch, kept, pool, most):
    packed: cython.pointer(packed_descriptor_t) = queue.next_used
    stop: cython.pointer(packed_descriptor_t)
    buffers: cython.pointer(buffer_t) = queue.buffers
    found: cython.pointer(found_t) = batch.found
    last: cython.pointer(found_t) = found + most
    left: cython.pointer(iobuf_t) = kept.first
    view: cython.pointer(iobuf_t)
    mask: cython.size_t = queue.mask
    look: uint32_t = batch.look
    used_flags: uint32_t = queue.used_flags
    available_flags: uint32_t = queue.available_flags | WRITE
    id: cython.size_t
    length: uint32_t
    obeys: cython.bint = True
    while True:
        # To the ring's end: the flags are the same.
        stop = packed + (last - found)
        if stop > queue.packed_end:
            stop = queue.packed_end
        while packed < stop:
            # 2.8.22
            if acquire16(cython.address(packed.flags)) & USED_OR_NOT != used_flags:
                break
            id = load16(cython.cast(uint64_t, cython.address(packed.id)))
            length = load32(cython.cast(uint64_t, cython.address(packed.length)))
            # As in take_used(), whether the flag WRITE is set or not.
            if id > mask or length > BUFFER_BYTES:
                obeys = False
                break
            view = cython.cast(cython.pointer(iobuf_t), buffers[id].held)
            if view.length == look:
                obeys = False
                break
            found.view = view
            found.length = length
            view = left
            if unlikely(view == cython.NULL):
                kept.first = cython.NULL
                view = replace_one(pool, kept, found)
            else:
                left = view.next
            view.length = look
            buffers[id].held = view
            # The id is there already. 2.8.21.1: the flags last; available is the other round's, of which it is not
            # used yet.
            packed.address = bus_address(view.slot.memory + (HEADROOM - VNET_BYTES))
            packed.length = BUFFER_BYTES
            release16(cython.address(packed.flags), cython.cast(uint16_t, available_flags))
            found += 1
            packed += 1
        if packed != queue.packed_end:
            break
        packed = queue.packed
        used_flags ^= USED_OR_NOT
        available_flags ^= USED_OR_NOT
    end_look(batch, found, kept, left)
    queue.next_used = queue.next_available = packed
    queue.used_flags = cython.cast(uint16_t, used_flags)
    queue.available_flags = cython.cast(uint16_t, available_flags & USED_OR_NOT)
    queue.fresh = index_add(
        queue.fresh, cython.cast(uint16_t, found - cython.cast(cython.pointer(found_t), batch.found))
    )
    return obeys


def reap_packed(queue, kept):
    packed: cython.pointer(packed_descriptor_t) = queue.next_used
    begin: cython.pointer(packed_descriptor_t)
    stop: cython.pointer(packed_descriptor_t)
    buffers: cython.pointer(buffer_t) = queue.buffers
    # Freed at the end: a call would have the loop's locals in memory.
    rest: cython.pointer(iobuf_t) = cython.NULL
    first: cython.pointer(iobuf_t) = kept.first
    room: uint32_t = MOST_KEPT - kept.count
    frame_class: cython.pointer(slot_class_t) = kept.frame_class
    anchor: buffer_t
    end: cython.pointer(buffer_t) = cython.address(anchor)
    view: cython.pointer(iobuf_t)
    mask: cython.size_t = queue.mask
    used_flags: uint32_t = queue.used_flags
    id: cython.size_t
    count: uint32_t = 0
    obeys: cython.bint = True
    anchor.next = queue.first
    if queue.first != NO_ID:
        end = cython.address(buffers[queue.last])
    while True:
        # As many as there is room for, if all are kept; to the ring's end.
        begin = packed
        stop = queue.packed_end
        if room == 0:
            frame_class = cython.NULL
        elif room < stop - packed:
            stop = packed + room
        # 2.8.22. It ends: each one found is a buffer fewer that the device has.
        while packed < stop:
            if acquire16(cython.address(packed.flags)) & USED_OR_NOT != used_flags:
                break
            id = load16(cython.cast(uint64_t, cython.address(packed.id)))
            if id > mask:
                obeys = False
                break
            view = cython.cast(cython.pointer(iobuf_t), buffers[id].held)
            if view == cython.NULL:
                obeys = False
                break
            buffers[id].held = cython.NULL
            end.next = cython.cast(uint16_t, id)
            end = cython.address(buffers[id])
            if unlikely(end.more != 0):
                packed += end.more
                room += end.more
                end.more = 0
            if is_other(view, frame_class):
                room += 1
                rest = before(view, rest)
            else:
                view.next = first
                first = view
            packed += 1
        count += cython.cast(uint32_t, packed - begin)
        room -= cython.cast(uint32_t, packed - begin)
        if packed < stop:
            break
        if packed >= queue.packed_end:
            packed -= queue.size
            used_flags ^= USED_OR_NOT
    kept.first = first
    kept.count = MOST_KEPT - room
    free_views(rest)
    end_release(queue, anchor.next, end, count)
    queue.next_used = packed
    queue.used_flags = cython.cast(uint16_t, used_flags)
    return cython.cast(cython.int, count) if obeys else -1
