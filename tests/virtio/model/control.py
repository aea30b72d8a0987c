"""The control virtqueue (VIRTIO 1.2, 5.1.6.5), and which queue a frame is received into (5.1.6.5.5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.virtio.model.frames import flow_of
from tests.virtio.model.ring import Buffer

if TYPE_CHECKING:
    from tests.virtio.model.device import Queue
    from tests.virtio.model.net import NetDevice

OK, ERR = 0, 1
RX, MAC, VLAN, ANNOUNCE, MQ, GUEST_OFFLOADS = range(6)
_RX_MODES = ("PROMISC", "ALLMULTI", "ALLUNI", "NOMULTI", "NOUNI", "NOBCAST")

# (class, command): the feature that it needs, bytes of data (None: any).
_COMMANDS = {
    **{(RX, i): ("CTRL_RX" if i < 2 else "CTRL_RX_EXTRA", 1) for i in range(6)},
    (MAC, 0): ("CTRL_RX", None),
    (MAC, 1): ("CTRL_MAC_ADDR", 6),
    (VLAN, 0): ("CTRL_VLAN", 2),
    (VLAN, 1): ("CTRL_VLAN", 2),
    (ANNOUNCE, 0): ("GUEST_ANNOUNCE", 0),
    (MQ, 0): ("MQ", 2),
    (GUEST_OFFLOADS, 0): ("CTRL_GUEST_OFFLOADS", 8),
}


class Control:
    def __init__(self, device: NetDevice) -> None:
        self._device = device
        self.commands: list[tuple[int, int, bytes]] = []
        """All that came, over resets."""
        self.reset()

    def reset(self) -> None:
        self.pairs = 1
        self.mac = b""
        self.receive_modes: dict[str, int] = {}
        self.unicast: list[bytes] = []
        self.multicast: list[bytes] = []
        self.vlans: set[int] = set()
        self.offloads = -1
        self._pair_of: dict[tuple[bytes, bytes], int] = {}

    def work(self, queue: Queue) -> bool:
        ring = queue.ring
        if ring is None or queue.broken:
            return False
        done = False
        while (buffer := ring.pop()) is not None:
            done = True
            request = b"".join(ring.memory.read(*element) for element in buffer.readable)
            if len(request) < 2 or buffer.capacity < 1:
                self._device.rules.fail("net-control-layout", f"{len(request)} bytes, {buffer.capacity} to be written")
                self._device.give_back(queue, (buffer, 0))
                continue
            if self._device.faults.hit("control-silent"):
                continue
            answer = self._obey(request[0], request[1], request[2:])
            if self._device.faults.hit("control-error"):
                answer = ERR
            self._answer(queue, buffer, answer)
        if done or not ring.armed:
            ring.arm()
        return done

    def _answer(self, queue: Queue, buffer: Buffer, answer: int) -> None:
        assert queue.ring is not None
        address = next(address for address, length in buffer.writable if length)
        queue.ring.memory.write(address, bytes([answer]))
        self._device.give_back(queue, (buffer, 1))

    def _obey(self, kind: int, command: int, data: bytes) -> int:
        device = self._device
        self.commands.append((kind, command, data))
        known = _COMMANDS.get((kind, command))
        if known is None:
            return ERR
        feature, length = known
        if not device.has(feature):
            device.rules.fail("net-control-class", f"class {kind}, command {command} without {feature}")
            return ERR
        if length is not None and len(data) != length:
            device.rules.fail("net-control-layout", f"class {kind}, command {command}: {len(data)} bytes of data")
            return ERR
        if kind == RX:
            self.receive_modes[_RX_MODES[command]] = data[0]
        elif kind == MAC and command:
            self.mac = data
            device.configuration.data[:6] = data
        elif kind == MAC:
            return self._tables(data)
        elif kind == VLAN:
            (self.vlans.add if command == 0 else self.vlans.discard)(int.from_bytes(data, "little"))
        elif kind == ANNOUNCE:
            device.configuration.data[6] &= ~2
        elif kind == MQ:
            return self._set_pairs(int.from_bytes(data, "little"))
        elif kind == GUEST_OFFLOADS:
            self.offloads = int.from_bytes(data, "little")
            if self.offloads & ~device.accepted:
                device.rules.fail("net-control-class", f"offloads {self.offloads:#x}")
                return ERR
        return OK

    def _tables(self, data: bytes) -> int:
        """5.1.6.5.2: unicast and multicast addresses, each list after its length."""
        lists = []
        for _ in range(2):
            count = struct.unpack_from("<I", data)[0] if len(data) >= 4 else -1
            if count < 0 or len(data) < 4 + 6 * count:
                self._device.rules.fail("net-control-layout", "MAC table")
                return ERR
            lists.append([data[4 + 6 * i : 10 + 6 * i] for i in range(count)])
            data = data[4 + 6 * count :]
        self.unicast, self.multicast = lists
        return OK

    def _set_pairs(self, pairs: int) -> int:
        device = self._device
        enabled = all(queue.ring is not None for queue in device.queues[: 2 * pairs])
        if not 1 <= pairs <= device.max_pairs or not enabled:
            device.rules.fail("net-pairs", f"{pairs} of {device.max_pairs}")
            return ERR
        self.pairs = pairs
        return OK

    # --- steering --------------------------------------------------------------------------------------------------

    def steer(self, frame: bytes, pair: int) -> None:
        """A flow is received where it was transmitted last (5.1.6.5.5)."""
        if self.pairs > 1:
            flow = flow_of(frame)
            if flow is not None:
                if len(self._pair_of) > 4096:
                    self._pair_of.clear()
                self._pair_of[flow[1], flow[0]] = pair

    def receive_pair(self, frame: bytes) -> int:
        if self.pairs == 1:
            return 0
        flow = flow_of(frame)
        pair = self._pair_of.get(flow, 0) if flow is not None else 0
        return pair if pair < self.pairs else 0
