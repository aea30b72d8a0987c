"""A listening port."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.netapp.net.address import format_address
from cython.cimports.netapp.tcp.connection import CLOSED, SYN_TIMED_OUT, Connection
from cython.cimports.netapp.tcp.receive import finish, reset
from cython.cimports.netapp.tcp.touched import touch


class Listener:
    def __cinit__(self):
        self.half_open = {}
        self.waiting = {}

    def close(self):
        connection: Connection
        if self.tcp is None:
            return
        bound: list = self.tcp.listeners[self.port]
        bound.remove(self)
        if not bound:
            del self.tcp.listeners[self.port]
        self.tcp = None
        for connection in [*self.half_open, *self.waiting]:
            reset(connection, ConnectionAbortedError("the listener was closed"))

    def pause(self):
        self.paused = True

    def resume(self):
        connection: Connection
        self.paused = False
        while self.waiting and not self.paused:
            connection = next(iter(self.waiting))
            self.established(connection)
            if connection.state != CLOSED:
                touch(connection)

    def is_full(self):
        return self.paused and len(self.waiting) >= self.backlog

    def make_room(self):
        oldest: Connection
        if len(self.half_open) < self.backlog:
            return True
        # One that did not answer in time gives way: a flood of SYNs then does not shut out those who answer.
        oldest = next(iter(self.half_open), None)
        if oldest is None or not oldest.flags & SYN_TIMED_OUT:
            return False
        self.tcp.counts.half_open_evicted += 1
        finish(oldest, None)
        return True

    def established(self, c):
        if self.paused:
            self.half_open.pop(c, None)
            self.waiting[c] = None
            return 0
        self.forget(c)
        c.listener = None
        self.tcp.counts.accepts += 1
        self.tcp.accept(c, self)
        return 0

    def forget(self, c):
        self.half_open.pop(c, None)
        self.waiting.pop(c, None)
        return 0

    @property
    def half_open_count(self) -> int:
        return len(self.half_open)

    @property
    def waiting_count(self) -> int:
        return len(self.waiting)

    def __repr__(self):
        any_of_ours: bool = self.address.low == 0 and self.address.high == 0
        return f"<Listener {'*' if any_of_ours else format_address(self.address)}:{self.port}>"
