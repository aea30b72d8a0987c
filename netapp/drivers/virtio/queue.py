"""Frames from a card; polling and sleeping. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.netapp.drivers.access import bus_address, full_fence, load16, unlikely
from cython.cimports.netapp.drivers.virtio.buffers import (
    BUFFER_BYTES,
    MOST_FOUND,
    batch_t,
    begin_look,
    found_t,
    free_views,
    header_of,
    keep,
    replace_one,
    take_view,
)
from cython.cimports.netapp.drivers.virtio.packed import look_packed
from cython.cimports.netapp.drivers.virtio.sending import SendingQueue
from cython.cimports.netapp.drivers.virtio.split import look_split
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    INDIRECT,
    NEXT,
    ORDERED,
    PACKED,
    WRITE,
    offer,
    put_entry,
    take_id,
    take_used,
    used_by_now,
    used_t,
    virtqueue_t,
)
from cython.cimports.netapp.drivers.vnet import (
    FIRST_BYTES,
    LONGEST_FRAME,
    VNET_BYTES,
    says_something,
    take_offload,
    vnet_header_t,
)
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, GSO_NONE, Chain, new_chain, offload_t
from cython.cimports.netapp.iobuf.pool import (
    FRAME_CLASS,
    HEADROOM,
    UNIT_BYTES,
    UNIT_CLASS,
    free_iobuf,
    iobuf_t,
    pool_t,
    running_pool,
)


def receiving_scratch(size, buffer_slots):
    return 0 if buffer_slots == 1 else cython.cast(cython.size_t, size) * buffer_slots * 16


class VirtioQueue:
    def begin(self, receiving, transmitting, agreed):
        self.begin_sending(transmitting)
        self.receiving = receiving
        self.agreed = agreed
        self.filled = False
        if self.armed:
            receiving.want_used()
        return 0

    def end(self, keep):
        self.frame = None
        self.filled = False
        if self.receiving is not None:
            self._give_back_found()
            if keep:
                self.receiving.keep()
            else:
                self._give_back_buffers()
            self.receiving = None
        return self.end_sending(keep)

    def breaks(self, what):
        SendingQueue.breaks(self, what)
        self.filled = False
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
        self.kept.frame_class = cython.address(pool.classes[FRAME_CLASS])
        for i in range(queue.size):
            view = self._take_views(pool, each)
            if view == cython.NULL:
                self._give_back_buffers()
                self.device.fill_later()
                return False
            queue.buffers[i].held = view
        for i in range(queue.size):
            view = cython.cast(cython.pointer(iobuf_t), queue.buffers[i].held)
            if each > 1:
                self._offer_large(take_id(queue), view)
            else:
                offer(queue, take_id(queue), view, bus_address(header_of(view.slot)), BUFFER_BYTES, WRITE)
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
                free_views(view)

    def _give_back_found(self):
        """Of frames that will not be handed up."""
        view: cython.pointer(iobuf_t)
        while self.batch.next != self.batch.end:
            view = self.batch.next.view
            self.batch.next += 1
            if view != cython.NULL and self.agreed.buffer_slots == 1:
                free_iobuf(view)
            else:
                free_views(view)

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
        self.reap()
        if not self.filled:
            return 0
        pool = running_pool()
        # An exception may have ended the last poll early.
        if self.batch.next == self.batch.end:
            self._look(pool, MOST_FOUND if budget > MOST_FOUND else budget)
            if self.batch.next == self.batch.end:
                return 0
        frame = self._empty_frame()
        # A frame may have the device closed, or found broken: then there is none left.
        while self.batch.next != self.batch.end:
            found = self.batch.next
            self.batch.next = found + 1
            done += 1
            view = found.view
            length = found.length
            if unlikely(length <= VNET_BYTES):
                if view == cython.NULL:
                    self._drop(pool, found.buffers)
                    continue
                if large:
                    free_views(view)
                else:
                    free_iobuf(view)
                self.breaks("it used a receive buffer for less than a frame")
                break
            header = header_of(view.slot)
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
            if not keep(cython.address(self.kept), view):
                free_iobuf(view)
        return done

    def _poll_idle(self):
        if self.works:
            self.reap()
            self.fill()
        return 0

    def _look(self, pool, most):
        """Used receive buffers; each of one slot is replaced at once."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        batch: cython.pointer(batch_t) = cython.address(self.batch)
        most_bytes: uint32_t = BUFFER_BYTES + (self.agreed.buffer_slots - 1) * UNIT_BYTES
        found: cython.pointer(found_t) = batch.found
        used: used_t
        view: cython.pointer(iobuf_t)
        count: cython.int = 0
        got: cython.int = 0
        obeys: cython.bint
        batch.next = batch.end = found
        if self.agreed.buffer_slots == 1 and queue.kind != ORDERED:
            begin_look(batch)
            if queue.kind == PACKED:
                obeys = look_packed(queue, batch, cython.address(self.kept), pool, most)
            else:
                got = used_by_now(queue)
                if got < 0:
                    return self.breaks("it used more receive buffers than it has")
                obeys = look_split(queue, batch, cython.address(self.kept), pool, most if got > most else got)
            if not obeys:
                return self.breaks("it gave back a receive buffer that it did not have, or too many bytes of one")
            return 0
        while count < most:
            got = take_used(queue, cython.address(used))
            if got <= 0:
                break
            found.view = cython.cast(cython.pointer(iobuf_t), used.held)
            found.id = used.id
            found.length = most_bytes if used.whole else used.length
            count += 1
            batch.end = found + 1
            if found.length == 0 or found.length > most_bytes:
                got = -1
                break
            found += 1
        if got < 0:
            return self.breaks("it gave back a receive buffer that it did not have, or too many bytes of one")
        if self.agreed.buffer_slots > 1:
            return 0
        found = batch.found
        while count > 0:
            count -= 1
            view = replace_one(pool, cython.address(self.kept), found)
            offer(queue, found.id, view, bus_address(header_of(view.slot)), BUFFER_BYTES, WRITE)
            found += 1
        return 0

    def _next_found(self, pool):
        """The next buffer of a frame in several; NULL: there is none."""
        found: cython.pointer(found_t)
        if self.batch.next == self.batch.end:
            self._look(pool, 1)
            if self.batch.next == self.batch.end or not self.works:
                return cython.NULL
        found = self.batch.next
        self.batch.next = found + 1
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
                return self.breaks("of the receive buffers with a frame it gave some back only")
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
                self.breaks(f"it put {found.length} bytes of a frame into one of {buffers} receive buffers")
                return False
            left -= 1
            if left == 0:
                break
            found = self._next_found(pool)
            if found == cython.NULL:
                frame.drop_views()
                self.breaks(f"of {buffers} receive buffers with a frame it gave some back only")
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
        first: cython.pointer(iobuf_t) = take_view(pool, FRAME_CLASS)
        last: cython.pointer(iobuf_t) = first
        if first == cython.NULL:
            return cython.NULL
        first.next = cython.NULL
        while count > 1:
            count -= 1
            last.next = take_view(pool, UNIT_CLASS)
            last = last.next
            if last == cython.NULL:
                free_views(first)
                return cython.NULL
            last.next = cython.NULL
        return first

    def _offer_large(self, id, views):
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        each: uint32_t = self.agreed.buffer_slots
        table: cython.pointer(uint8_t) = self.receiving.scratch + cython.cast(cython.size_t, id) * each * 16
        view: cython.pointer(iobuf_t) = views.next
        at: uint32_t = 1
        put_entry(queue, table, 0, header_of(views.slot), BUFFER_BYTES, WRITE | NEXT)
        while view != cython.NULL:
            put_entry(queue, table, at, view.slot.memory, UNIT_BYTES, WRITE | NEXT if at + 1 < each else WRITE)
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

    def flush(self):
        if not self.filled:
            if self.broken is not None:
                self.device.recover()
            if self.works and not self.filled:
                # What was sent may be the memory that is missing.
                self.reap()
                self.fill()
            if not self.works:
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
        return self.filled and self.receiving.used_waits()

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
