"""Frames to a card. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.netapp.drivers.access import bus_address
from cython.cimports.netapp.drivers.virtio.buffers import free_views, keep
from cython.cimports.netapp.drivers.virtio.packed import reap_packed
from cython.cimports.netapp.drivers.virtio.split import reap_split
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    INDIRECT,
    NEXT,
    ORDERED,
    PACKED,
    offer,
    offer_pieces,
    piece_t,
    put_entry,
    release,
    take_id,
    take_used,
    used_by_now,
    used_t,
    virtqueue_t,
)
from cython.cimports.netapp.drivers.vnet import VNET_BYTES, own_room, put_offload, vnet_header_t
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.pool import PLACE_DEVICE, iobuf_t

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


def transmitting_scratch(size, indirect):
    return cython.cast(cython.size_t, size) * (_HEADER_STEP + (TABLE_BYTES if indirect else 0))


class SendingQueue:
    def __cinit__(self):
        self.link_up = True
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        free(self.pieces)

    def begin_sending(self, transmitting):
        free(self.pieces)
        self.pieces = cython.cast(cython.pointer(piece_t), calloc(transmitting.size, cython.sizeof(piece_t)))
        if self.pieces == cython.NULL:
            raise MemoryError
        self.transmitting = transmitting
        self.headers = transmitting.scratch
        self.tables = transmitting.scratch + transmitting.size * _HEADER_STEP
        self.blocked = False
        self.broken = None
        self.works = True
        self.sends = self.link_up
        return 0

    def end_sending(self, keep):
        i: uint32_t
        view: cython.pointer(iobuf_t)
        queue: cython.pointer(virtqueue_t)
        self.works = self.sends = False
        self.blocked = False
        if self.transmitting is None:
            return 0
        if keep:
            self.transmitting.keep()
        else:
            queue = cython.address(self.transmitting.ring)
            for i in range(queue.size):
                view = cython.cast(cython.pointer(iobuf_t), queue.buffers[i].held)
                queue.buffers[i].held = cython.NULL
                free_views(view)
        free_views(self.kept.first)
        self.kept.first = cython.NULL
        self.kept.count = 0
        self.transmitting = None
        return 0

    def set_link(self, up):
        self.link_up = up
        self.sends = self.works and up
        return 0

    def breaks(self, what):
        if self.works:
            self.works = self.sends = False
            self.broken = what
            self.count.violations += 1
        return 0

    def reap(self):
        """Gives back what the device has sent."""
        queue: cython.pointer(virtqueue_t) = cython.address(self.transmitting.ring)
        view: cython.pointer(iobuf_t)
        used: used_t
        got: cython.int
        if queue.kind != ORDERED:
            if queue.kind == PACKED:
                got = reap_packed(queue, cython.address(self.kept))
            else:
                got = used_by_now(queue)
                if got > 0 and not reap_split(queue, cython.address(self.kept), got):
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
                if not keep(cython.address(self.kept), view):
                    free_views(view)
                got = take_used(queue, cython.address(used))
        self.blocked = False
        if got < 0:
            self.breaks("it gave back a frame that it did not have")
        return 0

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
            self.reap()
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
            put_entry(queue, table, 0, header, view.length + VNET_BYTES, NEXT)
            view = view.next
        else:
            put_entry(queue, table, 0, header, VNET_BYTES, NEXT)
        while view != cython.NULL:
            put_entry(queue, table, at, view.data, view.length, NEXT if view.next != cython.NULL else 0)
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
