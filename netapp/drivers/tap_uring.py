# distutils: libraries = :liburing.a
"""A tap's queue that goes through io_uring. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import os

from cython.cimports.libc.errno import EAGAIN, EBUSY, EINTR, EIO, errno
from cython.cimports.libc.stdint import int32_t, uint32_t, uint64_t
from cython.cimports.netapp.drivers.linux import writev
from cython.cimports.netapp.drivers.tap_frames import MOST_VIEWS, flatten, gather, give_back, post, posted_t, prepare
from cython.cimports.netapp.drivers.tap_queue import TapQueue, hand_up, refused
from cython.cimports.netapp.drivers.uring import (
    IOSQE_FIXED_FILE,
    RWF_NOWAIT,
    io_uring_cqe,
    io_uring_cqe_seen,
    io_uring_get_sqe,
    io_uring_peek_cqe,
    io_uring_prep_readv,
    io_uring_prep_write,
    io_uring_prep_writev,
    io_uring_queue_exit,
    io_uring_queue_init,
    io_uring_register_files,
    io_uring_sqe,
    io_uring_submit_and_wait,
    io_uring_unregister_files,
)
from cython.cimports.netapp.event.manager import EventManager, events
from cython.cimports.netapp.iobuf.pool import (
    FRAME_BYTES,
    UNIT_BYTES,
    free_iobuf,
    iobuf_t,
    only_reserve,
    pool_t,
    running_pool,
)

from netapp.drivers.tap_queue import COUNTERS

# Slots that wait for frames are at most this part of the pool.
_SHARE = cython.declare(uint32_t, 64)
_NO_OFFSET = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
# Up to so many frames a turn go one by one; and as many more come so before the next are read by io_uring.
_FEW = cython.declare(uint32_t, 2)
_FEW_MORE = cython.declare(cython.int, 4)
_OURS = cython.declare(cython.int, 0)  # the tap among the ring's registered files


def _turn_again():
    """An event that makes the loop turn once more."""


class TapUringQueue:
    def __cinit__(self):
        self.counter_names = (*COUNTERS, "submits")
        self.wanted = 1

    def __dealloc__(self):
        if self.opened:
            io_uring_queue_exit(cython.address(self.ring))

    def setup(self, file):
        entry: cython.pointer(io_uring_sqe)
        done: cython.pointer(io_uring_cqe) = cython.NULL
        result: cython.int = io_uring_queue_init(RING_ENTRIES, cython.address(self.ring), 0)
        if result < 0:
            return -result
        self.opened = True
        result = io_uring_register_files(cython.address(self.ring), cython.address(file), 1)
        if result < 0:
            return -result
        # Whether a read of nothing may say that it does not wait.
        entry = io_uring_get_sqe(cython.address(self.ring))
        io_uring_prep_readv(entry, _OURS, self.pieces, 0, _NO_OFFSET)
        entry.flags = IOSQE_FIXED_FILE
        entry.rw_flags = RWF_NOWAIT
        result = io_uring_submit_and_wait(cython.address(self.ring), 1)
        if result < 0:
            return -result
        result = io_uring_peek_cqe(cython.address(self.ring), cython.address(done))
        if result == 0:
            result = done.res
            io_uring_cqe_seen(cython.address(self.ring), done)
        return 0 if result == -EAGAIN else -result

    def open(self, device, file, longest, header_bytes):
        i: cython.int
        TapQueue.open(self, device, file, longest, header_bytes)
        for i in range(MOST_READS):
            prepare(cython.address(self.posted[i]), longest, header_bytes)
        return 0

    def close(self):
        i: uint32_t
        view: cython.pointer(iobuf_t)
        after: cython.pointer(iobuf_t)
        if self.opened:
            self.opened = False
            # The interface goes with its last descriptor, of which the ring has one.
            io_uring_unregister_files(cython.address(self.ring))
            io_uring_queue_exit(cython.address(self.ring))
        self.reads = self.next_read = 0
        for i in range(MOST_READS):
            give_back(cython.address(self.posted[i]))
        for i in range(self.writes):
            view = self.waiting[i].views
            while view != cython.NULL:
                after = view.next
                free_iobuf(view)
                view = after
        self.writes = 0
        return TapQueue.close(self)

    # --- receiving

    def poll(self, budget):
        done: cython.int = 0
        result: int32_t
        at: uint32_t
        reads: uint32_t
        if self.file < 0 or self.gone:
            return 0
        if self.next_read == self.reads:
            if self.wanted <= _FEW or budget < self.wanted:
                return self._read(budget)
            reads = self._post()
            if reads <= _FEW:
                return self._read(budget)
            self._submit(reads)
        while self.next_read < self.reads and done < budget:
            at = self.next_read
            self.next_read += 1
            result = self.results[at]
            if result >= 0:
                done += 1
                self.found += 1
                hand_up(self, cython.address(self.posted[at]), result)
            elif result != -EAGAIN and result != -EINTR:
                self.next_read = self.reads
                self.read_failed(-result)
        if self.reads and self.next_read == self.reads:
            self._looked()
        return done

    def _read(self, budget):
        done: cython.int = 0
        while done < budget and done < _FEW_MORE:
            self.wanted = 1
            self._post()
            if self.read(cython.address(self.posted[0]), 1) == 0:
                break
            done += 1
        self.wanted = done + 1
        return done

    def _looked(self):
        """All results were looked at: how many reads next."""
        if self.found == self.reads:
            self.wanted = self.reads + self.reads // 2 + 1
            if self.wanted > self.most:
                self.wanted = self.most
        else:
            self.wanted = self.found + 1
        self.reads = self.next_read = self.found = 0
        return 0

    def _post(self):
        """Slots for the reads that are wanted; for how many there are some."""
        pool: cython.pointer(pool_t) = running_pool()
        posted: cython.pointer(posted_t)
        count: uint32_t = 0
        last: uint32_t
        if self.most == 0:
            posted = cython.address(self.posted[0])
            self.most = cython.cast(
                uint32_t, pool.region_bytes // _SHARE // (FRAME_BYTES + (posted.count - 1) * UNIT_BYTES)
            )
            if self.most > MOST_READS:
                self.most = MOST_READS
            if self.most == 0:
                self.most = 1
        if self.wanted > self.most:
            self.wanted = self.most
        while count < self.wanted:
            posted = cython.address(self.posted[count])
            if count and posted.missing == posted.count and only_reserve(pool):
                break
            if post(posted):
                count += 1
                continue
            # Those that only make a call cheaper give way.
            last = self.most - 1
            while last > count and self.posted[last].missing == self.posted[last].count:
                last -= 1
            if last == count:
                give_back(posted)
                break
            give_back(cython.address(self.posted[last]))
        return count

    # --- sending

    def transmit(self, frame):
        write: cython.pointer(write_t)
        flat: cython.bint = frame.count >= MOST_VIEWS
        if self.file < 0 or self.gone or frame.length == 0:
            self.count.tx_link_down += 1
            frame.drop_views()
            return True
        if not self.blocked and (
            self.writes == MOST_WRITES
            or self.pieces_used + (0 if flat else frame.count) >= MOST_PIECES
            or (flat and self.flat_used)
        ):
            self._submit(0)
        if self.blocked:
            # What waits goes first.
            self.count.tx_full += 1
            return False
        write = cython.address(self.waiting[self.writes])
        write.pieces = cython.address(self.pieces[self.pieces_used])
        write.length = frame.length
        if not flat:
            write.pieces_count = gather(frame, write.pieces, cython.address(write.header), self.header_bytes)
            write.views = frame.head
            frame.head = frame.tail = cython.NULL
            frame.count = 0
            frame.length = 0
        elif flatten(frame, self.flat, self.header_bytes):
            self.count.tx_flattened += 1
            self.flat_used = True
            write.pieces_count = 1
            write.pieces[0].iov_base = self.flat
            write.pieces[0].iov_len = write.length + self.header_bytes
            write.views = cython.NULL
            frame.drop_views()
        else:
            self.count.tx_errors += 1
            frame.drop_views()
            return True
        self.pieces_used += write.pieces_count
        self.writes += 1
        return True

    def flush(self):
        manager: EventManager
        reads: uint32_t = 0
        if self.file < 0:
            return 0
        if self.reads == 0 and self.wanted > _FEW and not (self.armed or self.gone or self.blocked):
            reads = self._post()
        if reads == 0 and (self.blocked or self.writes <= _FEW):
            self._write()
        else:
            self._submit(reads)
        if self.blocked and self.armed:
            # Nobody polls, but what waits has to go.
            manager = events()
            manager.spawn(_turn_again)
        return 0

    def _submit(self, reads):
        """`reads`: how many; 0 while results wait."""
        entry: cython.pointer(io_uring_sqe)
        done: cython.pointer(io_uring_cqe) = cython.NULL
        write: cython.pointer(write_t)
        left: uint32_t = reads
        kept: cython.bint = False
        result: cython.int
        name: uint64_t
        i: uint32_t
        # The kernel makes them in this order, each before the next. They are not linked (IOSQE_IO_LINK), which costs
        # more than the batch saves: only a frame for which the kernel has no room is overtaken, by those of its batch
        # for which it has some again.
        for i in range(self.writes):
            write = cython.address(self.waiting[i])
            if write.pieces_count == 0:
                continue
            entry = io_uring_get_sqe(cython.address(self.ring))
            if write.pieces_count == 1:
                io_uring_prep_write(
                    entry,
                    _OURS,
                    write.pieces[0].iov_base,
                    cython.cast(cython.uint, write.pieces[0].iov_len),
                    _NO_OFFSET,
                )
            else:
                io_uring_prep_writev(entry, _OURS, write.pieces, write.pieces_count, _NO_OFFSET)
            entry.flags = IOSQE_FIXED_FILE
            entry.rw_flags = RWF_NOWAIT
            entry.user_data = i
            left += 1
        for i in range(reads):
            entry = io_uring_get_sqe(cython.address(self.ring))
            io_uring_prep_readv(entry, _OURS, self.posted[i].pieces, self.posted[i].pieces_count, _NO_OFFSET)
            entry.flags = IOSQE_FIXED_FILE
            entry.rw_flags = RWF_NOWAIT
            entry.user_data = MOST_WRITES + i
        self.count.submits += 1
        while left:
            # All complete in the call; what it waits for is there already.
            result = io_uring_submit_and_wait(cython.address(self.ring), left)
            if result < 0 and result != -EINTR and result != -EAGAIN and result != -EBUSY:
                raise OSError(-result, f"io_uring_enter: {os.strerror(-result)}")
            while left and io_uring_peek_cqe(cython.address(self.ring), cython.address(done)) == 0:
                name = done.user_data
                if name >= MOST_WRITES:
                    self.results[name - MOST_WRITES] = done.res
                elif not self._written(cython.address(self.waiting[name]), done.res):
                    kept = True
                io_uring_cqe_seen(cython.address(self.ring), done)
                left -= 1
        if reads:
            self.reads = reads
            self.next_read = 0
        self.blocked = kept
        if not kept:
            self.writes = self.pieces_used = 0
            self.flat_used = False
        return 0

    def _written(self, write, result):
        """Whether the kernel is done with the frame."""
        view: cython.pointer(iobuf_t) = write.views
        after: cython.pointer(iobuf_t)
        if result >= 0 and cython.cast(uint64_t, result) == write.length + self.header_bytes:
            self.count.tx_frames += 1
            self.count.tx_bytes += write.length
        elif result == -EINTR or refused(-result):
            self.count.tx_full += 1
            return False
        elif result == -EIO:
            self.count.tx_link_down += 1
        else:
            self.count.tx_errors += 1
        while view != cython.NULL:
            after = view.next
            free_iobuf(view)
            view = after
        write.views = cython.NULL
        write.pieces_count = 0
        return True

    def _write(self):
        """So none overtakes another."""
        write: cython.pointer(write_t)
        result: cython.Py_ssize_t
        i: uint32_t
        for i in range(self.writes):
            write = cython.address(self.waiting[i])
            if write.pieces_count:
                result = writev(self.file, write.pieces, write.pieces_count)
                if not self._written(write, cython.cast(int32_t, result) if result >= 0 else -errno):
                    self.blocked = True
                    return 0
        self.blocked = False
        self.writes = self.pieces_used = 0
        self.flat_used = False
        return 0

    # --- sleeping

    def enable_interrupts(self):
        while self.next_read < self.reads:
            if self.results[self.next_read] != -EAGAIN:
                return True
            self.next_read += 1
        if self.reads:
            self._looked()
        self.armed = True
        return TapQueue.enable_interrupts(self)

    def disable_interrupts(self):
        self.armed = False
        return 0
