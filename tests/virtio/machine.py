"""The driver on the device model, which it knows as registers and interrupts only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netapp.drivers.interrupts import InterruptController
from netapp.drivers.pci import functions
from netapp.drivers.python import RawPort
from netapp.drivers.virtio.mmio import MmioTransport
from netapp.drivers.virtio.net import VirtioNet
from netapp.drivers.virtio.pci import PciTransport
from netapp.drivers.virtio.transport import Transport
from netapp.iobuf.chain import Chain
from tests.support.pools import PoolCore, core_with_pool
from tests.virtio.model.faults import Faults
from tests.virtio.model.frames import Header
from tests.virtio.model.interrupts import ModelInterrupts
from tests.virtio.model.links import ListLink
from tests.virtio.model.mmio import MmioModel
from tests.virtio.model.net import NetDevice
from tests.virtio.model.pci import PciModel

TRANSPORTS = ("pci", "line", "mmio")


def connect(device: NetDevice, controller: ModelInterrupts, how: str, vectors: int = 3) -> tuple[Any, Transport]:
    """(the model of the transport, ours)."""
    if how == "mmio":
        window = MmioModel(device, controller)
        return window, MmioTransport(window, window.line)
    model = PciModel(device, controller, vectors=0 if how == "line" else vectors)
    return model, PciTransport(next(functions(model.configuration)), model.memory)


class Machine:
    def __init__(self, pc: PoolCore, offered: str, how: str = "pci", **options: Any) -> None:
        driver = {name: options.pop(name) for name in ("pairs", "size") if name in options}
        device_pairs = options.pop("device_pairs", 1)
        self.pc = pc
        self.link: Any = options.pop("link", None) or ListLink()
        self.faults = options.pop("faults", None) or Faults()
        vectors = options.pop("vectors", 3)
        self.device = NetDevice(offered, self.link, pc.clock, faults=self.faults, pairs=device_pairs, **options)
        self.controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        self.model, self.transport = connect(self.device, self.controller, how, vectors)
        check: InterruptController = self.controller
        self.net = VirtioNet(self.transport, check, pc.interrupts, **driver)
        self.port = RawPort(self.net.queues[0])
        self.port.poll()  # the receive queue is filled
        self.port.flush()

    def turn(self) -> None:
        """The device's, until it has nothing to do."""
        while self.model.turn():
            pass

    def send(self, frame: bytes | Chain, offload: Any = None) -> bool:
        return self.port.send(frame, offload)

    def receive(self, *frames: bytes, header: Header | None = None) -> list[bytes]:
        """What the driver hands up when these arrive."""
        for frame in frames:
            self.link.arrive(frame, header)
        got: list[bytes] = []
        while True:
            self.turn()
            more = self.port.receive()
            self.port.flush()
            if not more and not self.device.waiting:
                return got
            got += more

    def sent(self) -> list[tuple[bytes, Header]]:
        """What has arrived at the link since the last time."""
        self.turn()
        self.port.poll()
        sent, self.link.sent = self.link.sent, []
        return sent

    @property
    def count(self) -> dict[str, int]:
        return self.net.queues[0].counters()

    def close(self) -> None:
        """Also checks what is left: the driver's buffers are as they were given."""
        self.turn()
        self.device.verify()
        self.device.close()
        self.net.close()


@contextmanager
def machine(offered: str, how: str = "pci", pool: int = 64 << 20, **options: Any) -> Iterator[Machine]:
    with core_with_pool(pool, min(pool // 4, 1 << 20)) as pc:
        made = Machine(pc, offered, how, **options)
        yield made
        made.close()


def frame(length: int, mark: int = 0) -> bytes:
    """An Ethernet frame of no protocol that anybody knows, or its beginning."""
    header = bytes.fromhex("02000000000a02000000000b88b5")
    return (header + bytes((mark + i) & 0xFF for i in range(length - len(header))))[:length]


def chain(*pieces: bytes, copied: bool = False) -> Chain:
    """Each piece a view: of bytes that are held, or of pool memory."""
    made = Chain()
    for piece in pieces:
        if copied:
            part = Chain()
            part.write(piece)
            made.append(part)
        else:
            made.append(piece)
    return made


def all_memory() -> list[Chain]:
    """Of the pool: units, and then slots for frames."""
    hoard = []
    for size in (4096, 2048):
        while True:
            hoard.append(Chain())
            try:
                hoard[-1].write(bytes(size))
            except MemoryError:
                break
    return hoard
