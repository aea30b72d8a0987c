"""Windows of device registers."""

import ctypes

import pytest

from netapp.drivers.registers import MemoryRegisters, Registers


class Recorder(Registers):
    """Registers in Python: a 32-bit register reads as its offset."""

    def __init__(self, size):
        super().__init__(size)
        self.written = []

    def read32(self, offset):
        return offset

    def write32(self, offset, value):
        self.written.append((offset, value))


@pytest.fixture
def memory():
    return (ctypes.c_uint8 * 64)()


@pytest.fixture
def registers(memory):
    return MemoryRegisters(ctypes.addressof(memory), 64)


def test_memory_is_little_endian(memory, registers):
    registers.write64(8, 0x1122334455667788)
    assert bytes(memory)[8:16] == bytes.fromhex("8877665544332211")
    assert registers.read64(8) == 0x1122334455667788
    assert registers.read32(12) == 0x11223344
    assert registers.read16(10) == 0x5566
    assert registers.read8(9) == 0x77
    registers.write32(0, 0xFFFFFFFF)
    registers.write16(2, 0x1234)
    registers.write8(0, 0)
    assert bytes(memory)[:4] == b"\0\xff\x34\x12"


def test_a_window_is_a_part(memory, registers):
    window = registers.window(8, 16).window(4, 4)
    window.write32(0, 0x01020304)
    assert bytes(memory)[12:16] == b"\4\3\2\1"
    assert window.size == 4
    with pytest.raises(ValueError, match="beyond"):
        window.read8(4)


@pytest.mark.parametrize("width, offset", [(2, 1), (4, 2), (4, 62), (1, 64), (8, 60), (4, 1 << 63)])
def test_nothing_else_is_reached(registers, width, offset):
    with pytest.raises(ValueError, match="beyond"):
        getattr(registers, f"read{width * 8}")(offset)
    with pytest.raises(ValueError, match="beyond"):
        getattr(registers, f"write{width * 8}")(offset, 0)


def test_a_part_lies_within_its_window(registers):
    for first, size in ((60, 5), (65, 0), (1 << 63, 1 << 63)):
        with pytest.raises(ValueError, match="window"):
            registers.window(first, size)


def test_a_subclass_in_python_is_called():
    recorder = Recorder(1 << 32)
    assert recorder.read64(4) == 4 | 8 << 32  # two of 32 bits: the lower one first
    recorder.window(16, 16).write64(8, 5 << 32 | 3)
    assert recorder.written == [(24, 3), (28, 5)]
