"""memcached on the kernel's sockets: an asyncio.Protocol around the same sessions, parser and store, uncompiled.

    python -m bench.compare.asyncio_server -l 127.0.0.1 [memcached's options]

Received bytes become a chain by reference; a reply is written from its one copy, or, where it is large, from the views
(which Python 3.12 and later give to sendmsg, and 3.11 joins). Turns of the event manager only tell the time. Cyclic
garbage collection is off, as in a node that is loaded.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from netapp.cli.find import find_appliance
from netapp.cli.run import appliance_options
from netapp.drivers.memory import MemoryWire
from netapp.event.virtual import VirtualInterrupts
from netapp.hosted.platform import MonotonicClock, RealWallClock, SystemEntropy
from netapp.iobuf.chain import Chain
from netapp.net.config import InterfaceConfig
from netapp.node.appliance import Appliance
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.platform import Platform
from netapp.tcp.connection import SendQueueFull

LARGE = 1 << 16  # bytes of a reply
TICK = 0.1  # s between turns


class SocketConnection(asyncio.Protocol):
    """What a session takes for its connection, and asyncio for its protocol."""

    transport: asyncio.Transport
    session: Any

    def __init__(self, make_session: Callable[[SocketConnection], Any], transports: set[asyncio.Transport]) -> None:
        self.make_session = make_session
        self.transports = transports
        self.receiving = self.full = self.paused = False

    # --- asyncio's callbacks -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transports.add(self.transport)
        self.session = self.make_session(self)
        self.session.connected()

    def data_received(self, data: bytes) -> None:
        chain = Chain()
        chain.append(data)
        self.receiving = True
        try:
            self.session.receive(chain)
        finally:
            self.receiving = False

    def eof_received(self) -> bool:
        self.session.peer_closed()
        return True  # the session closes

    def pause_writing(self) -> None:
        self.full = True
        self._flow()

    def resume_writing(self) -> None:
        self.full = False
        self._flow()
        # Later: a transport that is closed within this call ends twice (Python 3.11).
        asyncio.get_running_loop().call_soon(self.session.writable)

    def connection_lost(self, error: Exception | None) -> None:
        self.transports.discard(self.transport)
        self.session.closed(error)

    # --- the session's calls -------------------------------------------------------------------------------------

    def send(self, data: Chain | bytes) -> None:
        if self.full and not self.receiving:
            raise SendQueueFull(self.transport.get_write_buffer_size())
        if not isinstance(data, Chain):
            self.transport.write(data)
        elif data.length < LARGE:
            self.transport.write(data.tobytes())
            data.clear()
        else:
            self.transport.writelines([memoryview(view) for view in data])
            data.clear()

    def keepalive(self) -> None:
        pass

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def pause(self) -> None:
        self.paused = True
        self._flow()

    def resume(self) -> None:
        self.paused = False
        self._flow()

    def _flow(self) -> None:
        if self.transport.is_closing():
            return
        if self.paused or self.full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


def on_sockets(session: Any) -> type[Any]:
    """The session's class, with a SocketConnection for a connection."""

    class SocketSession(session):
        connection: Any = None  # hides the handler's, which only the stack sets

        def send(self, data: Chain | bytes) -> None:
            self.connection.send(data)

        def close(self) -> None:
            self.connection.close()

        def abort(self) -> None:
            self.connection.abort()

        def pause(self) -> None:
            self.connection.pause()

        def resume(self) -> None:
            self.connection.resume()

        def wait_turn(self) -> None:
            self.worker.yields += 1
            self.pause()
            asyncio.get_running_loop().call_soon(self.go_on)

    return SocketSession


class Listening:
    """Stands for the stack's TCP: what the appliance listens on is a socket of the kernel's."""

    def __init__(self) -> None:
        self.wanted: list[tuple[int, Callable[[], SocketConnection], str, int]] = []
        self.transports: set[asyncio.Transport] = set()

    def listen(self, port: int, factory: partial[Any], address: str = "", backlog: int = 128) -> None:
        kind = on_sockets(factory.func)

        def make_session(connection: SocketConnection) -> Any:
            made = kind(*factory.args)
            made.connection = connection
            return made

        protocol = partial(SocketConnection, make_session, self.transports)
        self.wanted.append((port, protocol, address, backlog))


def socket_appliance(found: type[Appliance]) -> type[Appliance]:
    class SocketAppliance(found):  # type: ignore[valid-type, misc]
        sockets = Listening()

        @property
        def tcp(self) -> Listening:
            return self.sockets

    return SocketAppliance


async def serve(node: Node, sockets: Listening) -> None:
    """Until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    servers = [
        await loop.create_server(protocol, address or None, port, backlog=backlog)
        for port, protocol, address, backlog in sockets.wanted
    ]
    while not ended.is_set():
        node.turn()
        try:
            await asyncio.wait_for(ended.wait(), TICK)
        except TimeoutError:
            pass
    for server in servers:
        server.close()
    for transport in list(sockets.transports):
        transport.abort()
    await asyncio.sleep(0)


def main(arguments: list[str]) -> None:
    found = socket_appliance(find_appliance("memcached", uncompiled=True))
    options = appliance_options(found, arguments)
    if options is None:
        return
    platform = Platform(MonotonicClock(), RealWallClock(), SystemEntropy(), VirtualInterrupts())
    appliance: Any = found(options)
    # A node wants a device; this one leads nowhere.
    node = Node(platform, MemoryWire().a, appliance, NodeConfig(interfaces=(InterfaceConfig(announce=False),), spin=0))
    with node, node.core:
        gc.freeze()
        gc.disable()
        asyncio.run(serve(node, appliance.sockets))


if __name__ == "__main__":
    main(sys.argv[1:])
