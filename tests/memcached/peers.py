"""What a server answers to the bytes of one connection: by the kernel's sockets, or on the memory wire."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.memcached.compare import Ask
from tests.memcached.debian import debian
from tests.support.appliances import Served, appliance, served


class KernelPeer:
    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.address = host, port

    def ask(self, script: bytes) -> bytes:
        """The end of what is sent makes the server close when all is answered: no time is waited for."""
        received = bytearray()
        with socket.create_connection(self.address, timeout=20) as connection:
            try:
                connection.sendall(script)
                connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError, OSError):
                pass  # it closed before it had read all
            try:
                while piece := connection.recv(1 << 16):
                    received += piece
            except ConnectionResetError:
                pass
        return bytes(received)

    @contextmanager
    def connection(self) -> Iterator[Ask]:
        with socket.create_connection(self.address, timeout=20) as connection:

            def ask(data: bytes, until: bytes) -> bytes:
                received = b""
                try:
                    connection.sendall(data)
                    while not received.endswith(until) and (piece := connection.recv(1 << 16)):
                        received += piece
                except (BrokenPipeError, ConnectionResetError):
                    pass
                return received

            yield ask


class WirePeer:
    def __init__(self, running: Served) -> None:
        self.running = running

    def ask(self, *pieces: bytes) -> bytes:
        """Each piece is a segment, and answered before the next."""
        return self.running.ask(*pieces)

    @contextmanager
    def connection(self) -> Iterator[Ask]:
        client = self.running.connect()

        def ask(data: bytes, until: bytes) -> bytes:
            self.running.send(client, data)
            received, client.received = client.received, b""
            return received

        yield ask
        if not client.ended:
            with self.running.client.core:
                client.close()
            self.running.simulation.run_until(lambda: client.ended, within=10**10)


@contextmanager
def debian_and_ours(
    build: str, options: tuple[str, ...] = (), debians: tuple[str, ...] = ()
) -> Iterator[tuple[KernelPeer, WirePeer]]:
    """Both started with the options, Debian's with some of its own and in the network namespace of the caller."""
    with debian(11311, *options, *debians) as port, served(appliance("memcached", build), options) as running:
        yield KernelPeer(port), WirePeer(running)
