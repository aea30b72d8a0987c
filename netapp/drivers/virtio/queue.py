"""Frames through a pair of virtqueues. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.netapp.drivers.access import bus_address, full_fence, load16
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    INDIRECT,
    NEXT,
    WRITE,
    free_id,
    offer,
    offer_pieces,
    packed_descriptor_t,
    release,
    split_descriptor_t,
    take_used,
    virtqueue_t,
)
from cython.cimports.netapp.drivers.vnet import (
    FIRST_BYTES,
    LONGEST_FRAME,
    VNET_BYTES,
    own_room,
    put_offload,
    take_offload,
)
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, GSO_NONE, Chain, new_chain
from cython.cimports.netapp.iobuf.pool import (
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    UNIT_BYTES,
    UNIT_CLASS,
    free_iobuf,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    running_pool,
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


class VirtioQueue:
    def __cinit__(self):
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        free(self.posted)
        free(self.pieces)

    def begin(self, receiving, transmitting, agreed):
        self.receiving = receiving
        self.transmitting = transmitting
        self.agreed = agreed
        free(self.posted)
        free(self.pieces)
        self.posted = cython.cast(
            cython.pointer(cython.pointer(slot_t)),
            calloc(receiving.size * agreed.buffer_slots, cython.sizeof(cython.p_void)),
        )
        self.pieces = cython.cast(cython.pointer(piece_t), calloc(transmitting.size, cython.sizeof(piece_t)))
        if self.posted == cython.NULL or self.pieces == cython.NULL:
            raise MemoryError
        self.headers = transmitting.scratch
        self.tables = transmitting.scratch + transmitting.size * _HEADER_STEP
        self.filled = False
        self.blocked = False
        self.broken = None
        self.works = True
        if self.armed:
            receiving.want_used()
        return 0

    def end(self, keep):
        i: uint32_t
        view: cython.pointer(iobuf_t)
        after: cython.pointer(iobuf_t)
        queue: cython.pointer(virtqueue_t)
        self.works = False
        self.filled = False
        self.blocked = False
        self.frame = None
        if self.receiving is None:
            return 0
        if keep:
            self.receiving.keep()
            self.transmitting.keep()
        else:
            for i in range(self.receiving.size * self.agreed.buffer_slots):
                if self.posted[i] != cython.NULL:
                    release_slot(self.posted[i])
                    self.posted[i] = cython.NULL
            queue = cython.address(self.transmitting.ring)
            for i in range(queue.size):
                view = queue.buffers[i].views
                queue.buffers[i].views = cython.NULL
                while view != cython.NULL:
                    after = view.next
                    free_iobuf(view)
                    view = after
        self.receiving = None
        self.transmitting = None
        return 0

    def _breaks(self, what):
        """`what` the device did, once."""
        if self.works:
            self.works = False
            self.filled = False
            self.broken = what
            self.count.violations += 1
        return 0

    # --- receiving

    def fill(self):
        """All buffers or none: in a queue that is full at all times they come back where they were given."""
        pool: cython.pointer(pool_t) = running_pool()
        queue: cython.pointer(virtqueue_t)
        slot: cython.pointer(slot_t)
        table: cython.pointer(uint8_t)
        id: uint16_t
        each: uint32_t = self.agreed.buffer_slots
        total: uint32_t
        i: uint32_t
        if not self.works:
            return False
        queue = cython.address(self.receiving.ring)
        total = queue.size * each
        for i in range(total):
            self.posted[i] = take_slot(pool, UNIT_CLASS if i % each else FRAME_CLASS, PLACE_DEVICE)
            if self.posted[i] == cython.NULL:
                self.count.rx_no_slots += 1
                while i > 0:
                    i -= 1
                    release_slot(self.posted[i])
                    self.posted[i] = cython.NULL
                return False
        for i in range(queue.size):
            id = free_id(queue)
            queue.previous = id
            queue.free -= 1
            slot = self.posted[id * each]
            if each == 1:
                offer(queue, id, bus_address(_header_of(slot)), BUFFER_BYTES, WRITE)
            else:
                table = self.receiving.scratch + cython.cast(cython.size_t, id) * each * 16
                self._fill_table(table, id * each)
                offer(queue, id, bus_address(table), each * 16, INDIRECT)
        self.filled = True
        return True

    def _fill_table(self, table, first):
        """Of a receive buffer of many slots."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        each: uint32_t = self.agreed.buffer_slots
        i: uint32_t
        _entry(queue, table, 0, _header_of(self.posted[first]), BUFFER_BYTES, WRITE | NEXT)
        for i in range(1, each):
            _entry(
                queue,
                table,
                i,
                self.posted[first + i].memory,
                UNIT_BYTES,
                WRITE | NEXT if i + 1 < each else WRITE,
            )

    def poll(self, budget):
        done: cython.int = 0
        got: cython.int = 0
        used: used_t
        queue: cython.pointer(virtqueue_t)
        pool: cython.pointer(pool_t)
        if not self.filled:
            return self._poll_idle()
        self._reap()
        pool = running_pool()
        queue = cython.address(self.receiving.ring)
        # A frame may have the device closed, or found broken.
        while done < budget and self.filled:
            got = take_used(queue, cython.address(used))
            if got <= 0:
                if got < 0:
                    self._breaks("it gave back a receive buffer that it did not have")
                break
            done += 1
            if self.agreed.buffer_slots == 1:
                self._receive(pool, cython.address(used))
            else:
                self._receive_large(pool, cython.address(used))
        return done

    def _poll_idle(self):
        if self.works:
            self._reap()
            self.fill()
        return 0

    def _empty(self):
        """The chain for the next frame."""
        # It is not empty where an exception ended the last poll.
        if self.frame is None or self.frame.head != cython.NULL:
            self.frame = new_chain()
        return self.frame

    def _receive(self, pool, used):
        """A buffer that came back, and its frame: the device gets another slot, or the same one again."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        slot: cython.pointer(slot_t) = self.posted[used.id]
        fresh: cython.pointer(slot_t)
        view: cython.pointer(iobuf_t) = cython.NULL
        header: cython.pointer(vnet_header_t) = _header_of(slot)
        frame: Chain
        buffers: uint16_t
        length: uint32_t = BUFFER_BYTES if used.whole else used.length
        if length <= VNET_BYTES or length > BUFFER_BYTES:
            return self._breaks(f"it used {length} bytes of a receive buffer of {BUFFER_BYTES}")
        if self.agreed.mergeable:
            buffers = load16(cython.cast(uint64_t, cython.address(header.num_buffers)))
            if buffers != 1:
                return self._receive_more(pool, used, buffers)
        fresh = take_slot(pool, FRAME_CLASS, PLACE_DEVICE)
        if fresh != cython.NULL:
            view = new_iobuf(slot, slot.memory + HEADROOM, length - VNET_BYTES)
            if view == cython.NULL:
                release_slot(fresh)
        if view == cython.NULL:
            self.count.rx_no_slots += 1
            offer(queue, used.id, bus_address(header), BUFFER_BYTES, WRITE)
            return 0
        self.posted[used.id] = fresh
        offer(queue, used.id, bus_address(_header_of(fresh)), BUFFER_BYTES, WRITE)
        frame = self._empty()
        frame.append_view(view)
        return self._hand_up(frame, header)

    def _receive_more(self, pool, used, buffers):
        """5.1.6.4: a frame in several buffers, which came back together; all but the last are full."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        header: cython.pointer(vnet_header_t) = _header_of(self.posted[used.id])
        slot: cython.pointer(slot_t)
        fresh: cython.pointer(slot_t)
        view: cython.pointer(iobuf_t)
        frame: Chain
        skipped: uint32_t = VNET_BYTES
        length: uint32_t
        left: uint16_t = buffers
        dropped: cython.bint = False
        if buffers == 0 or buffers > queue.size:
            return self._breaks(f"it put a frame into {buffers} receive buffers")
        frame = self._empty()
        while True:
            left -= 1
            length = BUFFER_BYTES if used.whole else used.length
            if length <= skipped or length > BUFFER_BYTES or (left and length != BUFFER_BYTES):
                frame.drop_views()
                return self._breaks(f"it used {length} bytes of one of a frame's {buffers} receive buffers")
            slot = self.posted[used.id]
            fresh = cython.NULL
            if not dropped:
                fresh = take_slot(pool, FRAME_CLASS, PLACE_DEVICE)
                view = cython.NULL
                if fresh != cython.NULL:
                    view = new_iobuf(slot, slot.memory + HEADROOM - VNET_BYTES + skipped, length - skipped)
                    if view == cython.NULL:
                        release_slot(fresh)
                if view == cython.NULL:
                    dropped = True
                    fresh = slot
                else:
                    frame.append_view(view)
            else:
                fresh = slot
            self.posted[used.id] = fresh
            offer(queue, used.id, bus_address(_header_of(fresh)), BUFFER_BYTES, WRITE)
            skipped = 0
            if left == 0:
                break
            if take_used(queue, used) != 1:
                frame.drop_views()
                return self._breaks(f"of {buffers} receive buffers with a frame it gave some back only")
        if dropped:
            self.count.rx_no_slots += 1
            frame.drop_views()
            return 0
        if frame.length > LONGEST_FRAME:
            self.count.rx_malformed += 1
            frame.drop_views()
            return 0
        return self._hand_up(frame, header)

    def _receive_large(self, pool, used):
        """A buffer of many slots, of which the frame takes the first ones."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.receiving.ring)
        each: uint32_t = self.agreed.buffer_slots
        first: uint32_t = used.id * each
        most: uint32_t = BUFFER_BYTES + (each - 1) * UNIT_BYTES
        length: uint32_t = most if used.whole else used.length
        table: cython.pointer(uint8_t) = self.receiving.scratch + cython.cast(cython.size_t, first) * 16
        header: cython.pointer(vnet_header_t) = _header_of(self.posted[first])
        fresh: cython.pointer(slot_t)[17]
        lost: cython.bint = False
        taken: uint32_t = 0
        needed: uint32_t = 1
        piece: uint32_t
        view: cython.pointer(iobuf_t)
        frame: Chain
        if length <= VNET_BYTES or length > most:
            return self._breaks(f"it used {length} bytes of a receive buffer of {most}")
        if length > BUFFER_BYTES:
            needed += (length - BUFFER_BYTES + UNIT_BYTES - 1) // UNIT_BYTES
        while taken < needed:
            fresh[taken] = take_slot(pool, UNIT_CLASS if taken else FRAME_CLASS, PLACE_DEVICE)
            if fresh[taken] == cython.NULL:
                break
            taken += 1
        if taken < needed or length - VNET_BYTES > LONGEST_FRAME:
            if taken < needed:
                self.count.rx_no_slots += 1
            else:
                self.count.rx_malformed += 1
            while taken:
                taken -= 1
                release_slot(fresh[taken])
            offer(queue, used.id, bus_address(table), each * 16, INDIRECT)
            return 0
        frame = self._empty()
        length -= VNET_BYTES
        for taken in range(needed):
            piece = UNIT_BYTES if taken else FIRST_BYTES
            if piece > length:
                piece = length
            length -= piece
            view = new_iobuf(
                self.posted[first + taken],
                self.posted[first + taken].memory + (0 if taken else cython.cast(uint32_t, HEADROOM)),
                piece,
            )
            if view == cython.NULL:
                release_slot(self.posted[first + taken])
                lost = True
            else:
                frame.append_view(view)
            self.posted[first + taken] = fresh[taken]
        self._fill_table(table, first)
        offer(queue, used.id, bus_address(table), each * 16, INDIRECT)
        if lost:
            self.count.rx_no_slots += 1
            frame.drop_views()
            return 0
        return self._hand_up(frame, header)

    def _hand_up(self, frame, header):
        if not take_offload(
            header, cython.address(frame.offload), cython.cast(uint32_t, frame.length)
        ) or not self._agreed_on(cython.address(frame.offload)):
            self.count.rx_malformed += 1
            frame.drop_views()
            return 0
        self.count.rx_frames += 1
        self.count.rx_bytes += frame.length
        if self.receiver is None:
            self.count.rx_no_receiver += 1
            frame.drop_views()
            return 0
        self.receiver.receive_frame(frame)
        # The chain is used again unless somebody else holds it. Py_REFCNT() would count the reference of its own
        # argument; ours and the caller's are two.
        if cython.cast(cython.pointer(PyObject), frame).ob_refcnt <= 2 and frame.write_slot == cython.NULL:
            frame.drop_views()
        else:
            self.frame = None
        return 0

    def _agreed_on(self, offload):
        """5.1.6.4.1: without GUEST_CSUM there are no flags, and only what was negotiated is left to be cut."""
        if not self.agreed.checksums:
            if offload.flags & CHECKSUM_PARTIAL:
                return False
            offload.flags = 0
        return offload.gso_type == GSO_NONE or (self.agreed.kinds >> offload.gso_type) & 1 != 0

    # --- transmitting

    def _reap(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.transmitting.ring)
        used: used_t
        got: cython.int
        view: cython.pointer(iobuf_t)
        after: cython.pointer(iobuf_t)
        while True:
            got = take_used(queue, cython.address(used))
            if got <= 0:
                break
            view = queue.buffers[used.id].views
            queue.buffers[used.id].views = cython.NULL
            release(queue, used.id)
            while view != cython.NULL:
                after = view.next
                free_iobuf(view)
                view = after
            self.blocked = False
        if got < 0:
            self._breaks("it gave back a frame that it did not have")
        return 0

    def transmit(self, frame):
        queue: cython.pointer(virtqueue_t)
        view: cython.pointer(iobuf_t)
        header: cython.pointer(vnet_header_t)
        count: uint32_t
        needed: uint32_t
        id: uint16_t
        if not self.works or not self.link_up or frame.length == 0:
            self.count.tx_link_down += 1
            frame.drop_views()
            return True
        queue = cython.address(self.transmitting.ring)
        view = frame.head
        # Header and the first view in one descriptor, where there is room (2.7.4.2: no layout is assumed).
        header = own_room(view)
        count = frame.count + (1 if header == cython.NULL else 0)
        needed = 1 if count <= TABLE_ENTRIES and queue.indirect else count
        if needed > queue.free:
            if count > queue.size:
                # 2.7.5.3.1, 2.8.17: a chain is not longer than the queue.
                return not self._flatten(frame) or self.transmit(frame)
            self._reap()
            if not self.works:
                return self.transmit(frame)
            if needed > queue.free:
                self.count.tx_full += 1
                self.blocked = True
                return False
        self.count.tx_frames += 1
        self.count.tx_bytes += frame.length
        id = free_id(queue)
        if count == 1:
            put_offload(header, cython.address(frame.offload))
            queue.previous = id
            queue.free -= 1
            queue.buffers[id].last = id
            queue.buffers[id].count = 1
            offer(queue, id, bus_address(header), view.length + VNET_BYTES, 0)
        else:
            if header == cython.NULL:
                header = cython.cast(cython.pointer(vnet_header_t), self.headers + id * _HEADER_STEP)
            put_offload(header, cython.address(frame.offload))
            if needed == 1:
                self._offer_table(id, header, view, count)
            else:
                self._offer_chain(header, view, count)
        queue.buffers[id].views = view
        frame.head = frame.tail = cython.NULL
        frame.count = 0
        frame.length = 0
        return True

    def _offer_table(self, id, header, view, count):
        queue: cython.pointer(virtqueue_t) = cython.address(self.transmitting.ring)
        table: cython.pointer(uint8_t) = self.tables + cython.cast(cython.size_t, id) * TABLE_BYTES
        at: uint32_t = 0
        if cython.cast(cython.pointer(uint8_t), header) + VNET_BYTES == view.data:
            _entry(queue, table, 0, header, view.length + VNET_BYTES, NEXT)
            view = view.next
        else:
            _entry(queue, table, 0, header, VNET_BYTES, NEXT)
        at = 1
        while at < count:
            _entry(queue, table, at, view.data, view.length, NEXT if at + 1 < count else 0)
            view = view.next
            at += 1
        queue.previous = id
        queue.free -= 1
        queue.buffers[id].last = id
        queue.buffers[id].count = 1
        offer(queue, id, bus_address(table), count * 16, INDIRECT)
        return id

    def _offer_chain(self, header, view, count):
        at: uint32_t = 1
        self.pieces[0].address = bus_address(header)
        self.pieces[0].length = VNET_BYTES
        if cython.cast(cython.pointer(uint8_t), header) + VNET_BYTES == view.data:
            self.pieces[0].length += view.length
            view = view.next
        while at < count:
            self.pieces[at].address = bus_address(view.data)
            self.pieces[at].length = view.length
            view = view.next
            at += 1
        offer_pieces(
            cython.address(self.transmitting.ring),
            self.pieces,
            cython.cast(uint16_t, count),
            cython.cast(uint16_t, count),
        )
        return 0

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
