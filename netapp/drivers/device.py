"""The base classes of the device contract, which the `.pxd` states."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from collections import namedtuple

# The features, for Python: what the device does for frames to transmit, and what received frames may be.
CHECKSUM = FEATURE_CHECKSUM
TSO4 = FEATURE_TSO4
USO = FEATURE_USO
RX_CHECKSUM = FEATURE_RX_CHECKSUM
RX_TSO4 = FEATURE_RX_TSO4
RX_USO = FEATURE_RX_USO

# offload_t, for Python.
Offload = namedtuple("Offload", ("flags", "gso_type", "header_length", "gso_size", "csum_start", "csum_offset"))


def offload_tuple(offload):
    return Offload(
        offload.flags,
        offload.gso_type,
        offload.header_length,
        offload.gso_size,
        offload.csum_start,
        offload.csum_offset,
    )


def set_offload(offload, values):
    (
        offload.flags,
        offload.gso_type,
        offload.header_length,
        offload.gso_size,
        offload.csum_start,
        offload.csum_offset,
    ) = values
    return 0


class FrameReceiver:
    def receive_frame(self, frame):
        raise NotImplementedError


class Queue:
    def set_receiver(self, receiver):
        self.receiver = receiver

    def poll(self, budget):
        raise NotImplementedError

    def transmit(self, frame):
        raise NotImplementedError

    def flush(self):
        return 0

    def enable_interrupts(self):
        raise NotImplementedError

    def disable_interrupts(self):
        raise NotImplementedError

    def interrupt_source(self):
        raise NotImplementedError

    def acknowledge_interrupt(self):
        return 0

    def counters(self):
        """Name to value, in the order of the struct."""
        i: cython.Py_ssize_t
        names: tuple = self.counter_names
        if names is None:
            return {}
        return {names[i]: self.counter_values[i] for i in range(len(names))}


class Device:
    def counters(self):
        totals: dict = {}
        for queue in self.queues or ():
            for name, value in cython.cast(Queue, queue).counters().items():
                totals[name] = totals.get(name, 0) + value
        return totals

    def close(self):
        raise NotImplementedError


class Between:
    def receive_frame(self, frame):
        return self.queue.receive_frame(frame)


class QueueWrapper:
    def _wrap(self, device, inner):
        between: Between = Between()
        between.queue = self
        self.device = device
        self.inner = inner
        self.between = between
        return 0

    def receive_frame(self, frame):
        return self.receiver.receive_frame(frame)

    def close_queue(self):
        return 0

    def set_receiver(self, receiver):
        self.receiver = receiver
        self.inner.set_receiver(None if receiver is None else self.between)

    def poll(self, budget):
        return self.inner.poll(budget)

    def transmit(self, frame):
        return self.inner.transmit(frame)

    def flush(self):
        return self.inner.flush()

    def enable_interrupts(self):
        return self.inner.enable_interrupts()

    def disable_interrupts(self):
        return self.inner.disable_interrupts()

    def interrupt_source(self):
        return self.inner.interrupt_source()

    def acknowledge_interrupt(self):
        return self.inner.acknowledge_interrupt()

    def counters(self):
        return self.inner.counters() | Queue.counters(self)


class DeviceWrapper:
    def _wrap(self, inner, queues):
        i: cython.Py_ssize_t
        self.inner = inner
        self.name = inner.name
        self.mac = inner.mac
        self.mtu = inner.mtu
        self.features = inner.features
        self.queues = tuple(queues)
        for i in range(len(queues)):
            cython.cast(QueueWrapper, queues[i])._wrap(self, inner.queues[i])
        return 0

    def close(self):
        """Closes the inner device too."""
        if self.closed:
            return
        self.closed = True
        for queue in self.queues:
            cython.cast(QueueWrapper, queue).close_queue()
            cython.cast(QueueWrapper, queue).set_receiver(None)
        self.inner.close()
