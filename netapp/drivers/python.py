"""Devices and plain Python. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.drivers.device import offload_tuple, set_offload
from cython.cimports.netapp.drivers.frames import allocate_frame, frame_bytes
from cython.cimports.netapp.iobuf.pool import iobuf_t

COUNTERS = ("tx_frames", "tx_full", "rx_frames", "rx_no_receiver")


@cython.cfunc
def _frame(data) -> Chain:
    """The bytes in slots of their own; not counted as copied, for they come from outside."""
    whole: bytes = bytes(data)
    frame: Chain = allocate_frame(len(whole))
    view: cython.pointer(iobuf_t)
    at: cython.Py_ssize_t = 0
    if frame is None:
        raise MemoryError("the buffer pool is exhausted")
    view = frame.head
    while view != cython.NULL:
        memcpy(view.data, cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(whole)) + at, view.length)
        at += view.length
        view = view.next
    return frame


class RawPort:
    def __init__(self, queue: Queue):
        self.queue = queue
        self.received = []
        queue.set_receiver(self)

    def receive_frame(self, frame):
        self.received.append((frame_bytes(frame), offload_tuple(cython.address(frame.offload))))
        return 0

    def send(self, data, offload=None):
        frame: Chain = data if isinstance(data, Chain) else _frame(data)
        if offload is not None:
            set_offload(cython.address(frame.offload), offload)
        taken: cython.bint = self.queue.transmit(frame)
        self.queue.flush()
        return taken

    def poll(self, budget=64):
        return self.queue.poll(budget)

    def receive(self):
        while self.queue.poll(64):
            pass
        frames = [data for data, _ in self.received]
        self.received.clear()
        return frames

    def flush(self):
        self.queue.flush()

    def enable_interrupts(self):
        return self.queue.enable_interrupts()

    def close(self):
        self.queue.set_receiver(None)


class PythonQueue:
    def __cinit__(self, driver):
        self.driver = driver
        self.counter_values = cython.address(self.count[0])
        self.counter_names = COUNTERS

    def poll(self, budget):
        done: cython.int = 0
        if hasattr(self.driver, "poll"):
            for data in self.driver.poll(budget):
                done += 1
                self.count[2] += 1
                if self.receiver is None:
                    self.count[3] += 1
                else:
                    self.receiver.receive_frame(_frame(data))
        return done

    def transmit(self, frame):
        if hasattr(self.driver, "transmit"):
            if self.driver.transmit(frame_bytes(frame), offload_tuple(cython.address(frame.offload))) is False:
                self.count[1] += 1
                return False
        self.count[0] += 1
        frame.advance(frame.length)
        return True

    def enable_interrupts(self):
        return hasattr(self.driver, "enable_interrupts") and bool(self.driver.enable_interrupts())

    def disable_interrupts(self):
        return 0

    def interrupt_source(self):
        return self.driver


class PythonDevice:
    def __init__(self, driver, name="python0", mac=b"\x02\0\0\0\0\x0c", mtu=1500, features=0):
        queue: PythonQueue = PythonQueue(driver)
        queue.device = self
        self.name = name
        self.mac = mac
        self.mtu = mtu
        self.features = features
        self.queues = (queue,)

    def close(self):
        cython.cast(Queue, self.queues[0]).receiver = None
