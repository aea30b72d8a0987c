"""The Linux platform. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import os

from cython.cimports.cpython.exc import PyErr_CheckSignals, PyErr_SetFromErrno
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.netapp.hosted.epoll import (
    CLOCK_MONOTONIC,
    EINTR,
    EPOLL_CLOEXEC,
    EPOLLET,
    EPOLLIN,
    O_CLOEXEC,
    O_NONBLOCK,
    TFD_CLOEXEC,
    TFD_NONBLOCK,
    epoll_add,
    epoll_create1,
    epoll_remove,
    epoll_wait,
    pipe2,
    timer_arm,
    timerfd_create,
)
from cython.cimports.posix.time import CLOCK_REALTIME, clock_gettime, timespec
from cython.cimports.posix.unistd import close, read, write

# While the loop polls, a look into the kernel (about 200 ns) is left out in so many turns but one.
_LOOK_INTERVAL = cython.declare(cython.int, 8)
_WAKE = cython.declare(uint64_t, 0)  # names of our own descriptors
_TIMER = cython.declare(uint64_t, 1)
_FIRST_NAME = cython.declare(uint64_t, 2)
_LONGEST = cython.declare(uint64_t, 2**63 - 1)  # ns that the kernel can count


@cython.cfunc
@cython.exceptval(check=False)
def _monotonic() -> uint64_t:
    time: timespec
    clock_gettime(CLOCK_MONOTONIC, cython.address(time))
    return cython.cast(uint64_t, time.tv_sec) * 1_000_000_000 + cython.cast(uint64_t, time.tv_nsec)


class MonotonicClock:
    def now(self):
        return _monotonic()


class RealWallClock:
    def nanoseconds(self):
        time: timespec
        clock_gettime(CLOCK_REALTIME, cython.address(time))
        return cython.cast(int64_t, time.tv_sec) * 1_000_000_000 + cython.cast(int64_t, time.tv_nsec)


class SystemEntropy:
    def random_bytes(self, count):
        return os.urandom(count)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _check(result: cython.int) -> cython.int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


class EpollInterrupts:
    def __cinit__(self):
        self.epoll = self.pipe[0] = self.pipe[1] = self.timer = -1
        self.opened = True
        self.descriptors = {}
        self.handlers = {}
        self.next_name = _FIRST_NAME
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0 or pipe2(self.pipe, O_NONBLOCK | O_CLOEXEC) < 0:
            PyErr_SetFromErrno(OSError)
        self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self.timer < 0:
            PyErr_SetFromErrno(OSError)
        # Edges of our own: an expiry that was told is not read.
        _check(epoll_add(self.epoll, self.pipe[0], _WAKE, EPOLLIN | EPOLLET))
        _check(epoll_add(self.epoll, self.timer, _TIMER, EPOLLIN | EPOLLET))

    def __dealloc__(self):
        self.close()

    def close(self):
        """Once more does nothing."""
        descriptor: cython.int
        if self.opened:
            self.opened = False
            for descriptor in (self.epoll, self.pipe[0], self.pipe[1], self.timer):
                if descriptor >= 0:
                    close(descriptor)
            self.epoll = self.pipe[0] = self.pipe[1] = self.timer = -1

    @property
    def wake_descriptor(self) -> int:
        """For signal.set_wakeup_fd()."""
        return self.pipe[1]

    def attach(self, source, handler):
        descriptor: cython.int = source if isinstance(source, int) else source.fileno()
        if descriptor in self.descriptors:
            raise ValueError(f"file descriptor {descriptor} is attached already")
        _check(epoll_add(self.epoll, descriptor, self.next_name, EPOLLIN))
        self.descriptors[descriptor] = self.next_name
        self.handlers[self.next_name] = handler
        self.next_name += 1

    def detach(self, source):
        descriptor: cython.int = source if isinstance(source, int) else source.fileno()
        name = self.descriptors.pop(descriptor, None)
        if name is not None:
            del self.handlers[name]
            epoll_remove(self.epoll, descriptor)  # fails where it was closed before: then epoll has let it go

    def wake(self):
        # Under the GIL, which wait() holds from its look at `woken` until `sleeping` is set.
        self.woken = True
        if self.sleeping:
            write(self.pipe[1], b"!", 1)  # a full pipe wakes as well

    def dispatch(self):
        ran: cython.int = 0
        if self.ready_next == self.ready_count:
            self.skipped += 1
            if self.polling and self.skipped < _LOOK_INTERVAL:
                return 0
            self._look(0)
        while self.ready_next < self.ready_count:
            handler: InterruptHandler = self.handlers.get(self.ready[self.ready_next].data.u64)
            self.ready_next += 1
            if handler is not None:
                self.handler = handler
                handler.interrupt()
                ran += 1
        return ran

    def wait(self, timeout):
        if not self.woken and self.ready_next == self.ready_count:
            self._look(timeout)
        self.woken = False
        PyErr_CheckSignals()
        return 0

    def _look(self, timeout):
        """Fetches what is pending; waits for it up to `timeout` ns."""
        count: cython.int
        i: cython.int
        drained: cython.char[64]
        epoll: cython.int = self.epoll
        self.skipped = 0
        if timeout == 0:
            count = epoll_wait(epoll, self.ready, EVENTS, 0)
        else:
            if timeout > 0:
                self._arm(_monotonic() + cython.cast(uint64_t, timeout))
            self.sleeping = True
            with cython.nogil:
                count = epoll_wait(epoll, self.ready, EVENTS, -1)
            self.sleeping = False
        self.ready_next = self.ready_count = 0
        if count == -EINTR:
            return 0
        _check(count)
        for i in range(count):
            if self.ready[i].data.u64 == _WAKE:
                while read(self.pipe[0], drained, cython.sizeof(drained)) == cython.sizeof(drained):
                    pass
            elif self.ready[i].data.u64 == _TIMER:
                self.timer_at = 0
            else:
                if not self.ready[i].events & EPOLLIN:
                    self._let_go(self.ready[i].data.u64)
                self.ready[self.ready_count] = self.ready[i]
                self.ready_count += 1
        return 0

    def _arm(self, deadline):
        if deadline > _LONGEST:
            deadline = _LONGEST
        if self.timer_at == 0 or deadline < self.timer_at:
            _check(timer_arm(self.timer, deadline))
            self.timer_at = deadline
        return 0

    def _let_go(self, name):
        """An error that nobody can read would be told for ever."""
        for descriptor, its_name in self.descriptors.items():
            if its_name == name:
                epoll_remove(self.epoll, descriptor)
        return 0
