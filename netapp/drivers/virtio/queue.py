"""Frames through a pair of virtqueues. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memset
from cython.cimports.netapp.drivers.access import (
    acquire16,
    bus_address,
    full_fence,
    index_add,
    load16,
    load32,
    release16,
    unlikely,
)
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    INDIRECT,
    NEXT,
    NO_ID,
    ORDERED,
    PACKED,
    USED_OR_NOT,
    WRITE,
    buffer_t,
    offer,
    offer_pieces,
    packed_descriptor_t,
    release,
    split_descriptor_t,
    take_id,
    take_used,
    used_by_now,
    used_element_t,
    used_t,
    virtqueue_t,
)
from cython.cimports.netapp.drivers.vnet import (
    FIRST_BYTES,
    LONGEST_FRAME,
    VNET_BYTES,
    own_room,
    put_offload,
    says_something,
    take_offload,
)
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, GSO_NONE, Chain, new_chain, offload_t
from cython.cimports.netapp.iobuf.pool import (
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    REDZONE,
    UNIT_BYTES,
    UNIT_CLASS,
    free_iobuf,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    running_pool,
    slot_class_t,
    slot_t,
    take_slot,
)

COUNTERS = (
    "tx_frames",
    "tx_bytes",
    "tx_full",
    "tx_link_down",
    "tx_flattened",
    "tx_no_slots",
    "rx_frames",
    "rx_bytes",
    "rx_no_slots",
    "rx_no_receiver",
    "rx_malformed",
    "notifications",
    "violations",
)

_HEADER_STEP = cython.declare(cython.size_t, 16)


def receiving_scratch(size, buffer_slots):
    return 0 if buffer_slots == 1 else cython.cast(cython.size_t, size) * buffer_slots * 16


def transmitting_scratch(size, indirect):
    return cython.cast(cython.size_t, size) * (_HEADER_STEP + (TABLE_BYTES if indirect else 0))


@cython.cfunc
@cython.exceptval(check=False)
def _free_views(view: cython.pointer(iobuf_t)) -> cython.void:
    after: cython.pointer(iobuf_t)
    while view != cython.NULL:
        after = view.next
        free_iobuf(view)
        view = after


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _header_of(slot: cython.pointer(slot_t)) -> cython.pointer(vnet_header_t):
    """Of a received frame, right before it, where a transmitted one's would be."""
    return cython.cast(cython.pointer(vnet_header_t), slot.memory + HEADROOM - VNET_BYTES)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _entry(
    queue: cython.pointer(virtqueue_t),
    table: cython.pointer(uint8_t),
    i: uint32_t,
    address: cython.p_void,
    length: uint32_t,
    flags: uint16_t,
) -> cython.void:
    """Of an indirect table: the next one is linked in a split queue only (2.7.5.3, 2.8.7)."""
    split: cython.pointer(split_descriptor_t)
    packed: cython.pointer(packed_descriptor_t)
    if queue.packed == cython.NULL:
        split = cython.cast(cython.pointer(split_descriptor_t), table) + i
        split.address = bus_address(address)
        split.length = length
        split.flags = flags
        split.next = cython.cast(uint16_t, i + 1) if flags & NEXT else 0
    else:
        packed = cython.cast(cython.pointer(packed_descriptor_t), table) + i
        packed.address = bus_address(address)
        packed.length = length
        packed.id = 0
        packed.flags = flags & ~NEXT


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _own(found: cython.pointer(found_t)) -> cython.pointer(iobuf_t):
    """The found view takes its own place again, as there is no other."""
    view: cython.pointer(iobuf_t) = found.view
    found.view = cython.NULL
    found.length = 0
    found.buffers = load16(cython.cast(uint64_t, cython.address(_header_of(view.slot).num_buffers)))
    return view


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _found_so_far(self: VirtioQueue, found: cython.pointer(found_t), kept: cython.pointer(iobuf_t)) -> cython.void:
    """[self.found, found) came back, and views were taken for their places, of which these are left."""
    self.found_end = found
    self.kept = kept
    if kept == cython.NULL:
        self.kept_count = 0
    else:
        self.kept_count -= cython.cast(uint32_t, found - cython.cast(cython.pointer(found_t), self.found))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _before(views: cython.pointer(iobuf_t), rest: cython.pointer(iobuf_t)) -> cython.pointer(iobuf_t):
    last: cython.pointer(iobuf_t) = views
    while last.next != cython.NULL:
        last = last.next
    last.next = rest
    return views


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_other(view: cython.pointer(iobuf_t), frame_class: cython.pointer(slot_class_t)) -> cython.bint:
    """Of a view that is not used any more: whether it is not one, alone, such as the receive queue needs."""
    slot: cython.pointer(slot_t) = view.slot
    # Where slots are poisoned each goes back at once, so that a late look into one is seen.
    return (
        REDZONE != 0
        or unlikely(view.next != cython.NULL)
        or unlikely(slot.references != 1)
        or unlikely(slot.home != frame_class)
        or unlikely(slot.place != PLACE_DEVICE)
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _keep(self: VirtioQueue, view: cython.pointer(iobuf_t)) -> cython.bint:
    """False: it is not kept."""
    if self.kept_count >= MOST_KEPT or _is_other(view, self.frame_class):
        return False
    view.next = self.kept
    self.kept = view
    self.kept_count += 1
    return True


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


@cython.cfunc
@cython.exceptval(check=False)
def _end_release(
    queue: cython.pointer(virtqueue_t), first: uint16_t, end: cython.pointer(buffer_t), count: uint32_t
) -> cython.void:
    """Of a batch of buffers, which were linked behind each other, from `first`, with those that were free before."""
    if count:
        end.next = NO_ID
        queue.first = first
        queue.last = cython.cast(uint16_t, end - queue.buffers)
        queue.free += cython.cast(uint16_t, count)


class VirtioQueue:
    def __cinit__(self):
        self.link_up = True
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        free(self.pieces)

    def begin(self, receiving, transmitting, agreed):
        free(self.pieces)
        self.pieces = cython.cast(cython.pointer(piece_t), calloc(transmitting.size, cython.sizeof(piece_t)))
        if self.pieces == cython.NULL:
            raise MemoryError
        self.receiving = receiving
        self.transmitting = transmitting
        self.agreed = agreed
        self.headers = transmitting.scratch
        self.tables = transmitting.scratch + transmitting.size * _HEADER_STEP
        self.filled = False
        self.blocked = False
        self.broken = None
        self.works = True
        self.sends = self.link_up
        if self.armed:
            receiving.want_used()
        return 0

    def end(self, keep):
        i: uint32_t
        view: cython.pointer(iobuf_t)
        queue: cython.pointer(virtqueue_t)
        self.works = self.sends = False
        self.filled = False
        self.blocked = False
        self.frame = None
        if self.receiving is None:
            return 0
        self._give_back_found()
        if keep:
            self.receiving.keep()
            self.transmitting.keep()
        else:
            self._give_back_buffers()
            queue = cython.address(self.transmitting.ring)
            for i in range(queue.size):
                view = cython.cast(cython.pointer(iobuf_t), queue.buffers[i].held)
                queue.buffers[i].held = cython.NULL
                _free_views(view)
        _free_views(self.kept)
        self.kept = cython.NULL
        self.kept_count = 0
        self.receiving = None
        self.transmitting = None
        return 0

    def set_link(self, up):
        self.link_up = up
        self.sends = self.works and up
        return 0

    def _breaks(self, what):
        """`what` the device did, once."""
        if self.works:
            self.works = self.sends = False
            self.filled = False
            self.broken = what
            self.count.violations += 1
        self._give_back_found()
        return 0

    # --- receiving

    def fill(self):
        """All buffers or none: in a queue that is full at all times they come back where they were given."""
        pool: cython.pointer(pool_t) = running_pool()
        queue: cython.pointer(virtqueue_t)
        each: uint32_t = self.agreed.buffer_slots
        view: cython.pointer(iobuf_t)
        i: uint32_t
        if not self.works:
            return False
        queue = cython.address(self.receiving.ring)
        self.frame_class = cython.address(pool.classes[FRAME_CLASS])
        for i in range(queue.size):
            view = self._take_views(pool, each)
            if view == cython.NULL:
                self.count.rx_no_slots += 1
                self._give_back_buffers()
                return False
            queue.buffers[i].held = view
        for i in range(queue.size):
            view = cython.cast(cython.pointer(iobuf_t), queue.buffers[i].held)
            if each > 1:
                self._offer_large(take_id(queue), view)
            else:
                offer(queue, take_id(queue), view, bus_address(_header_of(view.slot)), BUFFER_BYTES, WRITE)
        self.filled = True
        return True

    def _give_back_buffers(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        view: cython.pointer(iobuf_t)
        i: uint32_t
        for i in range(queue.size):
            view = cython.cast(cython.pointer(iobuf_t), queue.buffers[i].held)
            queue.buffers[i].held = cython.NULL
            if view != cython.NULL and self.agreed.buffer_slots == 1:
                free_iobuf(view)
            else:
                _free_views(view)

    def _give_back_found(self):
        """Of frames that will not be handed up."""
        view: cython.pointer(iobuf_t)
        while self.found_next != self.found_end:
            view = self.found_next.view
            self.found_next += 1
            if view != cython.NULL and self.agreed.buffer_slots == 1:
                free_iobuf(view)
            else:
                _free_views(view)

    def poll(self, budget):
        done: cython.int = 0
        pool: cython.pointer(pool_t)
        found: cython.pointer(found_t)
        view: cython.pointer(iobuf_t)
        header: cython.pointer(vnet_header_t)
        length: uint32_t
        buffers: uint16_t
        frame: Chain
        large: cython.bint = self.agreed.buffer_slots > 1
        # num_buffers of a frame that is as most are.
        usual: uint32_t = UINT32_MAX if large else 1
        if not self.filled:
            return self._poll_idle()
        self._reap()
        if not self.filled:
            return 0
        pool = running_pool()
        # An exception may have ended the last poll early.
        if self.found_next == self.found_end:
            self._look(pool, MOST_FOUND if budget > MOST_FOUND else budget)
            if self.found_next == self.found_end:
                return 0
        frame = self._empty_frame()
        # A frame may have the device closed, or found broken: then there is none left.
        while self.found_next != self.found_end:
            found = self.found_next
            self.found_next = found + 1
            done += 1
            view = found.view
            length = found.length
            if unlikely(length <= VNET_BYTES):
                if view == cython.NULL:
                    self._drop(pool, found.buffers)
                    continue
                if large:
                    _free_views(view)
                else:
                    free_iobuf(view)
                self._breaks("it used a receive buffer for less than a frame")
                break
            header = _header_of(view.slot)
            buffers = load16(cython.cast(uint64_t, cython.address(header.num_buffers)))
            if unlikely(buffers != usual) and (large or self.agreed.mergeable):
                if not (self._take_large(pool, found) if large else self._merge(pool, found, buffers)):
                    continue
            else:
                length -= VNET_BYTES
                frame.head = view
                view.next = cython.NULL
                view.data = cython.cast(cython.pointer(uint8_t), header) + VNET_BYTES
                view.length = length
                frame.tail = view
                frame.count = 1
                frame.length = length
            memset(cython.address(frame.offload), 0, cython.sizeof(offload_t))
            if says_something(header) and not self._take_offload(header):
                self.count.rx_malformed += 1
                frame.drop_views()
                continue
            self.count.rx_frames += 1
            self.count.rx_bytes += frame.length
            if self.receiver is None:
                self.count.rx_no_receiver += 1
                frame.drop_views()
                continue
            self.receiver.receive_frame(frame)
            # The chain is used again unless somebody else holds it, or, with one reference less, the device was closed.
            # Py_REFCNT() would count the reference of its argument.
            if cython.cast(cython.pointer(PyObject), frame).ob_refcnt != 2 or frame.write_slot != cython.NULL:
                if not self.works:
                    break
                frame = self.frame = new_chain()
                continue
            view = frame.head
            if view == cython.NULL:
                continue
            if view.next != cython.NULL:
                frame.drop_views()
                continue
            frame.head = frame.tail = cython.NULL
            frame.count = 0
            frame.length = 0
            if not _keep(self, view):
                free_iobuf(view)
        return done

    def _poll_idle(self):
        if self.works:
            self._reap()
            self.fill()
        return 0

    def _look(self, pool, most):
        """Used receive buffers; each of one slot is replaced at once."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        most_bytes: uint32_t = BUFFER_BYTES + (self.agreed.buffer_slots - 1) * UNIT_BYTES
        found: cython.pointer(found_t) = self.found
        used: used_t
        view: cython.pointer(iobuf_t)
        count: cython.int = 0
        got: cython.int = 0
        obeys: cython.bint
        self.found_next = self.found_end = found
        if self.agreed.buffer_slots == 1 and queue.kind != ORDERED:
            self.look = self.look + 1 if self.look != UINT32_MAX else 1
            if queue.kind == PACKED:
                obeys = self._look_packed(pool, queue, most)
            else:
                got = used_by_now(queue)
                if got < 0:
                    return self._breaks("it used more receive buffers than it has")
                obeys = self._look_split(pool, queue, most if got > most else got)
            if not obeys:
                return self._breaks("it gave back a receive buffer that it did not have, or too many bytes of one")
            return 0
        while count < most:
            got = take_used(queue, cython.address(used))
            if got <= 0:
                break
            found.view = cython.cast(cython.pointer(iobuf_t), used.held)
            found.id = used.id
            found.length = most_bytes if used.whole else used.length
            count += 1
            self.found_end = found + 1
            if found.length == 0 or found.length > most_bytes:
                got = -1
                break
            found += 1
        if got < 0:
            return self._breaks("it gave back a receive buffer that it did not have, or too many bytes of one")
        if self.agreed.buffer_slots > 1:
            return 0
        found = self.found
        while count > 0:
            count -= 1
            view = self._replace_one(pool, found)
            offer(queue, found.id, view, bus_address(_header_of(view.slot)), BUFFER_BYTES, WRITE)
            found += 1
        return 0

    def _look_split(self, pool, queue, count):
        """Without IN_ORDER: as many used elements, each with another view in its place; False: one of them breaks
        the rules. All buffers are the device's, so that both rings are at the same place; and of a descriptor only
        the address changes. While a view is the device's its length says in which look it was put there: in the same
        one it cannot be back."""
        ring: cython.pointer(used_element_t) = queue.used.ring
        available: cython.pointer(uint16_t) = queue.available.ring
        descriptors: cython.pointer(split_descriptor_t) = queue.descriptors
        buffers: cython.pointer(buffer_t) = queue.buffers
        found: cython.pointer(found_t) = self.found
        kept: cython.pointer(iobuf_t)
        view: cython.pointer(iobuf_t)
        mask: uint32_t = queue.mask
        look: uint32_t = self.look
        at: uint32_t = queue.taken
        end: uint32_t = at + cython.cast(uint32_t, count)
        id: uint32_t
        length: uint32_t
        # Beforehand: a call would have the loop's locals in memory.
        while self.kept_count < cython.cast(uint32_t, count):
            view = self._take_view(pool, FRAME_CLASS)
            if view == cython.NULL:
                break
            view.next = self.kept
            self.kept = view
            self.kept_count += 1
        kept = self.kept
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
            view = kept
            if unlikely(view == cython.NULL):
                view = _own(found)
            else:
                kept = view.next
            view.length = look
            buffers[id].held = view
            descriptors[id].address = bus_address(view.slot.memory + (HEADROOM - VNET_BYTES))
            available[at & mask] = cython.cast(uint16_t, id)
            found += 1
            at += 1
        _found_so_far(self, found, kept)
        count = cython.cast(cython.int, at - queue.taken)
        queue.taken = index_add(queue.taken, cython.cast(uint16_t, count))
        queue.added = index_add(queue.added, cython.cast(uint16_t, count))
        return at >= end

    def _look_packed(self, pool, queue, most):
        """As _look_split(), of up to `most` buffers: what is used is made available again where it is."""
        packed: cython.pointer(packed_descriptor_t) = queue.next_used
        stop: cython.pointer(packed_descriptor_t)
        buffers: cython.pointer(buffer_t) = queue.buffers
        found: cython.pointer(found_t) = self.found
        last: cython.pointer(found_t) = found + most
        kept: cython.pointer(iobuf_t) = self.kept
        view: cython.pointer(iobuf_t)
        mask: cython.size_t = queue.mask
        look: uint32_t = self.look
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
                view = kept
                if unlikely(view == cython.NULL):
                    self.kept = cython.NULL
                    view = self._replace_one(pool, found)
                else:
                    kept = view.next
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
        _found_so_far(self, found, kept)
        queue.next_used = queue.next_available = packed
        queue.used_flags = cython.cast(uint16_t, used_flags)
        queue.available_flags = cython.cast(uint16_t, available_flags & USED_OR_NOT)
        queue.fresh = index_add(
            queue.fresh, cython.cast(uint16_t, found - cython.cast(cython.pointer(found_t), self.found))
        )
        return obeys

    def _replace_one(self, pool, found):
        view: cython.pointer(iobuf_t) = self.kept
        if view != cython.NULL:
            self.kept = view.next
            self.kept_count -= 1
            return view
        view = self._take_view(pool, FRAME_CLASS)
        if view == cython.NULL:
            return _own(found)
        return view

    def _take_view(self, pool, slot_class):
        slot: cython.pointer(slot_t) = take_slot(pool, slot_class, PLACE_DEVICE)
        view: cython.pointer(iobuf_t)
        if slot == cython.NULL:
            return cython.NULL
        view = new_iobuf(slot, slot.memory, 0)
        if view == cython.NULL:
            release_slot(slot)
        return view

    def _next_found(self, pool):
        """The next buffer of a frame in several; NULL: there is none."""
        found: cython.pointer(found_t)
        if self.found_next == self.found_end:
            self._look(pool, 1)
            if self.found_next == self.found_end or not self.works:
                return cython.NULL
        found = self.found_next
        self.found_next = found + 1
        return found

    def _drop(self, pool, buffers):
        """A frame of which a buffer is with the device again, after its first one."""
        found: cython.pointer(found_t)
        self.count.rx_no_slots += 1
        if not self.agreed.mergeable:
            return 0
        while buffers > 1:
            buffers -= 1
            found = self._next_found(pool)
            if found == cython.NULL:
                return self._breaks("of the receive buffers with a frame it gave some back only")
            if found.view != cython.NULL:
                free_iobuf(found.view)
        return 0

    def _empty_frame(self):
        """The chain for the next frame."""
        # It is not empty where an exception ended the last poll.
        if self.frame is None or self.frame.head != cython.NULL:
            self.frame = new_chain()
        return self.frame

    def _merge(self, pool, first, buffers):
        """5.1.6.4: a frame in several buffers, which came back together: whether it is `frame` now."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        found: cython.pointer(found_t) = first
        view: cython.pointer(iobuf_t)
        frame: Chain = self._empty_frame()
        left: uint16_t = buffers
        while True:
            view = found.view
            if view == cython.NULL:
                frame.drop_views()
                self._drop(pool, left)
                return False
            view.data = view.slot.memory + (HEADROOM - VNET_BYTES)
            view.length = found.length
            if found == first and frame.head == cython.NULL:
                view.data += VNET_BYTES
                view.length -= VNET_BYTES
            frame.append_view(view)
            if buffers == 0 or buffers > queue.size or found.length == 0 or (left > 1 and found.length != BUFFER_BYTES):
                frame.drop_views()
                self._breaks(f"it put {found.length} bytes of a frame into one of {buffers} receive buffers")
                return False
            left -= 1
            if left == 0:
                break
            found = self._next_found(pool)
            if found == cython.NULL:
                frame.drop_views()
                self._breaks(f"of {buffers} receive buffers with a frame it gave some back only")
                return False
        if frame.length > LONGEST_FRAME:
            self.count.rx_malformed += 1
            frame.drop_views()
            return False
        return True

    def _take_large(self, pool, found):
        """A buffer of many slots, of which the frame takes the first ones, and others their places. Whether it is
        `frame` now."""
        view: cython.pointer(iobuf_t)
        rest: cython.pointer(iobuf_t) = found.view
        after: cython.pointer(iobuf_t)
        fresh: cython.pointer(iobuf_t)
        left: uint32_t = found.length - VNET_BYTES
        needed: uint32_t = 1
        frame: Chain
        if left > FIRST_BYTES:
            needed += (left - FIRST_BYTES + UNIT_BYTES - 1) // UNIT_BYTES
        fresh = cython.NULL if left > LONGEST_FRAME else self._take_views(pool, needed)
        if fresh == cython.NULL:
            if left > LONGEST_FRAME:
                self.count.rx_malformed += 1
            else:
                self.count.rx_no_slots += 1
            self._offer_large(found.id, rest)
            return False
        frame = self._empty_frame()
        view = fresh
        while needed:
            needed -= 1
            after = rest.next
            rest.data = rest.slot.memory + (HEADROOM if frame.head == cython.NULL else cython.cast(uint32_t, 0))
            rest.length = FIRST_BYTES if frame.head == cython.NULL else UNIT_BYTES
            if rest.length > left:
                rest.length = left
            left -= rest.length
            frame.append_view(rest)
            rest = after
            if needed:
                view = view.next
        view.next = rest
        self._offer_large(found.id, fresh)
        return True

    def _take_views(self, pool, count):
        """As in a buffer of many slots: the first of 2 KiB, the others of 4; NULL: the pool is exhausted."""
        first: cython.pointer(iobuf_t) = self._take_view(pool, FRAME_CLASS)
        last: cython.pointer(iobuf_t) = first
        if first == cython.NULL:
            return cython.NULL
        first.next = cython.NULL
        while count > 1:
            count -= 1
            last.next = self._take_view(pool, UNIT_CLASS)
            last = last.next
            if last == cython.NULL:
                _free_views(first)
                return cython.NULL
            last.next = cython.NULL
        return first

    def _offer_large(self, id, views):
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        each: uint32_t = self.agreed.buffer_slots
        table: cython.pointer(uint8_t) = self.receiving.scratch + cython.cast(cython.size_t, id) * each * 16
        view: cython.pointer(iobuf_t) = views.next
        at: uint32_t = 1
        _entry(queue, table, 0, _header_of(views.slot), BUFFER_BYTES, WRITE | NEXT)
        while view != cython.NULL:
            _entry(queue, table, at, view.slot.memory, UNIT_BYTES, WRITE | NEXT if at + 1 < each else WRITE)
            view = view.next
            at += 1
        offer(queue, id, views, bus_address(table), each * 16, INDIRECT)

    def _take_offload(self, header):
        """Of `frame`; False: it does not fit, or is not what was agreed on."""
        offload: cython.pointer(offload_t) = cython.address(self.frame.offload)
        if not take_offload(header, offload, cython.cast(uint32_t, self.frame.length)):
            return False
        # 5.1.6.4.1: without GUEST_CSUM there are no flags, and only what was negotiated is left to be cut.
        if not self.agreed.checksums:
            if offload.flags & CHECKSUM_PARTIAL:
                return False
            offload.flags = 0
        return offload.gso_type == GSO_NONE or (self.agreed.kinds >> offload.gso_type) & 1 != 0

    # --- transmitting

    def _reap(self):
        """Gives back what the device has sent."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.transmitting.ring)
        view: cython.pointer(iobuf_t)
        used: used_t
        got: cython.int
        if queue.kind != ORDERED:
            if queue.kind == PACKED:
                got = self._reap_packed(queue)
            else:
                got = used_by_now(queue)
                if got > 0 and not self._reap_split(queue, got):
                    got = -1
            if got == 0:
                return 0
        else:
            got = take_used(queue, cython.address(used))
            if got == 0:
                return 0
            while got > 0:
                view = cython.cast(cython.pointer(iobuf_t), used.held)
                release(queue, used.id)
                if not _keep(self, view):
                    _free_views(view)
                got = take_used(queue, cython.address(used))
        self.blocked = False
        if got < 0:
            self._breaks("it gave back a frame that it did not have")
        return 0

    def _reap_split(self, queue, count):
        """Without IN_ORDER: as many used elements; False: one of them breaks the rules."""
        ring: cython.pointer(used_element_t) = queue.used.ring
        buffers: cython.pointer(buffer_t) = queue.buffers
        # Freed at the end: a call would have the loop's locals in memory.
        rest: cython.pointer(iobuf_t) = cython.NULL
        kept: cython.pointer(iobuf_t) = self.kept
        room: uint32_t = MOST_KEPT - self.kept_count
        frame_class: cython.pointer(slot_class_t) = self.frame_class
        before: buffer_t
        end: cython.pointer(buffer_t) = cython.address(before)
        view: cython.pointer(iobuf_t)
        mask: uint32_t = queue.mask
        at: uint32_t = queue.taken
        last: uint32_t = at + cython.cast(uint32_t, count)
        begin: uint32_t
        stop: uint32_t
        id: uint32_t
        before.next = queue.first
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
                if _is_other(view, frame_class):
                    room += 1
                    rest = _before(view, rest)
                else:
                    view.next = kept
                    kept = view
                at += 1
            room -= at - begin
            if at < stop:
                break
        self.kept = kept
        self.kept_count = MOST_KEPT - room
        _free_views(rest)
        _end_release(queue, before.next, end, at - queue.taken)
        queue.taken = cython.cast(uint16_t, at & 0xFFFF)
        return at >= last

    def _reap_packed(self, queue):
        """Without IN_ORDER: all that is used: of how many descriptors; -1: the device breaks the rules."""
        packed: cython.pointer(packed_descriptor_t) = queue.next_used
        begin: cython.pointer(packed_descriptor_t)
        stop: cython.pointer(packed_descriptor_t)
        buffers: cython.pointer(buffer_t) = queue.buffers
        # Freed at the end: a call would have the loop's locals in memory.
        rest: cython.pointer(iobuf_t) = cython.NULL
        kept: cython.pointer(iobuf_t) = self.kept
        room: uint32_t = MOST_KEPT - self.kept_count
        frame_class: cython.pointer(slot_class_t) = self.frame_class
        before: buffer_t
        end: cython.pointer(buffer_t) = cython.address(before)
        view: cython.pointer(iobuf_t)
        mask: cython.size_t = queue.mask
        used_flags: uint32_t = queue.used_flags
        id: cython.size_t
        count: uint32_t = 0
        obeys: cython.bint = True
        before.next = queue.first
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
                if _is_other(view, frame_class):
                    room += 1
                    rest = _before(view, rest)
                else:
                    view.next = kept
                    kept = view
                packed += 1
            count += cython.cast(uint32_t, packed - begin)
            room -= cython.cast(uint32_t, packed - begin)
            if packed < stop:
                break
            if packed >= queue.packed_end:
                packed -= queue.size
                used_flags ^= USED_OR_NOT
        self.kept = kept
        self.kept_count = MOST_KEPT - room
        _free_views(rest)
        _end_release(queue, before.next, end, count)
        queue.next_used = packed
        queue.used_flags = cython.cast(uint16_t, used_flags)
        return cython.cast(cython.int, count) if obeys else -1

    def transmit(self, frame):
        queue: cython.pointer(virtqueue_t)
        view: cython.pointer(iobuf_t) = frame.head
        header: cython.pointer(vnet_header_t)
        length: uint32_t
        # Nothing lives on after a call: the common way saves no registers.
        if not self.sends or frame.count != 1:
            return self._transmit_on(frame)
        queue = cython.address(self.transmitting.ring)
        # Header and the first view in one descriptor, where there is room (2.7.4.2: no layout is assumed).
        header = own_room(view)
        if header == cython.NULL or queue.free == 0:
            return self._transmit_on(frame)
        put_offload(header, cython.address(frame.offload))
        length = view.length
        self.count.tx_bytes += length
        offer(queue, take_id(queue), view, bus_address(header), length + VNET_BYTES, 0)
        self.count.tx_frames += 1
        frame.head = frame.tail = cython.NULL
        frame.count = 0
        frame.length = 0
        return True

    def _transmit_on(self, frame):
        """A frame of several pieces, or one that the ring may have no room for, or that is not sent at all."""
        queue: cython.pointer(virtqueue_t)
        view: cython.pointer(iobuf_t) = frame.head
        header: cython.pointer(vnet_header_t)
        count: uint32_t
        needed: uint32_t
        if not self.sends or view == cython.NULL:
            self.count.tx_link_down += 1
            frame.drop_views()
            return True
        header = own_room(view)
        count = frame.count + (1 if header == cython.NULL else 0)
        queue = cython.address(self.transmitting.ring)
        needed = 1 if queue.indirect and count <= TABLE_ENTRIES else count
        if count > queue.size:
            # 2.7.5.3.1, 2.8.17: a chain is not longer than the queue, wherever its descriptors are.
            return not self._flatten(frame) or self.transmit(frame)
        if needed > queue.free:
            self._reap()
            if not self.works:
                return self._transmit_on(frame)
            if needed > queue.free:
                self.count.tx_full += 1
                self.blocked = True
                return False
        self.count.tx_frames += 1
        self.count.tx_bytes += frame.length
        if header == cython.NULL:
            header = cython.cast(cython.pointer(vnet_header_t), self.headers + queue.first * _HEADER_STEP)
        put_offload(header, cython.address(frame.offload))
        if count == 1:
            offer(queue, take_id(queue), view, bus_address(header), view.length + VNET_BYTES, 0)
        elif needed == 1:
            self._offer_table(header, view, count)
        else:
            self._offer_chain(header, view, count)
        frame.head = frame.tail = cython.NULL
        frame.count = 0
        frame.length = 0
        return True

    def _offer_table(self, header, view, count):
        queue: cython.pointer(virtqueue_t) = cython.address(self.transmitting.ring)
        id: uint16_t = take_id(queue)
        table: cython.pointer(uint8_t) = self.tables + cython.cast(cython.size_t, id) * TABLE_BYTES
        first: cython.pointer(iobuf_t) = view
        at: uint32_t = 1
        if cython.cast(cython.pointer(uint8_t), header) + VNET_BYTES == view.data:
            _entry(queue, table, 0, header, view.length + VNET_BYTES, NEXT)
            view = view.next
        else:
            _entry(queue, table, 0, header, VNET_BYTES, NEXT)
        while view != cython.NULL:
            _entry(queue, table, at, view.data, view.length, NEXT if view.next != cython.NULL else 0)
            view = view.next
            at += 1
        offer(queue, id, first, bus_address(table), count * 16, INDIRECT)

    def _offer_chain(self, header, view, count):
        first: cython.pointer(iobuf_t) = view
        at: uint32_t = 1
        self.pieces[0].address = bus_address(header)
        self.pieces[0].length = VNET_BYTES
        if cython.cast(cython.pointer(uint8_t), header) + VNET_BYTES == view.data:
            self.pieces[0].length += view.length
            view = view.next
        while view != cython.NULL:
            self.pieces[at].address = bus_address(view.data)
            self.pieces[at].length = view.length
            view = view.next
            at += 1
        offer_pieces(
            cython.address(self.transmitting.ring),
            first,
            self.pieces,
            cython.cast(uint16_t, count),
            cython.cast(uint16_t, count),
        )

    def _flatten(self, frame):
        """A copy in as few views as there can be; False: it is dropped."""
        copy: Chain = frame.compact(PLACE_DEVICE)
        if copy is None or copy.count + 1 > self.transmitting.size:
            self.count.tx_no_slots += 1
            frame.drop_views()
            return False
        self.count.tx_flattened += 1
        frame.drop_views()
        frame.take_all(copy)
        return True

    def flush(self):
        if not self.works or not self.filled:
            if self.broken is not None:
                self.device.recover()
            if not self.works or not (self.filled or self.fill()):
                return 0
        self.count.notifications += self.receiving.kick()
        self.count.notifications += self.transmitting.kick()
        return 0

    # --- sleeping

    def enable_interrupts(self):
        self.armed = True
        if not self.works:
            return False
        if self.blocked:
            self.transmitting.want_used()
        self.receiving.want_used()
        # Seen by the device before we look once more: what came before is found here, what comes later interrupts.
        full_fence()
        if self.blocked and self.transmitting.used_waits():
            self.blocked = False
            return True
        return not self.filled or self.receiving.used_waits()

    def disable_interrupts(self):
        self.armed = False
        if self.works:
            self.receiving.spare_used()
            self.transmitting.spare_used()
        return 0

    def interrupt_source(self):
        return self.source

    def acknowledge_interrupt(self):
        if self.acknowledges:
            self.device.acknowledge()
        return 0
