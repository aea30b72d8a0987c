"""A window of device registers, little-endian: a memory BAR, a virtio-mmio window, a PCI function's configuration space.

Each call is one access of that width; an offset that is not aligned to it, or beyond the window, raises ValueError. A
platform or a test subclasses `Registers`, in Python too, for registers that are not memory (I/O ports, a model).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef class Registers:
    cdef readonly uint64_t size              # bytes
    cpdef uint8_t read8(self, uint64_t offset) except? 255
    cpdef uint16_t read16(self, uint64_t offset) except? 65535
    cpdef uint32_t read32(self, uint64_t offset) except? 0xffffffff
    cpdef uint64_t read64(self, uint64_t offset) except? 0xffffffff      # two of 32 bits, the lower first
    cpdef object write8(self, uint64_t offset, uint8_t value)
    cpdef object write16(self, uint64_t offset, uint16_t value)
    cpdef object write32(self, uint64_t offset, uint32_t value)
    cpdef object write64(self, uint64_t offset, uint64_t value)          # likewise
    # A part of it as a window of its own, which keeps this one alive.
    cpdef Registers window(self, uint64_t offset, uint64_t size)
    cdef int check(self, uint64_t offset, uint32_t width) except -1      # for subclasses


cdef class MemoryRegisters(Registers):
    """Registers in memory, which lives at least as long as this."""
    cdef readonly uint64_t address


cdef class RegistersWindow(Registers):
    cdef Registers inner
    cdef uint64_t first
