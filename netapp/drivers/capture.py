"""Capture to pcapng. Blocks and options are numbered as in draft-ietf-opsawg-pcapng; all fields are little-endian."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import logging
import os
import struct

from cython.cimports.libc.errno import EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.drivers.device import Device
from cython.cimports.posix.unistd import SEEK_END, ftruncate, lseek, write

_log = logging.getLogger("netapp.drivers")

COUNTERS = ("capture_frames", "capture_lost", "capture_writes")

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_ENHANCED_PACKET = cython.declare(uint32_t, 6)
_LINKTYPE_ETHERNET = 1
_USERAPPL, _IF_NAME, _IF_TSRESOL = 4, 2, 9
_EPB_FLAGS = cython.declare(uint32_t, 2)

_BUFFER_BYTES = cython.declare(uint32_t, 1 << 20)
_BLOCK_HEAD = cython.declare(uint32_t, 28)
_BLOCK_TAIL = cython.declare(uint32_t, 16)  # epb_flags, end of options, length of the block


def _option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes((4 - len(value) % 4) % 4)


def _block(kind, body, options):
    body += options + struct.pack("<HH", 0, 0)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def _file_header(interface):
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    link = struct.pack("<HHI", _LINKTYPE_ETHERNET, 0, 0)
    nanoseconds = _option(_IF_TSRESOL, b"\x09")
    return _block(_SECTION_HEADER, section, _option(_USERAPPL, b"netapp")) + _block(
        _INTERFACE_DESCRIPTION, link, _option(_IF_NAME, interface.encode()) + nanoseconds
    )


@cython.cfunc
@cython.exceptval(check=False)
def _put(at: cython.pointer(uint8_t), value: uint32_t) -> cython.void:
    memcpy(at, cython.address(value), 4)


class CaptureQueue:
    def __cinit__(self):
        self.buffer = cython.cast(cython.pointer(uint8_t), malloc(_BUFFER_BYTES))
        if self.buffer == cython.NULL:
            raise MemoryError
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        free(self.buffer)

    def receive_frame(self, frame):
        self._record(frame, DIRECTION_INBOUND)
        return self.receiver.receive_frame(frame)

    def transmit(self, frame):
        # A transmitted frame is emptied: it is recorded before, and forgotten when the ring was full.
        used: uint32_t = self._record(frame, DIRECTION_OUTBOUND)
        if self.inner.transmit(frame):
            return True
        if used:
            self.used -= used
            self.buffered -= 1
            self.count.capture_frames -= 1
        return False

    def flush(self):
        if self.used > _BUFFER_BYTES // 2:
            self._write()
        return self.inner.flush()

    def enable_interrupts(self):
        if self.used:
            self._write()
        return self.inner.enable_interrupts()

    def close_queue(self):
        return self._write()

    def _record(self, frame, direction):
        """Bytes of the block that was appended to the buffer; 0 for a frame that no buffer holds."""
        length: uint64_t = frame.length
        padded: uint64_t = (length + 3) & ~cython.cast(uint64_t, 3)
        total: uint32_t
        now: int64_t
        at: cython.pointer(uint8_t)
        if padded > _BUFFER_BYTES - _BLOCK_HEAD - _BLOCK_TAIL:
            self.count.capture_lost += 1
            return 0
        total = _BLOCK_HEAD + cython.cast(uint32_t, padded) + _BLOCK_TAIL
        if self.used + total > _BUFFER_BYTES:
            self._write()
        now = self.capture.clock.nanoseconds()
        at = self.buffer + self.used
        _put(at, _ENHANCED_PACKET)
        _put(at + 4, total)
        _put(at + 8, 0)  # interface
        _put(at + 12, cython.cast(uint32_t, now >> 32))
        _put(at + 16, cython.cast(uint32_t, now))
        _put(at + 20, cython.cast(uint32_t, length))
        _put(at + 24, cython.cast(uint32_t, length))
        at += _BLOCK_HEAD
        frame.copy_out(0, at, length)
        memset(at + length, 0, padded - length)
        at += padded
        _put(at, _EPB_FLAGS | 4 << 16)
        _put(at + 4, direction)
        _put(at + 8, 0)
        _put(at + 12, total)
        self.used += total
        self.buffered += 1
        self.count.capture_frames += 1
        return total

    def _write(self):
        """Writes the buffer out. What the file system refuses is lost and counted; the file stays a whole one."""
        file: cython.int = self.capture.file
        start: cython.longlong
        done: cython.Py_ssize_t
        written: uint32_t = 0
        if not self.used or file < 0:
            return 0
        start = lseek(file, 0, SEEK_END)
        while written < self.used:
            done = write(file, self.buffer + written, self.used - written)
            if done > 0:
                written += cython.cast(uint32_t, done)
            elif done == 0 or errno != EINTR:
                break
        self.count.capture_writes += 1
        if written < self.used:
            self.count.capture_lost += self.buffered
            self.count.capture_frames -= self.buffered
            if start >= 0:
                ftruncate(file, start)
        self.used = 0
        self.buffered = 0
        return 0


class CaptureDevice:
    def __cinit__(self):
        self.file = -1

    def __init__(self, inner: Device, path, clock):
        """Records in the file `path`, which is made anew, with the times of `clock`. Raises OSError."""
        queue: CaptureQueue
        self.path = str(path)
        self.clock = clock
        file: cython.int = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, _file_header(inner.name))
        except BaseException:
            os.close(file)
            raise
        self.file = file
        queues: list = []
        for _ in inner.queues:
            queue = CaptureQueue()
            queue.capture = self
            queues.append(queue)
        self._wrap(inner, queues)

    def close(self):
        DeviceWrapper.close(self)
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
            lost = self.counters()["capture_lost"]
            if lost:
                _log.warning("the capture lacks %d frames: too long for it, or refused by the file system", lost)
