"""The bare machine as the platform of a core: what netapp.event.contracts and netapp.drivers ask for, out of the kernel.

Each class raises OSError where there is no kernel: in a Linux process.
"""
from libc.stdint cimport uint64_t
from netapp.drivers.registers cimport MemoryRegisters, Registers
from netapp.event.contracts cimport Clock, Entropy, InterruptHandler, Interrupts, WallClock


cdef class NativeClock(Clock):
    """Counts from start."""


cdef class NativeWallClock(WallClock):
    """The machine's battery-backed clock or the hypervisor's, read at start, carried on by the clock."""


cdef class NativeEntropy(Entropy):
    pass


cdef class NativeInterrupts(Interrupts):
    """Sources are interrupt vectors, which a NativeInterruptController gives out; detach() gives one back. Nothing is
    interrupted: what came is noted in wait(), and in dispatch(), which runs its handler."""
    cdef list handlers                       # by vector
    cdef bint woken


cdef class NativeInterruptController:
    """See netapp.drivers.interrupts.InterruptController: `message()` and `line(number, edge)`, whose number is a line of the
    I/O APICs. OSError where there is no vector left, or no such line."""


cdef class Console(InterruptHandler):
    """The first serial port's input. `function(bytes)` is called with what came, once it is attached to `source`."""
    cdef readonly object source
    cdef readonly object function


cdef class PciConfiguration(Registers):
    """The configuration space of a PCI function, by configuration mechanism 1 (PCI 3.0, 3.2.2.3.2). Where there is no such
    function, or no PCI, all ones are read."""
    cdef uint64_t selector
    cdef int select(self, uint64_t offset, int width) except -1
