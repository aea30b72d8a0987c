"""Device registers. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.netapp.drivers.access import load8, load16, load32, store8, store16, store32


class Registers:
    def __init__(self, size):
        self.size = size

    def read8(self, offset):
        raise NotImplementedError

    def read16(self, offset):
        raise NotImplementedError

    def read32(self, offset):
        raise NotImplementedError

    def read64(self, offset):
        low: uint64_t = self.read32(offset)
        return low | cython.cast(uint64_t, self.read32(offset + 4)) << 32

    def write8(self, offset, value):
        raise NotImplementedError

    def write16(self, offset, value):
        raise NotImplementedError

    def write32(self, offset, value):
        raise NotImplementedError

    def write64(self, offset, value):
        self.write32(offset, cython.cast(uint32_t, value))
        self.write32(offset + 4, cython.cast(uint32_t, value >> 32))

    def window(self, offset, size):
        window: RegistersWindow
        if offset > self.size or size > self.size - offset:
            raise ValueError(f"{size} bytes from {offset:#x} on: the window has {self.size}")
        window = RegistersWindow.__new__(RegistersWindow)
        window.size = size
        window.inner = self
        window.first = offset
        return window

    def check(self, offset, width):
        if offset % width or offset > self.size or width > self.size - offset:
            raise ValueError(f"{width} bytes at {offset:#x} of {self.size}: beyond the window, or not aligned")
        return 0


class MemoryRegisters:
    def __init__(self, address, size):
        Registers.__init__(self, size)
        self.address = address

    def read8(self, offset):
        self.check(offset, 1)
        return load8(self.address + offset)

    def read16(self, offset):
        self.check(offset, 2)
        return load16(self.address + offset)

    def read32(self, offset):
        self.check(offset, 4)
        return load32(self.address + offset)

    def write8(self, offset, value):
        self.check(offset, 1)
        store8(self.address + offset, value)

    def write16(self, offset, value):
        self.check(offset, 2)
        store16(self.address + offset, value)

    def write32(self, offset, value):
        self.check(offset, 4)
        store32(self.address + offset, value)


class RegistersWindow:
    def read8(self, offset):
        self.check(offset, 1)
        return self.inner.read8(self.first + offset)

    def read16(self, offset):
        self.check(offset, 2)
        return self.inner.read16(self.first + offset)

    def read32(self, offset):
        self.check(offset, 4)
        return self.inner.read32(self.first + offset)

    def write8(self, offset, value):
        self.check(offset, 1)
        self.inner.write8(self.first + offset, value)

    def write16(self, offset, value):
        self.check(offset, 2)
        self.inner.write16(self.first + offset, value)

    def write32(self, offset, value):
        self.check(offset, 4)
        self.inner.write32(self.first + offset, value)
