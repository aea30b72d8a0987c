"""Sockets of the script's calls, on the handler API: received data waits in the stack, which shrinks the window as a
socket's buffer would, until the script reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netapp.iobuf.chain import Chain
from netapp.tcp.connection import Connection
from netapp.tcp.handler import TcpHandler

ERRNO: dict[type[BaseException], str] = {
    ConnectionResetError: "ECONNRESET",
    ConnectionRefusedError: "ECONNREFUSED",
    ConnectionAbortedError: "ECONNABORTED",
    TimeoutError: "ETIMEDOUT",
}


SECOND, MILLISECOND = 1_000_000_000, 1_000_000


@dataclass
class Settings:
    """What setsockopt() asked for, as Linux says it; connections that a listener accepts begin with the listener's."""

    nodelay: int = 1  # Nagle's algorithm is off unless asked for
    user_timeout: int = 0  # ms
    keepalive: int = 0
    idle: int = 7200  # s
    interval: int = 75
    count: int = 9

    def apply(self, connection: Connection, name: str) -> None:
        if name == "nodelay":
            connection.nagle = not self.nodelay
        elif name == "user_timeout":
            connection.user_timeout = self.user_timeout * MILLISECOND
        else:
            connection.keepalive(self.idle * SECOND if self.keepalive else 0, self.interval * SECOND, self.count)

    def apply_all(self, connection: Connection) -> None:
        if not self.nodelay:
            self.apply(connection, "nodelay")
        if self.user_timeout:
            self.apply(connection, "user_timeout")
        if self.keepalive:
            self.apply(connection, "keepalive")


class Stream(TcpHandler):
    """One connection. The handler is paused but while somebody reads; a read takes all that the stack has."""

    def __init__(
        self, when_connected: Callable[[Stream], None] | None = None, settings: Settings | None = None
    ) -> None:
        self.when_connected = when_connected
        self.settings = settings  # of the listener
        self.urgent_told: list[int] = []  # what urgent() said
        self.delays = 0  # calls of delivery_delayed()
        self.established = False
        self.finished = False  # closed() was called
        self.end_of_stream = False
        self.shut = False  # for writing
        self.discards = False  # close() was called: nobody will read
        self.error: str | None = None  # errno's name; once told it is forgotten, as by a socket
        self.local_port = self.remote_port = 0
        self.received = bytearray()
        self.read_bytes = 0
        self.sent = bytearray()

    def connected(self) -> None:
        self.established = True
        self.local_port, self.remote_port = self.connection.local[1], self.connection.remote[1]
        if not self.discards:
            self.pause()
        if self.settings is not None:
            self.settings.apply_all(self.connection)
        if self.when_connected is not None:
            self.when_connected(self)
            self.when_connected = None

    def receive(self, data: Chain) -> None:
        if not self.discards:
            self.received += bytes(data)
            self.pause()

    def peer_closed(self) -> None:
        self.end_of_stream = True

    def urgent(self, left: int) -> None:
        self.urgent_told.append(left)

    def delivery_delayed(self) -> None:
        self.delays += 1

    def closed(self, error: BaseException | None) -> None:
        self.finished = True
        self.end_of_stream = True
        self.when_connected = None
        if error is not None:
            self.error = ERRNO.get(type(error), type(error).__name__)

    def take_error(self) -> str | None:
        error, self.error = self.error, None
        return error

    # --- for calls ---------------------------------------------------------------------------------------------------

    def fetch(self, settle: Callable[[], None]) -> None:
        """Takes what the stack has. Where that is nothing, what arrives next will be taken: somebody waits for it."""
        if not self.received and not self.finished:
            self.resume()
            settle()

    def read(self, count: int) -> bytes:
        data = bytes(self.received[:count])
        del self.received[:count]
        self.read_bytes += len(data)
        return data

    def close_both(self, with_reset: bool) -> None:
        """close(2): our API closes the sending side; what still comes is read and dropped."""
        self.discards = True
        self.received.clear()
        if with_reset:
            self.abort()
        else:
            self.close()
            self.resume()


class Socket:
    """A file descriptor of the script."""

    def __init__(self) -> None:
        self.port = 0  # bound
        self.nonblocking = False
        self.linger_reset = False
        self.settings = Settings()
        self.stream: Stream | None = None
        self.listener: Any = None
        self.waiting: list[Stream] = []  # accepted by the stack, not by the script

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()
            for stream in self.waiting:
                stream.abort()
            self.waiting.clear()
        if self.stream is not None:
            self.stream.close_both(self.linger_reset)
