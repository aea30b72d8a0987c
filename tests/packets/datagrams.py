"""Datagram sockets of the script's calls, on the handler API: what is received waits here until the script reads it."""

from __future__ import annotations

import errno
from typing import Any

from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.packets.sockets import Socket
from tests.packets.values import SocketAddress


class Waiting(UdpHandler):
    """Keeps datagrams and errors for the script. An error is told once, before what was received, as by a socket."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, SocketAddress]] = []
        self.error_name: str | None = None

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.received.append((bytes(datagram), SocketAddress(source.address, source.port)))

    def error(self, error: OSError, destination: Endpoint) -> None:
        # A socket without a peer is not told (its application could not say what the error is about).
        if self.socket.remote is not None and error.errno is not None:
            self.error_name = errno.errorcode[error.errno]

    def take_error(self) -> str | None:
        name, self.error_name = self.error_name, None
        return name


class DatagramSocket(Socket):
    """A file descriptor of the script, of SOCK_DGRAM."""

    def __init__(self, udp: Any) -> None:
        super().__init__()
        self.udp = udp
        self.broadcast = False
        self.handler: Waiting | None = None  # None: neither bound nor connected

    def bind(self, port: int) -> None:
        handler = Waiting()
        self.udp.bind(port, handler, broadcast=self.broadcast)
        self.handler = handler

    def connect(self, to: SocketAddress) -> int:
        """The local port."""
        port = self.handler.socket.local[1] if self.handler is not None else 0
        if self.handler is not None:
            self.handler.close()
        handler = Waiting()
        self.udp.connect(to.address, to.port, handler, local_port=port, broadcast=self.broadcast)
        self.handler = handler
        return int(handler.socket.local[1])

    def send(self, data: bytes, to: SocketAddress | None) -> bool:
        """False: the ring is full. OSError, with errno."""
        if self.handler is None:
            self.bind(0)
        assert self.handler is not None
        if to is None or self.handler.socket.remote is not None:
            return bool(self.handler.send(data))
        return bool(self.handler.send_to(data, to.address, to.port))

    def close(self) -> None:
        if self.handler is not None:
            self.handler.close()
