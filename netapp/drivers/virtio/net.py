"""The network card's control path: set-up, link, reset. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import logging
import os

from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.drivers.access import bus_address
from cython.cimports.netapp.drivers.device import (
    FEATURE_CHECKSUM,
    FEATURE_RX_CHECKSUM,
    FEATURE_RX_TSO4,
    FEATURE_RX_USO,
    FEATURE_TSO4,
    FEATURE_USO,
)
from cython.cimports.netapp.drivers.virtio.buffers import BUFFER_BYTES
from cython.cimports.netapp.drivers.virtio.queue import VirtioQueue, receiving_scratch
from cython.cimports.netapp.drivers.virtio.sending import transmitting_scratch
from cython.cimports.netapp.drivers.virtio.virtqueue import (
    Virtqueue,
    make_virtqueue,
    offer_pieces,
    piece_t,
    release,
    take_used,
    used_t,
)
from cython.cimports.netapp.drivers.vnet import FIRST_BYTES, LONGEST_FRAME, VNET_BYTES
from cython.cimports.netapp.event.timer import timers
from cython.cimports.netapp.iobuf.chain import GSO_TCPV4, GSO_UDP_L4
from cython.cimports.netapp.iobuf.pool import UNIT_BYTES

from netapp.drivers.virtio import features as bits
from netapp.drivers.virtio.features import having
from netapp.drivers.virtio.transport import (
    ACKNOWLEDGE,
    CONFIGURATION_CHANGED,
    DEVICE_NEEDS_RESET,
    DRIVER,
    DRIVER_OK,
    FAILED,
    FEATURES_OK,
    RESET_LOOKS,
    VirtioError,
)
from netapp.event.contracts import InterruptFunction
from netapp.event.manager import event_manager

_log = logging.getLogger("netapp.drivers")

NETWORK_CARD = 1  # the type of device (5.1.1)

# struct virtio_net_config (5.1.4).
_CONFIG_MAC, _CONFIG_STATUS, _CONFIG_MAX_PAIRS, _CONFIG_MTU = 0, 6, 8, 10
_LINK_UP = 1

# Of the control queue (5.1.6.5, 5.1.6.5.5).
_CLASS_MQ, _MQ_PAIRS_SET, _OK = 4, 0, 0

_ALWAYS = (
    bits.VERSION_1,
    # The platform's addresses are what bus_address() gives, and accesses are ordered as its cores see them (6.1).
    bits.ACCESS_PLATFORM,
    bits.ORDER_PLATFORM,
    bits.RING_PACKED,
    bits.IN_ORDER,
    bits.INDIRECT_DESC,
    bits.EVENT_IDX,
    bits.CSUM,
    bits.GUEST_CSUM,
    bits.HOST_TSO4,
    bits.HOST_USO,
    bits.GUEST_HDRLEN,
    bits.MRG_RXBUF,
    bits.STATUS,
    bits.MAC,
    bits.MTU,
)
_LARGE = (bits.GUEST_TSO4, bits.GUEST_USO4)

_ETHERNET_VLAN = 18
_LARGE_BUFFERS = 32  # of many slots, in a queue
# For frames of 64 KiB, which are not longer than a queue, with indirect descriptors either (2.7.5.3.1, 2.8.17): receive
# buffers of one slot, and descriptors of one that is sent.
_LEAST_MERGED = 64
_LEAST_CUT = 32
_RESETS, _WITHIN = 8, 60_000_000_000  # resets, ns
_FILL_AGAIN = 10_000_000  # ns


class VirtioNet:
    def __init__(self, transport, controller, interrupts, pairs=1, name=None, mac=None, size=256):
        """`controller`: an InterruptController; `interrupts`: where its sources are attached. `pairs`: of queues, one a
        core; `queues` may be fewer. `mac`: for a device without one; None: by chance. `size`: most descriptors of a
        queue. VirtioError: the device cannot be used."""
        if transport.device_type != NETWORK_CARD:
            raise VirtioError(f"{transport.name}: the device is no network card but of type {transport.device_type}")
        if size < 2 or size & (size - 1) or size > 32768:
            raise ValueError(f"queues of {size} descriptors: choose a power of two, 2 to 32768")
        self.transport = transport
        self.interrupts = interrupts
        self.name = f"virtio-net at {transport.name}" if name is None else name
        self.size = size
        self.own_mac = bytes([0x02]) + os.urandom(5) if mac is None else bytes(mac)
        self.recent = []
        try:
            transport.reset()
            self.sources = transport.set_up_interrupts(controller, pairs)
            self._set_up(min(pairs, len(self.sources.queues)), frozenset())
        except ValueError as error:
            self._fail()
            raise VirtioError(f"{transport.name}: the device lacks registers of what it offers: {error}") from None
        except BaseException:
            self._fail()
            raise
        if self.sources.configuration is not self.sources.queues[0]:
            interrupts.attach(self.sources.configuration, InterruptFunction(self.config_changed))

    # --- set-up (3.1.1)

    def _set_up(self, pairs, excluded):
        """`excluded`: features not to be negotiated."""
        transport = self.transport
        transport.reset()
        transport.status = ACKNOWLEDGE
        transport.status = ACKNOWLEDGE | DRIVER
        offered = transport.device_features()
        if not having(offered, bits.VERSION_1):
            raise VirtioError(f"{transport.name}: the device does not offer VIRTIO 1 (6.1)")
        wanted = self._choose(offered, pairs, excluded)
        if self.negotiated:
            # The stack knows the device as it was.
            if self.negotiated & ~wanted:
                raise VirtioError(f"{transport.name}: the device offers less than before its reset")
            wanted = self.negotiated
        transport.set_driver_features(wanted)
        transport.status = ACKNOWLEDGE | DRIVER | FEATURES_OK
        if not transport.status & FEATURES_OK:
            raise VirtioError(f"{transport.name}: the device refuses a part of the features that it offers")
        pairs = self._take_configuration(wanted, pairs)
        self._agree(wanted)
        transport.set_config_vector()
        beyond = self._make_queues(wanted, pairs)
        if beyond:
            # Such frames would find no room, and nothing behind them would go or come.
            self._end(False)
            return self._set_up(pairs, excluded | beyond)
        transport.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK
        self.negotiated = wanted
        self.works = True
        if len(self.queues) > 1:
            self._command(_CLASS_MQ, _MQ_PAIRS_SET, len(self.queues).to_bytes(2, "little"))
        self._look_at_link()

    def _choose(self, offered, pairs, excluded):
        """Of what is offered, all that is honoured here."""
        wanted = set(_ALWAYS)
        if having(offered, bits.MRG_RXBUF) or having(offered, bits.INDIRECT_DESC):
            # Otherwise a receive buffer is one slot.
            wanted |= set(_LARGE)
        if pairs > 1:
            wanted |= {bits.CTRL_VQ, bits.MQ}
        chosen = 0
        for bit in wanted - excluded:
            if having(offered, bit) and having(offered, bits.REQUIRES.get(bit, bit)):
                chosen |= 1 << bit
        if not having(chosen, bits.MQ):
            chosen &= ~(1 << bits.CTRL_VQ)
        return chosen

    def _take_configuration(self, wanted, pairs):
        """MAC and MTU; how many pairs of queues there are."""
        transport = self.transport
        config = transport.config
        # 2.5.3.1: until nothing has changed meanwhile.
        for _ in range(100):
            generation = transport.config_generation()
            mac = bytes([config.read8(_CONFIG_MAC + i) for i in range(6)]) if having(wanted, bits.MAC) else self.own_mac
            mtu = config.read16(_CONFIG_MTU) if having(wanted, bits.MTU) else 1500
            most = config.read16(_CONFIG_MAX_PAIRS) if having(wanted, bits.MQ) else 1
            if generation == transport.config_generation():
                break
        else:
            raise VirtioError(f"{transport.name}: the device's configuration changes whenever it is looked at")
        if mtu < 68:
            raise VirtioError(f"{transport.name}: the device has an MTU of {mtu} bytes, and 68 are the least (5.1.4.1)")
        if self.negotiated:
            if mac != self.mac or mtu != self.mtu or most < len(self.queues):
                raise VirtioError(f"{transport.name}: the device is another one after its reset")
            return len(self.queues)
        self.mac = mac
        self.mtu = mtu
        return max(1, min(pairs, most))

    def _agree(self, wanted):
        longest: uint32_t = self.mtu + _ETHERNET_VLAN
        self.agreed.mergeable = having(wanted, bits.MRG_RXBUF)
        self.agreed.checksums = having(wanted, bits.GUEST_CSUM)
        self.agreed.kinds = 0
        if having(wanted, bits.GUEST_TSO4):
            self.agreed.kinds |= 1 << GSO_TCPV4
        if having(wanted, bits.GUEST_USO4):
            self.agreed.kinds |= 1 << GSO_UDP_L4
        if self.agreed.kinds:
            longest = LONGEST_FRAME
        self.agreed.buffer_slots = 1
        if not self.agreed.mergeable and longest > FIRST_BYTES:
            # 5.1.6.3.1
            self.agreed.buffer_slots += (longest - FIRST_BYTES + UNIT_BYTES - 1) // UNIT_BYTES
        self.features = 0
        for bit, feature in (
            (bits.CSUM, FEATURE_CHECKSUM),
            (bits.HOST_TSO4, FEATURE_TSO4),
            (bits.HOST_USO, FEATURE_USO),
            (bits.GUEST_CSUM, FEATURE_RX_CHECKSUM),
            (bits.GUEST_TSO4, FEATURE_RX_TSO4),
            (bits.GUEST_USO4, FEATURE_RX_USO),
        ):
            if having(wanted, bit):
                self.features |= feature

    def _make_queues(self, wanted, pairs):
        """Features that the queues are too small for; then none is set up."""
        queue: VirtioQueue
        receiving: Virtqueue
        transmitting: Virtqueue
        pair: cython.int
        slots: uint32_t = self.agreed.buffer_slots
        if not self.queues:
            self.queues = tuple([VirtioQueue() for _ in range(pairs)])
        for pair in range(pairs):
            queue = self.queues[pair]
            size = self._size(2 * pair, self.size if slots == 1 else min(self.size, _LARGE_BUFFERS))
            if self.agreed.kinds and size < (_LEAST_MERGED if slots == 1 else slots):
                return frozenset(_LARGE)
            if not self._takes_mtu(wanted, size):
                return frozenset((bits.MTU,))
            receiving = make_virtqueue(size, wanted, receiving_scratch(size, slots))
            size = self._size(2 * pair + 1, self.size)
            if size < _LEAST_CUT and self.features & (FEATURE_TSO4 | FEATURE_USO):
                return frozenset((bits.HOST_TSO4, bits.HOST_USO))
            if size < 2 + self.mtu // UNIT_BYTES:
                return frozenset((bits.MTU,))
            transmitting = make_virtqueue(size, wanted, transmitting_scratch(size, having(wanted, bits.INDIRECT_DESC)))
            self._hand_over(receiving, 2 * pair, pair)
            self._hand_over(transmitting, 2 * pair + 1, pair)
            queue.device = self
            queue.source = self.sources.queues[pair]
            queue.acknowledges = self.transport.needs_acknowledgment
            queue.begin(receiving, transmitting, self.agreed)
        if having(wanted, bits.CTRL_VQ):
            # Its number follows that of all pairs that the device has (5.1.2).
            index = 2 * self.transport.config.read16(_CONFIG_MAX_PAIRS)
            self.control = make_virtqueue(self._size(index, 64), wanted, 64)
            self._hand_over(self.control, index, None)
        return frozenset()

    def _takes_mtu(self, wanted, size):
        """5.1.4.2: whether a frame as long as the MTU allows has room in a receive queue of this size."""
        if self.agreed.mergeable:
            return size * BUFFER_BYTES >= VNET_BYTES + self.mtu + _ETHERNET_VLAN
        return self.agreed.buffer_slots == 1 or (
            self.agreed.buffer_slots <= size and having(wanted, bits.INDIRECT_DESC)
        )

    def _size(self, index, most):
        """Descriptors of a queue: a power of two, of packed ones as well."""
        offered = min(self.transport.queue_size(index), most)
        if offered < 2:
            raise VirtioError(f"{self.transport.name}: the device has no queue {index} that is large enough")
        return 1 << (offered.bit_length() - 1)

    def _hand_over(self, virtqueue, index, pair):
        made: Virtqueue = virtqueue
        self.transport.set_queue(index, made.size, made.areas(), pair)
        registers, offset, value, width = self.transport.notification(index)
        made.notifies_at(registers, offset, value, width)

    def _command(self, command_class, command, data):
        """5.1.6.5: through the control queue, and waits for the answer."""
        control: Virtqueue = self.control
        at: cython.pointer(uint8_t) = control.scratch
        pieces: piece_t[2]
        used: used_t
        got: cython.int = 0
        content: bytes = bytes([command_class, command]) + data
        length: cython.Py_ssize_t = len(content)
        memcpy(at, cython.cast(cython.p_char, content), length)
        at[length] = 0xFF
        pieces[0].address = bus_address(at)
        pieces[0].length = cython.cast(uint32_t, length)
        pieces[1].address = bus_address(at + length)
        pieces[1].length = 1
        offer_pieces(cython.address(control.ring), at, pieces, 2, 1)
        control.kick()
        for _ in range(RESET_LOOKS):
            got = take_used(cython.address(control.ring), cython.address(used))
            # A look at a register gives the hypervisor its turn, and takes time.
            if got or self.transport.status & DEVICE_NEEDS_RESET:
                break
        if got != 1 or at[length] != _OK:
            raise VirtioError(
                f"{self.transport.name}: the device does not do command {command} of class {command_class}"
            )
        release(cython.address(control.ring), used.id)

    # --- while it works

    def acknowledge(self):
        """The source of a queue was raised, which may tell of more than the queue."""
        if self.transport.acknowledge() & CONFIGURATION_CHANGED:
            self.config_changed()

    def config_changed(self):
        """The device says that its configuration, or its status, is another (2.1.2, 5.1.4)."""
        if not self.works:
            return
        if self.transport.status & DEVICE_NEEDS_RESET:
            self._recover("asks for a reset")
        else:
            self._look_at_link()

    def _look_at_link(self):
        queue: VirtioQueue
        up: cython.bint = True
        if having(self.negotiated, bits.STATUS):
            up = self.transport.config.read16(_CONFIG_STATUS) & _LINK_UP != 0
        if up != self.link_up and (self.resets or not up or self.link_up):
            _log.info("%s: the link is %s", self.name, "up" if up else "down")
        self.link_up = up
        for queue in self.queues:
            queue.set_link(up)

    # --- memory

    def fill_later(self):
        """The pool has not enough slots for a receive queue. Each turn's flush() tries it again; and this has the loop
        turn, in case that memory is let go of outside."""
        if self.filling is None:
            self.filling = timers().call_at(event_manager().now + _FILL_AGAIN, self._fill_again)
        if not self.starved:
            self.starved = True
            _log.warning("%s: no memory for receive buffers: nothing is received until there is", self.name)

    def _fill_again(self):
        queue: VirtioQueue
        self.filling = None
        for queue in self.queues:
            queue.flush()
        self.starved = self.filling is not None

    # --- reset

    def recover(self):
        """A queue found that the device breaks the rules."""
        queue: VirtioQueue
        for queue in self.queues:
            if queue.broken is not None and self.works:
                self._recover(f"breaks the rules: {queue.broken}")
            queue.broken = None

    def _recover(self, why):
        queue: VirtioQueue
        now = event_manager().now
        _log.warning("%s: the device %s: it is reset", self.name, why)
        self.recent = [time for time in self.recent if time + _WITHIN > now]
        self.recent.append(now)
        try:
            self.transport.reset()
            self._end(False)
            if len(self.recent) > _RESETS:
                raise VirtioError(
                    f"{self.transport.name}: this was the reset number {len(self.recent)} within a minute"
                )
            self.resets += 1
            self._set_up(len(self.queues), frozenset())
            for queue in self.queues:
                queue.fill()
                queue.flush()
        except (OSError, ValueError) as error:
            _log.error("%s: the device is given up: %s", self.name, error)
            self._fail()

    def _fail(self):
        """Off for good; its status says so (3.1.1)."""
        keep: cython.bint = False
        try:
            self.transport.reset()
            self.transport.status = FAILED
        except (OSError, ValueError):
            keep = True
        self._end(keep)

    def _end(self, keep):
        """The queues are the device's no more; `keep`: that is not known."""
        queue: VirtioQueue
        self.works = False
        if self.filling is not None:
            self.filling.cancel()
            self.filling = None
        for queue in self.queues or ():
            queue.end(keep)
        if self.control is not None and keep:
            self.control.keep()
        self.control = None
        return 0

    def close(self):
        keep: cython.bint = False
        if self.closed:
            return
        self.closed = True
        try:
            self.transport.reset()
        except (OSError, ValueError) as error:
            _log.error("%s: %s", self.name, error)
            keep = True
        self._end(keep)
        for queue in self.queues:
            cython.cast(VirtioQueue, queue).receiver = None
        if self.sources.configuration is not self.sources.queues[0]:
            self.interrupts.detach(self.sources.configuration)
        self.transport.close()
