"""A listening port."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.netapp.net.address import format_address
from cython.cimports.netapp.tcp.connection import SYN_RECEIVED, Connection
from cython.cimports.netapp.tcp.receive import reset


class Listener:
    def close(self):
        connection: Connection
        if self.tcp is None:
            return
        waiting: list = [c for c in self.tcp.connections() if _half_open_of(c, self)]
        bound: list = self.tcp.listeners[self.port]
        bound.remove(self)
        if not bound:
            del self.tcp.listeners[self.port]
        self.tcp = None
        for connection in waiting:
            reset(connection, ConnectionAbortedError("the listener was closed"))

    def __repr__(self):
        any_of_ours: bool = self.address.low == 0 and self.address.high == 0
        return f"<Listener {'*' if any_of_ours else format_address(self.address)}:{self.port}>"


def _half_open_of(connection: Connection, listener: Listener):
    return connection.state == SYN_RECEIVED and connection.listener is listener
