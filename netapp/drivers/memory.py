"""A wire in memory. Checksum and segmentation offloads are done by the wire where the receiving end lacks them."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.drivers.device import (
    FEATURE_CHECKSUM,
    FEATURE_RX_CHECKSUM,
    FEATURE_RX_TSO4,
    FEATURE_RX_USO,
    FEATURE_TSO4,
    FEATURE_USO,
    FrameReceiver,
    offload_tuple,
    set_offload,
)
from cython.cimports.netapp.drivers.frames import (
    allocate_frame,
    complete_checksum,
    fill_frame,
    frame_bytes,
    store_checksum,
)
from cython.cimports.netapp.iobuf.chain import (
    CHECKSUM_PARTIAL,
    CHECKSUM_VALID,
    GSO_NONE,
    GSO_TCPV4,
    GSO_UDP_L4,
    Chain,
    new_chain,
    offload_t,
)
from cython.cimports.netapp.iobuf.pool import (
    FRAME_BYTES,
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    PLACE_USER,
    REDZONE,
    UNIT_BYTES,
    iobuf_t,
    new_iobuf,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)
from cython.cimports.netapp.wire.bytes import load16, load32, raw32, store16, store32
from cython.cimports.netapp.wire.checksum import sum_bytes, sum_chain, sum_pseudo_header

COUNTERS = (
    "tx_frames",
    "tx_bytes",
    "tx_full",
    "tx_oversized",
    "tx_malformed",
    "tx_link_down",
    "rx_frames",
    "rx_bytes",
    "rx_segments",
    "rx_no_slots",
    "rx_no_receiver",
    "interrupts",
)

_FIRST_BYTES = cython.declare(uint32_t, FRAME_BYTES - HEADROOM)  # of a frame, in its first view
_ETHERNET = cython.declare(uint32_t, 14)
_LONGEST_IP = cython.declare(uint32_t, 65535)
_LONGEST_HEADERS = cython.declare(uint32_t, 142)  # Ethernet with two VLAN tags, IPv4, TCP, both with all options
_FIN_PSH = cython.declare(uint8_t, 0x09)
_CWR = cython.declare(uint8_t, 0x80)
_ALL = cython.declare(cython.int, 0x7FFFFFFF)  # a poll's budget
_OFFLOADS = cython.declare(uint32_t, FEATURE_CHECKSUM | FEATURE_TSO4 | FEATURE_USO)
_RX_OFFLOADS = cython.declare(uint32_t, FEATURE_RX_CHECKSUM | FEATURE_RX_TSO4 | FEATURE_RX_USO)


@cython.cfunc
@cython.exceptval(check=False)
def _link_length(header: cython.pointer(uint8_t), length: uint64_t) -> uint32_t:
    """Bytes of the Ethernet header with its VLAN tags (IEEE 802.1Q)."""
    at: uint32_t = _ETHERNET
    while (
        at <= 18
        and cython.cast(uint64_t, at) + 4 <= length
        and (load16(header + at - 2) == 0x8100 or load16(header + at - 2) == 0x88A8)
    ):
        at += 4
    return at


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _plain(queue: MemoryQueue, frame: Chain) -> cython.bint:
    """Whether it needs no closer look: not too long even without a tag, and nothing to be done but one checksum."""
    offload: cython.pointer(offload_t) = cython.address(frame.offload)
    field: uint32_t = cython.cast(uint32_t, offload.csum_start) + offload.csum_offset + 2
    if frame.length == 0 or frame.length > queue.device.mtu + _ETHERNET or offload.gso_type != GSO_NONE:
        return False
    return not offload.flags & CHECKSUM_PARTIAL or (field <= frame.length and field <= _FIRST_BYTES)


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _copy_small(queue: MemoryQueue, source: Chain) -> cython.bint:
    """A frame that one slot holds. Chain and slot are the last one's, where neither the stack nor the appliance kept
    them: a device's buffer that came back is posted again."""
    length: uint32_t = cython.cast(uint32_t, source.length)
    slot: cython.pointer(slot_t)
    view: cython.pointer(iobuf_t)
    if queue.ready:
        queue.ready = False
        view = queue.frame.head
        view.data = view.slot.memory + HEADROOM
        view.length = length
        queue.frame.length = length
    else:
        # Not empty: an exception ended the last poll.
        if queue.frame is None or queue.frame.head != cython.NULL:
            queue.frame = new_chain()
        slot = take_slot(running_pool(), FRAME_CLASS, PLACE_DEVICE)
        if slot == cython.NULL:
            return False
        view = new_iobuf(slot, slot.memory + HEADROOM, length)
        if view == cython.NULL:
            release_slot(slot)
            return False
        queue.frame.append_view(view)
    if source.head.length == length:
        memcpy(view.data, source.head.data, length)
    else:
        source.copy_out(0, view.data, length)
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _copy(queue: MemoryQueue, source: Chain) -> cython.bint:
    """The frame in slots of the running core, as a device's DMA would place it."""
    if source.length <= _FIRST_BYTES:
        if not _copy_small(queue, source):
            return False
    else:
        queue.ready = False
        queue.frame = allocate_frame(source.length)
        if queue.frame is None:
            return False
        fill_frame(queue.frame, 0, source, 0)
    queue.frame.offload = source.offload
    if not queue.device.features & FEATURE_RX_CHECKSUM:
        if source.offload.flags & CHECKSUM_PARTIAL and source.offload.gso_type == GSO_NONE:
            complete_checksum(queue.frame)
        elif not source.offload.flags & CHECKSUM_PARTIAL:
            queue.frame.offload.flags = 0
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _takes_whole(queue: MemoryQueue, frame: Chain) -> cython.bint:
    """Whether this end takes what is still to be segmented."""
    return queue.device.features & (FEATURE_RX_USO if frame.offload.gso_type == GSO_UDP_L4 else FEATURE_RX_TSO4) != 0


@cython.cfunc
@cython.exceptval(check=False)
def _transport_length(kind: uint8_t, header: cython.pointer(uint8_t)) -> uint32_t:
    """Bytes of a TCP or UDP header, of a frame to be segmented."""
    return 8 if kind == GSO_UDP_L4 else (header[12] >> 4) * 4


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _arrive(queue: MemoryQueue, source: Chain) -> cython.bint:
    """Puts the peer's foremost frame `source`, or the next segment of it, into `queue.frame`; False: no slots."""
    done: cython.bint
    place: uint64_t
    if source.offload.gso_type != GSO_NONE and not _takes_whole(queue, source):
        queue.ready = False
        queue.frame = queue._segment(source)
        done = queue.frame is not None
    else:
        done = _copy(queue, source)
    if queue.segment_offset == 0:
        place = queue.peer.consumed & queue.peer.mask
        queue.peer.consumed += 1
        # Other cores' slots are given back by their owner only.
        if queue.peer.eager[place] and source.head.slot.home.pool == running_pool():
            source.advance(source.length)
    if not done:
        queue.count.rx_no_slots += 1
        return False
    queue.count.rx_frames += 1
    queue.count.rx_bytes += queue.frame.length
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _recycle(queue: MemoryQueue) -> cython.void:
    """The frame was handed up: its chain and slot are used again unless somebody else holds them."""
    view: cython.pointer(iobuf_t)
    # Py_REFCNT() would count the reference of its own argument.
    if cython.cast(cython.pointer(PyObject), queue.frame).ob_refcnt != 1 or queue.frame.write_slot != cython.NULL:
        queue.frame = None
        return
    view = queue.frame.head
    if (
        # Where slots are poisoned each goes back at once, so that a late look into one is seen.
        REDZONE == 0
        and view != cython.NULL
        and view.next == cython.NULL
        and view.slot.references == 1
        and view.slot.size == FRAME_BYTES
        and view.slot.place == PLACE_DEVICE
    ):
        queue.ready = True
    else:
        queue.frame.drop_views()


class Collector:
    def receive_frame(self, frame):
        self.frames.append((frame_bytes(frame), offload_tuple(cython.address(frame.offload))))
        return 0


class MemoryQueue:
    def __cinit__(self, capacity):
        i: uint32_t
        if capacity < 1 or capacity & (capacity - 1):
            raise ValueError(f"a ring of {capacity} frames: choose a power of two")
        self.ring = cython.cast(
            cython.pointer(cython.pointer(PyObject)), calloc(capacity, cython.sizeof(cython.p_void))
        )
        self.eager = cython.cast(cython.pointer(uint8_t), calloc(capacity, 1))
        if self.ring == cython.NULL or self.eager == cython.NULL:
            raise MemoryError
        self.capacity = capacity
        self.mask = capacity - 1
        for i in range(self.capacity):
            chain: Chain = Chain.__new__(Chain)
            Py_INCREF(chain)
            self.ring[i] = cython.cast(cython.pointer(PyObject), chain)
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        if self.ring != cython.NULL:
            self._free_ring()
        free(self.ring)
        free(self.eager)

    def poll(self, budget):
        done: cython.int = 0
        peer: MemoryQueue = self.peer
        self._reap()
        if self.filled - self.reaped < self.capacity:
            self.blocked = False
        while done < budget and peer.consumed != peer.published:
            done += 1
            if not _arrive(self, cython.cast(Chain, peer.ring[peer.consumed & peer.mask])):
                continue
            if self.receiver is None:
                self.count.rx_no_receiver += 1
            else:
                self.receiver.receive_frame(self.frame)
            _recycle(self)
        if self.ready:
            self.ready = False
            self.frame.drop_views()
        if done and peer.blocked:
            peer._raise()
        return done

    def transmit(self, frame):
        place: uint64_t
        kept: Chain
        if self.closed or self.peer.closed:
            self.count.tx_link_down += 1
            frame.advance(frame.length)
            return True
        if self.filled - self.reaped == self.capacity:
            self._reap()
            if self.filled - self.reaped == self.capacity:
                self.count.tx_full += 1
                self.blocked = True
                return False
        if not _plain(self, frame) and not self._well_formed(frame):
            frame.advance(frame.length)
            return True
        place = self.filled & self.mask
        self.count.tx_frames += 1
        self.count.tx_bytes += frame.length
        kept = cython.cast(Chain, self.ring[place])
        kept.offload = frame.offload
        kept.take_all(frame)
        self.eager[place] = False
        self.filled += 1
        return True

    def flush(self):
        if self.published != self.filled:
            self.published = self.filled
            self.peer._raise()
        return 0

    def enable_interrupts(self):
        # Nothing lies between this and a look: one thread runs both ends.
        self.interrupts_enabled = True
        return self.peer.consumed != self.peer.published or (self.blocked and self.reaped != self.consumed)

    def disable_interrupts(self):
        self.interrupts_enabled = False
        return 0

    def interrupt_source(self):
        return self

    def _raise(self):
        if self.interrupts_enabled and not self.closed:
            self.count.interrupts += 1
            if self.notify is not None:
                self.notify(self)
        return 0

    def _reap(self):
        """Gives back what the peer has copied."""
        while self.reaped != self.consumed:
            cython.cast(Chain, self.ring[self.reaped & self.mask]).drop_views()
            self.reaped += 1

    def _well_formed(self, frame):
        """Whether a device would send this; counts what it would not."""
        header: uint8_t[144]
        offload: cython.pointer(offload_t) = cython.address(frame.offload)
        copied: uint64_t = _LONGEST_HEADERS if frame.length > _LONGEST_HEADERS else frame.length
        link: uint32_t
        transport: uint64_t
        least: uint32_t
        limit: uint64_t
        memset(header, 0, cython.sizeof(header))
        frame.copy_out(0, header, copied)
        link = _link_length(header, frame.length)
        limit = self.device.mtu if offload.gso_type == GSO_NONE else _LONGEST_IP
        if frame.length > limit + link:
            self.count.tx_oversized += 1
            return False
        if frame.length and offload.gso_type == GSO_NONE:
            if not offload.flags & CHECKSUM_PARTIAL:
                return True
            if cython.cast(uint64_t, offload.csum_start) + offload.csum_offset + 2 <= frame.length:
                # The field lies in the receiver's first view.
                if cython.cast(uint32_t, offload.csum_start) + offload.csum_offset + 2 <= _FIRST_BYTES:
                    return True
        elif (
            (offload.gso_type == GSO_TCPV4 or offload.gso_type == GSO_UDP_L4)
            and offload.flags & CHECKSUM_PARTIAL
            and offload.gso_size
        ):
            transport = link + (header[link] & 15) * 4
            least = 8 if offload.gso_type == GSO_UDP_L4 else 20
            if (
                transport + least <= copied
                and load16(header + link - 2) == 0x0800
                and header[link] >= 0x45
                and header[link + 9] == (17 if offload.gso_type == GSO_UDP_L4 else 6)
                and _transport_length(offload.gso_type, header + transport) >= least
                and transport + _transport_length(offload.gso_type, header + transport) <= copied
            ):
                transport += _transport_length(offload.gso_type, header + transport)
                if transport - link + offload.gso_size <= self.device.mtu:
                    return True
                self.count.tx_oversized += 1
                return False
        self.count.tx_malformed += 1
        return False

    def _segment(self, source):
        """Cuts as a network card does: each segment with the first one's headers, brought up to date."""
        header: uint8_t[144]
        frame: Chain
        at: cython.pointer(uint8_t)
        checksum: cython.pointer(uint8_t)
        pseudo: uint64_t
        link: uint32_t
        transport: uint32_t
        headers: uint32_t
        piece: uint32_t = source.offload.gso_size
        offset: uint64_t = self.segment_offset
        last: cython.bint
        source.copy_out(0, header, _LONGEST_HEADERS if source.length > _LONGEST_HEADERS else source.length)
        link = _link_length(header, source.length)
        transport = link + (header[link] & 15) * 4
        headers = transport + _transport_length(source.offload.gso_type, header + transport)
        last = headers + offset + piece >= source.length
        if last:
            piece = cython.cast(uint32_t, source.length - headers - offset)
        frame = allocate_frame(headers + piece)
        if frame is not None:
            at = frame.head.data
            memcpy(at, header, headers)
            fill_frame(frame, headers, source, headers + offset)
            store16(at + link + 2, cython.cast(uint16_t, headers - link + piece))
            store16(at + link + 4, cython.cast(uint16_t, load16(header + link + 4) + offset // source.offload.gso_size))
            memset(at + link + 10, 0, 2)
            store_checksum(at + link + 10, sum_bytes(at + link, transport - link, 0))
            if source.offload.gso_type == GSO_UDP_L4:
                store16(at + transport + 4, cython.cast(uint16_t, headers - transport + piece))
                checksum = at + transport + 6
            else:
                store32(at + transport + 4, cython.cast(uint32_t, load32(header + transport + 4) + offset))
                if not last:
                    at[transport + 13] &= ~_FIN_PSH
                # RFC 3168, 6.1.2: CWR says that the window was reduced once: on the first segment only.
                if offset:
                    at[transport + 13] &= ~_CWR
                checksum = at + transport + 16
            memset(checksum, 0, 2)
            pseudo = sum_pseudo_header(
                raw32(at + link + 12), raw32(at + link + 16), header[link + 9], headers - transport + piece
            )
            store_checksum(checksum, sum_chain(frame, transport, pseudo))
            if self.device.features & FEATURE_RX_CHECKSUM:
                frame.offload.flags = CHECKSUM_VALID
            self.count.rx_segments += 1
        self.segment_offset = offset + piece
        if last:
            self.segment_offset = 0
        return frame

    def _close(self):
        """Takes the frames back that are in the ring, arrived or not."""
        self.closed = True
        self.published = self.filled
        self.consumed = self.filled
        self.reaped = self.filled
        self.peer.segment_offset = 0
        self._free_ring()
        self.receiver = None
        self.notify = None
        self.frame = None
        return 0

    def _free_ring(self):
        i: uint32_t
        entry: cython.pointer(PyObject)
        for i in range(self.capacity):
            entry = self.ring[i]
            if entry != cython.NULL:
                self.ring[i] = cython.NULL
                Py_DECREF(cython.cast(object, entry))


class MemoryEnd:
    def __init__(self):
        raise TypeError("the ends of a MemoryWire are its attributes a and b")

    def send(self, data, offload=None):
        """Transmits one frame at once; gives its memory back as soon as the other end took it."""
        queue: MemoryQueue = self.queue
        frame: Chain
        at: cython.pointer(uint8_t)
        if isinstance(data, Chain):
            frame = data
        else:
            frame = new_chain()
            rest: bytes = bytes(data)
            offset: cython.Py_ssize_t = 0
            piece: cython.Py_ssize_t
            while offset < len(rest):
                piece = len(rest) - offset
                if piece > UNIT_BYTES:
                    piece = UNIT_BYTES
                at = frame.reserve_tail(piece, PLACE_USER)
                if at == cython.NULL:
                    raise MemoryError("the buffer pool is exhausted")
                memcpy(at, PyBytes_AS_STRING(rest) + offset, piece)
                offset += piece
        if offload is not None:
            set_offload(cython.address(frame.offload), offload)
        before: uint64_t = queue.filled
        taken: cython.bint = queue.transmit(frame)
        if queue.filled != before:
            queue.eager[before & queue.mask] = True
        queue.flush()
        return taken

    def receive(self):
        return [data for data, _ in self.receive_offloaded()]

    def receive_offloaded(self):
        collector: Collector = Collector.__new__(Collector)
        receiver: FrameReceiver = self.queue.receiver
        collector.frames = []
        self.queue.receiver = collector
        try:
            while self.queue.poll(_ALL):
                pass
        finally:
            self.queue.receiver = receiver
        return collector.frames

    def close(self):
        self.queue._close()


@cython.cfunc
def _end(name: str, mac: bytes, mtu: uint32_t, features: uint32_t, capacity: uint32_t) -> MemoryEnd:
    end: MemoryEnd = MemoryEnd.__new__(MemoryEnd)
    if features & ~(_OFFLOADS | _RX_OFFLOADS):
        raise ValueError(f"a memory wire does not have all of the features {features:#x}")
    # A segment to cut has its checksum to be completed (VIRTIO 1.2, 5.1.3.1), each way.
    if features & _OFFLOADS and not features & FEATURE_CHECKSUM:
        raise ValueError("TSO4 and USO need CHECKSUM")
    if features & _RX_OFFLOADS and not features & FEATURE_RX_CHECKSUM:
        raise ValueError("RX_TSO4 and RX_USO need RX_CHECKSUM")
    end.name = name
    end.mac = mac
    end.mtu = mtu
    end.features = features
    end.queue = MemoryQueue(capacity)
    end.queue.device = end
    end.queues = (end.queue,)
    return end


class MemoryWire:
    def __cinit__(
        self,
        features_a=0,
        features_b=0,
        mtu=1500,
        capacity=256,
        mac_a=b"\x02\0\0\0\0\x0a",
        mac_b=b"\x02\0\0\0\0\x0b",
    ):
        if not 68 <= mtu <= 65535:
            raise ValueError(f"an MTU of {mtu} bytes: choose 68 to 65535 (RFC 791)")
        self.a = _end("wire-a", mac_a, mtu, features_a, capacity)
        self.b = _end("wire-b", mac_b, mtu, features_b, capacity)
        self.a.queue.peer = self.b.queue
        self.b.queue.peer = self.a.queue

    def close(self):
        """Closes both ends."""
        self.a.close()
        self.b.close()
