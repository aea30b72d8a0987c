"""The network device (VIRTIO 1.2, 5.1)."""

from __future__ import annotations

from collections import Counter, deque

from tests.virtio.model import features as feature_bits
from tests.virtio.model.configuration import Field
from tests.virtio.model.control import Control
from tests.virtio.model.device import Clock, Device, Queue
from tests.virtio.model.faults import Faults
from tests.virtio.model.frames import (
    GSO_NONE,
    GSO_TCPV4,
    GSO_UDP_L4,
    HEADER_BYTES,
    NEEDS_CSUM,
    Header,
    complete_checksum,
    segments,
)
from tests.virtio.model.links import Link
from tests.virtio.model.memory import Memory
from tests.virtio.model.ring import Buffer, Ring
from tests.virtio.model.transmit import check_transmitted

LINK_UP, ANNOUNCE = 1, 2
_BACKLOG = 1024  # frames

FIELDS = (
    Field("mac", 0, 1, 6, ()),
    Field("status", 6, 2, 1, ("STATUS",)),
    Field("max_virtqueue_pairs", 8, 2, 1, ("MQ", "RSS")),
    Field("mtu", 10, 2, 1, ("MTU",)),
    Field("speed", 12, 4, 1, ("SPEED_DUPLEX",)),
    Field("duplex", 16, 1, 1, ("SPEED_DUPLEX",)),
    Field("rss_max_key_size", 17, 1, 1, ("RSS", "HASH_REPORT")),
    Field("rss_max_indirection_table_length", 18, 2, 1, ("RSS",)),
    Field("supported_hash_types", 20, 4, 1, ("RSS", "HASH_REPORT")),
)
_OFFSETS = {field.name: field for field in FIELDS}

_GUEST_GSO = ("GUEST_TSO4", "GUEST_TSO6", "GUEST_UFO", "GUEST_USO4", "GUEST_USO6")


class NetDevice(Device):
    def __init__(
        self,
        offered: str | int,
        link: Link,
        clock: Clock,
        *,
        mac: bytes = b"\x52\x54\0\x12\x34\x56",
        mtu: int = 1500,
        pairs: int = 1,
        queue_size: int = 256,
        queue_sizes: dict[int, int] | None = None,
        faults: Faults | None = None,
        memory: Memory | None = None,
        check_checksums: bool = True,
        eager: bool = False,
    ) -> None:
        """`offered`: features by name, or sets of them (features.py). `pairs` without MQ is 1. `queue_sizes`: of some.

        `eager`: it is always told of what is transmitted; else as QEMU does it is not while it is at work."""
        bits = feature_bits.bits(offered) if isinstance(offered, str) else offered
        self.max_pairs = pairs if bits & feature_bits.bits("MQ RSS") else 1
        sizes = [queue_size] * (2 * self.max_pairs + (1 if bits & feature_bits.bits("CTRL_VQ") else 0))
        for index, size in (queue_sizes or {}).items():
            sizes[index] = size
        super().__init__(bits, 1, sizes, FIELDS, clock, faults, memory)
        self.link = link
        self.check_checksums = check_checksums
        self.eager = eager
        self.count: Counter[str] = Counter()
        self.control = Control(self)
        self._backlog: deque[tuple[bytes, Header, str]] = deque()
        self._outgoing: deque[tuple[bytes, Header]] = deque()
        self._stalled = False
        self.mtu = mtu
        self.set_field("mac", mac)
        self.set_field("status", LINK_UP)
        self.set_field("max_virtqueue_pairs", self.max_pairs)
        self.set_field("mtu", mtu)
        self.set_field("speed", 0xFFFFFFFF)
        self.set_field("duplex", 0xFF)
        self.configuration.generation = 0

    # --- configuration ---------------------------------------------------------------------------------------------

    def set_field(self, name: str, value: int | bytes) -> None:
        """At run time the driver is told."""
        field = _OFFSETS[name]
        data = value if isinstance(value, bytes) else value.to_bytes(field.width, "little")
        self.change_configuration(field.offset, data)

    def field(self, name: str) -> int:
        field = _OFFSETS[name]
        return int.from_bytes(self.configuration.data[field.offset : field.offset + field.width], "little")

    def set_link(self, up: bool) -> None:
        self.set_field("status", self.field("status") & ~LINK_UP | (LINK_UP if up else 0))

    @property
    def link_up(self) -> bool:
        return self.field("status") & LINK_UP == 1

    def negotiated(self) -> None:
        n = self.max_pairs if self.has("MQ") else 1
        self.pairs_negotiated = n
        self.control_queue = 2 * n if self.has("CTRL_VQ") else -1
        self.control.reset()
        self._has_guest_gso = any(self.has(name) for name in _GUEST_GSO)

    pairs_negotiated = 1
    control_queue = -1
    _has_guest_gso = False

    def cleared(self) -> None:
        self._outgoing.clear()
        self._stalled = False
        self.control.reset()

    def started(self) -> None:
        for queue in self._queues(0):
            assert queue.ring is not None
            queue.ring.suppress()
            self._check_room(queue)
        for queue in self.queues:
            if queue.enabled and queue.index >= 2 * self.pairs_negotiated and queue.index != self.control_queue:
                self.rules.fail("queue-none", f"queue {queue.index} was not negotiated")

    def _queues(self, first: int) -> list[Queue]:
        """Receive queues (0) or transmit queues (1) that work."""
        found = self.queues[first : 2 * self.pairs_negotiated : 2]
        return [queue for queue in found if queue.ring is not None and not queue.broken]

    # --- a turn ----------------------------------------------------------------------------------------------------

    def work(self) -> bool:
        if self._stalled:
            return False
        if self.faults.hit("stall"):
            self._stalled = True
            self.after(self.faults.random.randint(2, 20), self._go_on)
            return False
        done = self._transmit()
        if self.control_queue >= 0 and self.control_queue < len(self.queues):
            done = self.control.work(self.queues[self.control_queue]) or done
        for frame, header in self.link.poll():
            done = True
            self.receive(frame, header)
        return self._receive() or done

    def _go_on(self) -> None:
        self._stalled = False

    def notify(self, index: int) -> None:
        super().notify(index)
        # At once: a driver that waits for the answer, and looks at a register now and then, gives no other turn.
        if index == self.control_queue and not self.faults.hit("control-late"):
            self._control_now()

    def read_status(self) -> int:
        self._control_now()
        return super().read_status()

    def _control_now(self) -> None:
        if self.control_queue >= 0 and self.running and self.queues[self.control_queue].kicked:
            queue = self.queues[self.control_queue]
            queue.kicked = False
            self.control.work(queue)
            self.complete(queue)

    # --- transmission ----------------------------------------------------------------------------------------------

    def _send(self, frame: bytes, header: Header) -> None:
        if not self.link_up:
            self.count["tx_link_down"] += 1
        elif self._outgoing or not self.link.transmit(frame, header):
            self._outgoing.append((frame, header))

    def _transmit(self) -> bool:
        while self._outgoing:
            if not self.link.transmit(*self._outgoing[0]):
                return False
            self._outgoing.popleft()
        done = False
        for queue in self._queues(1):
            ring = queue.ring
            assert ring is not None
            pair = queue.index // 2
            found = False
            while not self._outgoing and (buffer := ring.pop()) is not None:
                found = True
                self.rules.check(pair < self.control.pairs, "net-queue-unused", f"transmit queue {pair + 1}")
                header, frame = self._gather(ring, buffer)
                if check_transmitted(self, buffer, header, frame):
                    self.count["tx_frames"] += 1
                    self.control.steer(frame, pair)
                    self._send(frame, header)
                self.give_back(queue, (buffer, 0))
            done = done or found
            if found and not self.eager:
                ring.suppress()
            elif found or not ring.armed:
                ring.arm()
                # What came in between nobody tells of.
                self._look(queue)
                done = done or bool(ring.ready)
        return done

    @staticmethod
    def _gather(ring: Ring, buffer: Buffer) -> tuple[Header, bytes]:
        read = ring.memory.read
        elements = buffer.readable
        data = read(*elements[0]) if len(elements) == 1 else b"".join(read(*element) for element in elements)
        if len(data) < HEADER_BYTES:
            return Header(), b""
        return Header.unpack(data), data[HEADER_BYTES:]

    # --- reception -------------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, header: Header | None = None) -> None:
        """From the link; what the driver does not take is done here: cut, or checksums completed."""
        if not self.link_up or not self.running:
            self.count["rx_link_down"] += 1
            return
        header = header or Header()
        kind = header.gso_type
        needed = {GSO_TCPV4: "GUEST_TSO4", GSO_UDP_L4: "GUEST_USO4"}.get(kind & 0x7F)
        if kind != GSO_NONE and (needed is None or not self.has(needed) or (kind & 0x80 and not self.has("GUEST_ECN"))):
            for piece in segments(frame, header):
                self._wait(piece, Header())
        elif header.flags and not self.has("GUEST_CSUM"):
            if header.flags & NEEDS_CSUM:
                frame = complete_checksum(frame, header.csum_start, header.csum_offset)
            self._wait(frame, Header())
        else:
            self._wait(frame, header)

    def _wait(self, frame: bytes, header: Header) -> None:
        mtu = self.mtu + 18 if self.has("MTU") else 1 << 17
        if header.gso_type == GSO_NONE and len(frame) > mtu:
            self.count["rx_oversized"] += 1
        elif len(self._backlog) >= _BACKLOG:
            self.count["rx_overrun"] += 1
        else:
            self._backlog.append(self._made_wrong(frame, header))

    @property
    def waiting(self) -> int:
        """Frames that no buffer was there for."""
        return len(self._backlog)

    def _receive(self) -> bool:
        done = False
        while self._backlog:
            frame, header, wrong = self._backlog[0]
            queue = self.queues[2 * self.control.receive_pair(frame)]
            ring = queue.ring
            if ring is None or queue.broken:
                self.count["rx_no_queue"] += 1
            elif not self._place(queue, ring, frame, header, wrong):
                ring.arm()
                before = len(ring.ready)
                self._look(queue)
                if queue.broken or len(ring.ready) == before:
                    break  # the next buffer that the driver gives is told
                continue
            elif ring.armed:
                ring.suppress()
            self._backlog.popleft()
            done = True
        return done

    def _place(self, queue: Queue, ring: Ring, frame: bytes, header: Header, wrong: str) -> bool:
        """False: there are not enough buffers."""
        total = HEADER_BYTES + len(frame)
        buffers: list[Buffer] = []
        room = 0
        while room < total and ring.ready and (not buffers or self.has("MRG_RXBUF")):
            buffers.append(ring.ready.popleft())
            room += buffers[-1].capacity
        if room < total:
            # Nothing was written: it is as if they had not been looked at.
            ring.ready.extendleft(reversed(buffers))
            if buffers and not self.has("MRG_RXBUF"):
                self.count["rx_too_large"] += 1
                return True
            return False
        count = len(buffers)
        if wrong:
            count = {"num-buffers-zero": 0, "num-buffers-huge": 0xFFFF}.get(wrong, count + 2)
        data = header._replace(num_buffers=count).pack() + frame
        at = 0
        done = []
        for buffer in buffers:
            ring.unchanged(buffer)
            begin = at
            for address, length in buffer.writable:
                piece = data[at : at + length]
                ring.memory.write(address, piece)
                at += len(piece)
            done.append((buffer, at - begin))
        self.count["rx_frames"] += 1
        self.give_back(queue, *done)
        return True

    def _made_wrong(self, frame: bytes, header: Header) -> tuple[bytes, Header, str]:
        faults = self.faults
        if not faults.active:
            return frame, header, ""
        kinds = ("num-buffers-zero", "num-buffers-more", "num-buffers-huge")
        wrong = next((kind for kind in kinds if faults.hit(kind)), "")
        if faults.hit("gso-unknown"):
            header = header._replace(flags=NEEDS_CSUM, gso_type=faults.random.choice((2, 7, 0x7F, 0xFF)), gso_size=100)
        elif faults.hit("gso-not-negotiated"):
            header = Header(NEEDS_CSUM, GSO_TCPV4 | 0x80, 54, 1000, 34, 16)
        elif faults.hit("gso-size-zero"):
            header = Header(NEEDS_CSUM, GSO_TCPV4, 54, 0, 34, 16)
        elif faults.hit("gso-header-long"):
            header = Header(NEEDS_CSUM, GSO_TCPV4, 0xFFFF, 1000, 34, 16)
        elif faults.hit("checksum-outside"):
            start = faults.random.choice((len(frame), len(frame) - 1, 0xFFFF, len(frame) - 2))
            header = Header(NEEDS_CSUM, 0, 0, 0, start, faults.random.choice((0, 1, 16, 0xFFFF)))
        elif faults.hit("header-garbage"):
            header = Header.unpack(faults.random.randbytes(HEADER_BYTES))
        if faults.hit("header-only"):
            frame = b""
        return frame, header, wrong

    def _check_room(self, queue: Queue) -> None:
        """Of a receive queue as it is at first (5.1.4.2)."""
        ring = queue.ring
        if ring is not None and self.has("MTU") and ring.outstanding and queue.index < 2 * self.control.pairs:
            room = sum(buffer.capacity for buffer in ring.outstanding.values())
            self.rules.check(room >= self.mtu + 14 + HEADER_BYTES, "net-receive-mtu", f"{room} bytes in all")

    def enable(self, queue: Queue) -> None:
        super().enable(queue)
        if queue.ring is not None and queue.index % 2 == 0 and queue.index < 2 * self.pairs_negotiated:
            queue.ring.inspect = self._check_buffer

    def _check_buffer(self, buffer: Buffer) -> None:
        """What the driver gives to be received into."""
        least = HEADER_BYTES
        if not self.has("MRG_RXBUF"):
            mtu = self.mtu if self.has("MTU") else 1500
            least += 65550 if self._has_guest_gso else mtu + 14
        self.rules.check(not buffer.readable, "net-receive-writable", f"buffer {buffer.id}")
        self.rules.check(buffer.capacity >= least, "net-receive-small", f"{buffer.capacity} bytes, not {least}")
