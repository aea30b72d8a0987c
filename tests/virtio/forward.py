"""A run for callgrind: frames that the driver receives from the model, 32 a turn, and sends back (bench.forwarder).

python -m tests.virtio.forward FEATURES
"""

import ctypes
import sys

from bench.clients import Meter
from bench.forwarder import Forwarder
from netapp.drivers.pci import functions
from netapp.drivers.registers import MemoryRegisters, Registers
from netapp.drivers.virtio.net import VirtioNet
from netapp.drivers.virtio.pci import PciTransport
from tests.support.pools import core_with_pool
from tests.virtio.model.interrupts import ModelInterrupts
from tests.virtio.model.links import ListLink
from tests.virtio.model.net import NetDevice
from tests.virtio.model.pci import NOTIFY, NOTIFY_MULTIPLIER, PciModel

BATCH, WARM, MEASURED = 32, 4, 4  # frames a turn, turns


class Notifications:
    """Memory that the driver writes its notifications to, so that none of the model's instructions is counted."""

    def __init__(self, model: PciModel) -> None:
        self._model = model
        self._words = (ctypes.c_uint16 * 2048)()
        self._first = model.config.read32(0x20) & ~0xF | model.config.read32(0x24) << 32
        self._clear()

    def _clear(self) -> None:
        ctypes.memset(self._words, 0xFF, ctypes.sizeof(self._words))

    def memory(self, address: int, size: int) -> Registers:
        if address == self._first + NOTIFY:
            return MemoryRegisters(ctypes.addressof(self._words), ctypes.sizeof(self._words))
        return self._model.memory(address, size)

    def deliver(self) -> None:
        for queue in (0, 1):
            if self._words[queue * NOTIFY_MULTIPLIER // 2] == queue:
                self._model.device.notify(queue)
        self._clear()


def main(offered: str) -> None:
    with core_with_pool() as pc:
        link = ListLink()
        device = NetDevice(offered, link, pc.clock)
        controller = ModelInterrupts(pc.interrupts.raise_interrupt)
        model = PciModel(device, controller)
        notifications = Notifications(model)
        transport = PciTransport(next(functions(model.configuration)), notifications.memory)
        net = VirtioNet(transport, controller, pc.interrupts)
        forwarder = Forwarder(net.queues[0])
        meter = Meter()
        forwarder.turn(0)
        notifications.deliver()
        for turn in range(WARM + MEASURED):
            for _ in range(BATCH):
                link.arrive(bytes(60))
            while model.turn():
                pass
            assert forwarder.turn(BATCH, turn >= WARM) == BATCH
            notifications.deliver()
        while model.turn():
            pass
        meter.count()
        assert len(link.sent) == BATCH * (WARM + MEASURED)
        model.device.close()
        net.close()


if __name__ == "__main__":
    main(sys.argv[1])
