"""What a device does wrong on purpose, all of it from a seed: the same seed, the same faults.

    faults = Faults(seed=7, rates={"used-unknown-id": 0.01, "interrupt-lost": 0.2})
    faults.next("used-too-long")           # the next time there is a chance

A device that only takes its time, or another order, obeys the specification: `slow`, `shuffled`, `interrupt-late` and
`interrupt-spurious` must not harm any driver.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.virtio.model.device import Device
    from tests.virtio.model.ring import Buffer, Ring

KINDS = {
    # rings, when buffers are given back
    "used-index-jump": "the used index moves past what there is; packed: a descriptor is used twice",
    "used-index-back": "the used index moves back; of a split ring only",
    "used-unknown-id": "an id that the driver never gave",
    "used-huge-id": "an id of 0xffff (0xffffffff in a split ring)",
    "used-twice": "the id of a buffer that was given back already",
    "used-too-long": "a length beyond the buffer",
    "used-zero-length": "length 0 for a buffer that was written",
    "used-short": "a length below the header's",
    # network, when a frame is received
    "num-buffers-zero": "num_buffers 0",
    "num-buffers-more": "num_buffers above the buffers that are given back",
    "num-buffers-huge": "num_buffers 0xffff",
    "gso-unknown": "an undefined gso_type",
    "gso-not-negotiated": "a gso_type whose feature was not negotiated, and flags likewise",
    "gso-size-zero": "a gso_type with gso_size 0",
    "gso-header-long": "hdr_len beyond the frame",
    "checksum-outside": "NEEDS_CSUM with csum_start beyond the frame",
    "header-only": "a header without a frame",
    "header-garbage": "a header of random bytes, num_buffers aside",
    # notifications
    "interrupt-lost": "an interrupt is not sent",
    "interrupt-late": "an interrupt is sent up to `late` ns after",
    "interrupt-spurious": "an interrupt in a turn in which nothing was used",
    # the device
    "needs-reset": "it fails: DEVICE_NEEDS_RESET, and it stops",
    "features-refused": "FEATURES_OK does not stick",
    "stall": "some turns without work: rings fill up",
    "configuration-changes": "the configuration changes between two reads (and its generation with it)",
    "control-error": "a control command ends with VIRTIO_NET_ERR",
    "control-silent": "a control command is not answered",
    "control-late": "a control command is answered only after a look at device status",
    "vector-refused": "a vector reads back as NO_VECTOR",
}


class Faults:
    def __init__(
        self,
        seed: int = 1,
        rates: dict[str, float] | None = None,
        slow: tuple[int, int] = (0, 0),
        late: int = 1_000_000,
        shuffled: bool = False,
        reset_reads: int = 0,
        always_interrupt: bool = False,
        unflagged: bool = False,
    ) -> None:
        """`slow`: buffers are given back after so many turns, from and to, hence out of order; `shuffled`: out of order
        within a turn; `reset_reads`: how often status is read before a reset is done; `always_interrupt`: whether the
        driver wants it or not, as is allowed; `unflagged`: used descriptors of packed rings have a length, but not the
        flag WRITE, which is QEMU's way and not 2.8.4's."""
        for kind in rates or ():
            assert kind in KINDS, kind
        self.random = random.Random(seed)
        self.rates = dict(rates or {})
        self.slow = slow
        self.late = late
        self.shuffled = shuffled
        self.reset_reads = reset_reads
        self.always_interrupt = always_interrupt
        self.unflagged = unflagged
        self.count: Counter[str] = Counter()
        """How often each happened."""
        self._next: Counter[str] = Counter()
        self.new_configuration: list[tuple[int, bytes]] = []
        """What "configuration-changes" writes next: (offset, bytes)."""

    def next(self, kind: str, times: int = 1) -> None:
        assert kind in KINDS, kind
        self._next[kind] += times

    @property
    def active(self) -> bool:
        return bool(self.rates or +self._next)

    def hit(self, kind: str) -> bool:
        if self._next and self._next[kind]:
            self._next[kind] -= 1
        elif not (rate := self.rates.get(kind, 0.0)) or self.random.random() >= rate:
            return False
        self.count[kind] += 1
        return True

    # --- where the device asks -------------------------------------------------------------------------------------

    def turns_to_wait(self) -> int:
        return self.random.randint(*self.slow) if self.slow[1] else 0

    def shuffle(self, groups: list[Any]) -> None:
        if self.shuffled:
            self.random.shuffle(groups)

    def use(self, ring: Ring, done: list[tuple[Buffer, int]]) -> bool:
        """Whether it was done here, and wrong."""
        if not self.active:
            return False
        if self.hit("used-index-jump"):
            if hasattr(ring, "jump"):
                ring.jump(self.random.choice((ring.size + 1, 0x8000)))
            else:
                ring.use(done)
                ring.write_used(done[-1][0].id, 0)
            return True
        if hasattr(ring, "jump") and self.hit("used-index-back"):
            ring.use(done)
            ring.jump(-1 - len(done))
            return True
        for kind, wrong in (("used-unknown-id", self._unknown(ring)), ("used-huge-id", self._huge(ring))):
            if self.hit(kind):
                ring.write_used(wrong, done[0][1])
                return True
        if self.hit("used-twice"):
            ring.use(done)
            ring.write_used(done[-1][0].id, done[-1][1])
            return True
        for i, (buffer, length) in enumerate(done):
            if self.hit("used-too-long"):
                done[i] = buffer, buffer.capacity + self.random.choice((1, 4096, 0x7FFF0000))
            elif buffer.capacity and self.hit("used-zero-length"):
                done[i] = buffer, 0
            elif buffer.capacity and self.hit("used-short"):
                done[i] = buffer, min(length, self.random.randint(1, 11))
        return False

    @staticmethod
    def _unknown(ring: Ring) -> int:
        """Below the queue size where there is one left, for that is harder to see."""
        return next((number for number in range(ring.size) if number not in ring.outstanding), ring.size)

    @staticmethod
    def _huge(ring: Ring) -> int:
        return 0xFFFFFFFF if hasattr(ring, "jump") else 0xFFFF

    def interrupt(self) -> Any:
        """ "lost", ns by which it is late, or None."""
        if self.hit("interrupt-lost"):
            return "lost"
        return self.random.randint(1, self.late) if self.hit("interrupt-late") else None

    def turn(self, device: Device) -> bool:
        if self.hit("needs-reset"):
            device.needs_reset()
            return True
        if self.hit("interrupt-spurious") and device.wires is not None:
            device.wires.interrupt(self.random.choice([*(q for q in device.queues if q.ring is not None), None]))
            return True
        return False

    def configuration_read(self, device: Device) -> None:
        if self.new_configuration and self.hit("configuration-changes"):
            device.change_configuration(*self.new_configuration.pop(0))
