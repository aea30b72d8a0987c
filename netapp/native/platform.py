"""The native platform. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.netapp.native.machine import (
    NETAPP_CONSOLE_LINE,
    NETAPP_NEVER,
    NETAPP_TIMER,
    netapp_clock,
    netapp_clock_name,
    netapp_console_read,
    netapp_idle,
    netapp_interrupt_count,
    netapp_interrupt_done,
    netapp_interrupt_next,
    netapp_interrupts_take,
    netapp_line_connect,
    netapp_memory_free,
    netapp_memory_largest,
    netapp_memory_size,
    netapp_message_address,
    netapp_native,
    netapp_port_read8,
    netapp_port_read16,
    netapp_port_read32,
    netapp_port_write8,
    netapp_port_write16,
    netapp_port_write32,
    netapp_random,
    netapp_registers_map,
    netapp_vector_give,
    netapp_vector_take,
    netapp_wall_clock,
    netapp_window,
    netapp_window_t,
)

from netapp.drivers.interrupts import Message
from netapp.drivers.registers import MemoryRegisters

TIMER = NETAPP_TIMER  # the vector of its interrupts

_VECTORS = cython.declare(cython.int, 256)
_ADDRESS = cython.declare(cython.int, 0xCF8)
_DATA = cython.declare(cython.int, 0xCFC)


def is_native():
    """Whether this is the bare machine, not a Linux process."""
    return netapp_native() != 0


def clock_name():
    """What the clock goes by."""
    _need_kernel()
    return netapp_clock_name().decode()


def interrupts_taken():
    """Since start, by vector."""
    vector: cython.int
    _need_kernel()
    return [netapp_interrupt_count(vector) for vector in range(_VECTORS)]


def memory():
    """(bytes that there are beside the image, how many of them are free, how many of those in one piece)."""
    _need_kernel()
    return netapp_memory_size(), netapp_memory_free(), netapp_memory_largest()


def windows():
    """(address, size, interrupt line, whether its interrupts are edges) of each window of virtio-mmio."""
    window: netapp_window_t
    found: list = []
    _need_kernel()
    while netapp_window(len(found), cython.address(window)):
        found.append((window.address, window.size, window.line, window.edge != 0))
    return found


def device_registers(address, size):
    """The registers of a device that lie at an address."""
    _need_kernel()
    if netapp_registers_map(address, size) < 0:
        raise MemoryError("no memory for page tables")
    return MemoryRegisters(address, size)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _need_kernel() -> cython.int:
    if not netapp_native():
        raise OSError(errno.ENODEV, "this is a Linux process, not the bare machine")
    return 0


class NativeClock:
    def __cinit__(self):
        _need_kernel()

    def now(self):
        return netapp_clock()


class NativeWallClock:
    def __cinit__(self):
        _need_kernel()

    def nanoseconds(self):
        return netapp_wall_clock()


class NativeEntropy:
    def __cinit__(self):
        _need_kernel()

    def random_bytes(self, count):
        random: bytes = PyBytes_FromStringAndSize(cython.NULL, count)
        netapp_random(PyBytes_AS_STRING(random), count)
        return random


class NativeInterrupts:
    def __cinit__(self):
        _need_kernel()
        self.handlers = [None] * _VECTORS

    def attach(self, source, handler):
        vector: cython.int = source
        if self.handlers[vector] is not None:
            raise ValueError(f"interrupt vector {vector} is attached already")
        self.handlers[vector] = handler

    def detach(self, source):
        vector: cython.int = source
        if self.handlers[vector] is not None:
            self.handlers[vector] = None
            netapp_vector_give(vector)

    def wake(self):
        self.woken = True

    def dispatch(self):
        vector: cython.int
        handler: InterruptHandler
        ran: cython.int = 0
        netapp_interrupts_take()
        while True:
            vector = netapp_interrupt_next()
            if vector < 0:
                return ran
            handler = self.handlers[vector]
            if handler is not None:
                self.handler = handler
                try:
                    handler.interrupt()
                finally:
                    netapp_interrupt_done(vector)
                ran += 1

    def wait(self, timeout):
        if not self.woken:
            netapp_idle(NETAPP_NEVER if timeout < 0 else netapp_clock() + cython.cast(uint64_t, timeout))
        self.woken = False
        return 0


class NativeInterruptController:
    def __cinit__(self):
        _need_kernel()

    def message(self):
        vector: cython.int = _vector()
        return Message(vector, netapp_message_address(), vector)

    def line(self, number, edge):
        vector: cython.int = _vector()
        if netapp_line_connect(number, vector, edge) < 0:
            netapp_vector_give(vector)
            raise OSError(errno.ENODEV, f"no I/O APIC has the interrupt line {number}, or it is in use")
        return vector


@cython.cfunc
@cython.exceptval(-1, check=False)
def _vector() -> cython.int:
    vector: cython.int = netapp_vector_take()
    if vector < 0:
        raise OSError(errno.ENOSPC, "no interrupt vector is left")
    return vector


class Console:
    def __cinit__(self, controller, function):
        self.source = controller.line(NETAPP_CONSOLE_LINE, True)
        self.function = function

    def interrupt(self):
        byte: cython.int
        came: bytearray = bytearray()
        while True:
            byte = netapp_console_read()
            if byte < 0:
                break
            came.append(byte)
        if came:
            self.function(bytes(came))
        return 0


class PciConfiguration:
    def __init__(self, bus, device, function):
        _need_kernel()
        Registers.__init__(self, 256)
        self.selector = 0x80000000 | bus << 16 | device << 11 | function << 8

    def select(self, offset, width):
        """Then the register is at 0xCFC and the last two bits of its offset."""
        self.check(offset, width)
        netapp_port_write32(_ADDRESS, self.selector | offset & 0xFC)
        return _DATA + (offset & 3)

    def read8(self, offset):
        return netapp_port_read8(self.select(offset, 1))

    def read16(self, offset):
        return netapp_port_read16(self.select(offset, 2))

    def read32(self, offset):
        return netapp_port_read32(self.select(offset, 4))

    def write8(self, offset, value):
        netapp_port_write8(self.select(offset, 1), value)

    def write16(self, offset, value):
        netapp_port_write16(self.select(offset, 2), value)

    def write32(self, offset, value):
        netapp_port_write32(self.select(offset, 4), value)
