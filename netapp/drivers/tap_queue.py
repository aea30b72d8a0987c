"""Queues of a tap device. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import os

from cython.cimports.libc.errno import EAGAIN, EBADF, EINTR, EIO, ENOBUFS, ENODEV, ENOMEM, errno
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.netapp.drivers.linux import EBADFD, POLLOUT, iovec, poll, pollfd, readv, writev
from cython.cimports.netapp.drivers.tap_frames import (
    flatten,
    frame_of,
    gather,
    give_back,
    post,
    prepare,
)
from cython.cimports.netapp.drivers.vnet import LONGEST_FRAME, VNET_BYTES
from cython.cimports.netapp.iobuf.chain import Chain

COUNTERS = (
    "tx_frames",
    "tx_bytes",
    "tx_full",
    "tx_link_down",
    "tx_errors",
    "tx_flattened",
    "rx_frames",
    "rx_bytes",
    "rx_no_slots",
    "rx_no_receiver",
    "rx_malformed",
    "rx_errors",
)


class TapError(OSError):
    """What is wrong with the tap device, and what to do, in one line."""

    def __str__(self):
        return self.strerror or OSError.__str__(self)


def refused(error):
    return error == EAGAIN or error == ENOBUFS or error == ENOMEM


def hand_up(queue, posted, length):
    frame: Chain = frame_of(posted, length, cython.address(queue.count))
    if frame is None:
        return 0
    queue.count.rx_frames += 1
    queue.count.rx_bytes += frame.length
    if queue.receiver is None:
        queue.count.rx_no_receiver += 1
        return 0
    return queue.receiver.receive_frame(frame)


class TapQueue:
    def __cinit__(self):
        self.file = -1
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        free(self.flat)

    def open(self, device, file, longest, header_bytes):
        self.flat = cython.cast(cython.pointer(uint8_t), malloc(LONGEST_FRAME + VNET_BYTES))
        if self.flat == cython.NULL:
            raise MemoryError
        self.longest = longest
        self.header_bytes = header_bytes
        self.device = device
        self.file = file
        return 0

    def close(self):
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
            self.receiver = None
        self.when_removed = None
        return 0

    def enable_interrupts(self):
        # Of frames epoll tells as long as any wait, of room to write never: polling goes on until there is.
        ready: pollfd
        if not self.blocked or self.file < 0 or self.gone:
            return False
        ready.fd = self.file
        ready.events = POLLOUT
        ready.revents = 0
        if poll(cython.address(ready), 1, 0) > 0 and ready.revents & POLLOUT:
            self.blocked = False
        return True

    def disable_interrupts(self):
        return 0

    def interrupt_source(self):
        return self.file

    def read(self, posted, budget):
        done: cython.int = 0
        length: cython.Py_ssize_t
        scratch: uint8_t[64]
        piece: iovec
        lost: cython.bint
        while done < budget and self.file >= 0 and not self.gone:
            lost = not post(posted)
            if lost:
                # Reading too little makes the kernel drop the rest of the frame.
                piece.iov_base = cython.address(scratch[0])
                piece.iov_len = cython.sizeof(scratch)
                length = readv(self.file, cython.address(piece), 1)
            else:
                length = readv(self.file, posted.pieces, posted.pieces_count)
            if length < 0:
                if errno == EINTR:
                    continue
                if errno != EAGAIN:
                    self.read_failed(errno)
                break
            done += 1
            if lost:
                self.count.rx_no_slots += 1
            else:
                hand_up(self, posted, cython.cast(uint32_t, length))
        return done

    def read_failed(self, error):
        self.count.rx_errors += 1
        if error == EBADFD or error == EBADF or error == ENODEV:
            self.gone = True
            self.blocked = False
            if self.when_removed is not None:
                self.when_removed()
                return 0
            raise TapError(error, f"the interface {self.device.name} was removed: nothing comes or goes any more")
        return 0


class TapRwQueue:
    def open(self, device, file, longest, header_bytes):
        TapQueue.open(self, device, file, longest, header_bytes)
        prepare(cython.address(self.posted), longest, header_bytes)
        return 0

    def close(self):
        give_back(cython.address(self.posted))
        return TapQueue.close(self)

    def poll(self, budget):
        return self.read(cython.address(self.posted), budget)

    def transmit(self, frame):
        count: uint32_t
        length: uint64_t = frame.length
        done: cython.Py_ssize_t
        if self.file < 0 or self.gone or length == 0:
            self.count.tx_link_down += 1
            frame.drop_views()
            return True
        if frame.count < MOST_VIEWS:
            count = gather(frame, self.pieces, cython.address(self.header), self.header_bytes)
        elif flatten(frame, self.flat, self.header_bytes):
            self.count.tx_flattened += 1
            self.pieces[0].iov_base = self.flat
            self.pieces[0].iov_len = length + self.header_bytes
            count = 1
        else:
            self.count.tx_errors += 1
            frame.drop_views()
            return True
        done = writev(self.file, self.pieces, count)
        while done < 0 and errno == EINTR:
            done = writev(self.file, self.pieces, count)
        if done == cython.cast(cython.Py_ssize_t, length + self.header_bytes):
            self.count.tx_frames += 1
            self.count.tx_bytes += length
        elif done < 0 and refused(errno):
            self.count.tx_full += 1
            self.blocked = True
            return False
        elif done < 0 and errno == EIO:
            self.count.tx_link_down += 1
        else:
            self.count.tx_errors += 1
        frame.drop_views()
        return True
