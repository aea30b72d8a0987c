"""The driver and a device that is its enemy: whatever that writes, and whenever, nothing raises, hangs or is left
behind. The debug build looks at every access."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from netapp.iobuf.chain import Chain
from tests.virtio.enemy import Enemy
from tests.virtio.machine import TRANSPORTS, Machine, all_memory, chain, frame, machine

OPTIONAL = ("MRG_RXBUF", "EVENT_IDX", "INDIRECT_DESC", "GUEST_TSO4 GUEST_USO4", "HOST_TSO4")
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Attack:
    def __init__(self, m: Machine, packed: bool, chance: random.Random, evil: float) -> None:
        self.m, self.packed, self.chance, self.evil = m, packed, chance, evil
        self.enemies: dict[tuple[int, int, int], Enemy] = {}
        self.hoard: list[Chain] = []
        device = m.device
        # The model is only what the driver sets up: of the rings it has no opinion.
        for name in ("notify", "verify", "set_up_allowed", "check_size"):
            setattr(device, name, lambda *_: None)
        for name in ("fail", "check", "verify"):
            setattr(device.rules, name, lambda *_: None)

    def rings(self) -> None:
        for index in (0, 1):
            queue = self.m.device.queues[index]
            if queue.ring is None:
                continue
            key = (index, queue.descriptors, self.m.net.resets)
            if key not in self.enemies:
                self.enemies[key] = Enemy(queue, self.packed, self.m.device.has("MRG_RXBUF"), self.chance, self.evil)
            self.enemies[key].use(index == 0)
            if self.chance.random() < self.evil:
                self.enemies[key].scribble()

    def registers(self) -> None:
        chance, device = self.chance, self.m.device
        if chance.random() < 0.05:
            device.set_link(chance.random() < 0.6)
        if chance.random() < self.evil:
            device.needs_reset()
        if chance.random() < self.evil / 20:
            device.configuration.change(chance.randrange(16), chance.randbytes(1))
        if chance.random() < self.evil / 20:
            device.offered ^= 1 << chance.choice((0, 5, 15, 16, 28, 29, 34, 35))
        if chance.random() < self.evil / 20:
            device.queues[chance.randrange(2)].max_size = chance.choice((0, 1, 2, 3, 8, 256, 65535))
        if device.wires is not None and chance.random() < 0.5:
            device.wires.interrupt(chance.choice([None, *[queue for queue in device.queues if queue.ring]]))

    def memory(self) -> None:
        if self.hoard:
            self.hoard.clear()
        elif self.chance.random() < 0.05:
            self.hoard += all_memory()

    def send(self) -> None:
        chance = self.chance
        for _ in range(chance.randint(0, 5)):
            try:
                if chance.random() < 0.3:
                    self.m.send(frame(chance.choice((60, 1514))))
                else:
                    pieces = [bytes(chance.randint(1, 300)) for _ in range(chance.choice((1, 1, 2, 3, 25)))]
                    self.m.send(chain(*pieces, copied=chance.random() < 0.5))
            except MemoryError:
                pass

    def look(self, polled: bool) -> None:
        m = self.m
        if polled:
            m.pc.settle(2000)
        else:
            m.port.poll(self.chance.choice((1, 7, 64)))
            m.port.flush()
            if self.chance.random() < 0.3:
                m.port.enable_interrupts()
        m.port.received.clear()
        m.pc.clock.advance(self.chance.choice((0, SECOND // 1000, 20 * SECOND)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ring", ["", "RING_PACKED", "IN_ORDER", "RING_PACKED IN_ORDER"])
def test_an_enemy_gets_nowhere(ring: str, seed: int) -> None:
    chance = random.Random(seed)
    optional = " ".join(name for name in OPTIONAL if chance.random() < 0.6)
    offered = f"VERSION_1 MAC STATUS MTU CSUM GUEST_CSUM {optional} {ring}"
    size, mtu = chance.choice((2, 8, 64, 256)), chance.choice((1500, 9000))
    with machine(offered, chance.choice(TRANSPORTS), pool=16 << 20, queue_size=size, mtu=mtu) as m:
        attack = Attack(m, "PACKED" in ring, chance, chance.choice((0.002, 0.01, 0.05)))
        polled = seed % 2 == 0
        if polled:
            m.pc.polling.attach(m.net.queues[0])
        for _ in range(100):
            attack.rings()
            attack.registers()
            attack.memory()
            attack.send()
            attack.look(polled)
        attack.hoard.clear()
        if polled:
            m.pc.polling.detach(m.net.queues[0])
        m.device.close()
        m.net.close()
        m.port.received.clear()
