"""Many buffers of a split virtqueue at once. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint16_t, uint32_t, uint64_t
from cython.cimports.netapp.drivers.access import bus_address, index_add, load32, unlikely
from cython.cimports.netapp.drivers.virtio.buffers import (
    BUFFER_BYTES,
    MOST_KEPT,
    before,
    end_look,
    found_t,
    free_views,
    is_other,
    own,
    take_view,
)
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    NO_ID,
    buffer_t,
    end_release,
    split_descriptor_t,
    used_element_t,
)
from cython.cimports.netapp.drivers.vnet import VNET_BYTES
from cython.cimports.netapp.iobuf.pool import FRAME_CLASS, HEADROOM, iobuf_t, slot_class_t


def look_split(queue, batch, kept, pool, count):
    ring: cython.pointer(used_element_t) = queue.used.ring
    available: cython.pointer(uint16_t) = queue.available.ring
    descriptors: cython.pointer(split_descriptor_t) = queue.descriptors
    buffers: cython.pointer(buffer_t) = queue.buffers
    found: cython.pointer(found_t) = batch.found
    left: cython.pointer(iobuf_t)
    view: cython.pointer(iobuf_t)
    mask: uint32_t = queue.mask
    look: uint32_t = batch.look
    at: uint32_t = queue.taken
    end: uint32_t = at + cython.cast(uint32_t, count)
    id: uint32_t
    length: uint32_t
    # Beforehand: a call would have the loop's locals in memory.
    while kept.count < cython.cast(uint32_t, count):
        view = take_view(pool, FRAME_CLASS)
        if view == cython.NULL:
            break
        view.next = kept.first
        kept.first = view
        kept.count += 1
    left = kept.first
    while at < end:
        id = load32(cython.cast(uint64_t, cython.address(ring[at & mask].id)))
        length = load32(cython.cast(uint64_t, cython.address(ring[at & mask].length)))
        # The mask is of the queue's size, which is a power of two.
        if id > mask or length > BUFFER_BYTES:
            break
        view = cython.cast(cython.pointer(iobuf_t), buffers[id].held)
        if view.length == look:
            break
        found.view = view
        found.length = length
        view = left
        if unlikely(view == cython.NULL):
            view = own(found)
        else:
            left = view.next
        view.length = look
        buffers[id].held = view
        descriptors[id].address = bus_address(view.slot.memory + (HEADROOM - VNET_BYTES))
        available[at & mask] = cython.cast(uint16_t, id)
        found += 1
        at += 1
    end_look(batch, found, kept, left)
    count = cython.cast(cython.int, at - queue.taken)
    queue.taken = index_add(queue.taken, cython.cast(uint16_t, count))
    queue.added = index_add(queue.added, cython.cast(uint16_t, count))
    return at >= end


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _released_chain(queue: cython.pointer(virtqueue_t), buffer: cython.pointer(buffer_t)) -> cython.pointer(buffer_t):
    """release_chain(), in a batch whose end counts one descriptor of each: its last one."""
    end: cython.pointer(buffer_t) = cython.address(queue.buffers[buffer.last])
    queue.free += buffer.more
    buffer.more = 0
    buffer.last = cython.cast(uint16_t, buffer - queue.buffers)
    return end


def reap_split(queue, kept, count):
    ring: cython.pointer(used_element_t) = queue.used.ring
    buffers: cython.pointer(buffer_t) = queue.buffers
    # Freed at the end: a call would have the loop's locals in memory.
    rest: cython.pointer(iobuf_t) = cython.NULL
    first: cython.pointer(iobuf_t) = kept.first
    room: uint32_t = MOST_KEPT - kept.count
    frame_class: cython.pointer(slot_class_t) = kept.frame_class
    anchor: buffer_t
    end: cython.pointer(buffer_t) = cython.address(anchor)
    view: cython.pointer(iobuf_t)
    mask: uint32_t = queue.mask
    at: uint32_t = queue.taken
    last: uint32_t = at + cython.cast(uint32_t, count)
    begin: uint32_t
    stop: uint32_t
    id: uint32_t
    anchor.next = queue.first
    if queue.first != NO_ID:
        end = cython.address(buffers[queue.last])
    while at < last:
        # As many as there is room for, if all are kept.
        begin = at
        stop = last
        if room == 0:
            frame_class = cython.NULL
        elif room < last - at:
            stop = at + room
        while at < stop:
            id = load32(cython.cast(uint64_t, cython.address(ring[at & mask].id)))
            if id > mask:
                break
            view = cython.cast(cython.pointer(iobuf_t), buffers[id].held)
            if view == cython.NULL:
                break
            buffers[id].held = cython.NULL
            end.next = cython.cast(uint16_t, id)
            if unlikely(buffers[id].more != 0):
                end = _released_chain(queue, cython.address(buffers[id]))
            else:
                end = cython.address(buffers[id])
            if is_other(view, frame_class):
                room += 1
                rest = before(view, rest)
            else:
                view.next = first
                first = view
            at += 1
        room -= at - begin
        if at < stop:
            break
    kept.first = first
    kept.count = MOST_KEPT - room
    free_views(rest)
    end_release(queue, anchor.next, end, at - queue.taken)
    queue.taken = cython.cast(uint16_t, at & 0xFFFF)
    return at >= last
