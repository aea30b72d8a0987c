"""Our stack, in this process on the memory wire."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from netapp.tcp.config import SECOND, TcpConfig
from netapp.tcp.handler import TcpHandler
from tests.differential.peer import Peer, sent_text
from tests.differential.sides import Seen
from tests.support.stack import OURS, THEIRS, Recorder, Stack, stack

_HOUR = 3600 * SECOND
_ERRORS: dict[type[BaseException], str] = {
    ConnectionResetError: "reset",
    ConnectionRefusedError: "refused",
    ConnectionAbortedError: "aborted",
}


def config(receive_window: int) -> TcpConfig:
    """Nothing is retransmitted or given up by time; acknowledgments hardly wait."""
    return TcpConfig(
        receive_window=receive_window,
        minimum_rto=_HOUR,
        initial_rto=_HOUR,
        maximum_rto=_HOUR,
        delayed_ack=1,
        time_wait=_HOUR,
        fin_wait_2=_HOUR,
    )


class Program(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.written = 0


class Ours:
    def __init__(self, made: Stack, port: int, peer_port: int, isn: int) -> None:
        self.stack = made
        self.made: list[Program] = []
        self.peer = Peer(_packed(THEIRS), peer_port, _packed(OURS), port, isn)
        self.key = ((OURS, port), (THEIRS, peer_port))
        self.ethernet = made.wire.a.mac + made.end.mac + b"\x08\x00"

    def deliver(self, packet: bytes) -> None:
        self.stack.send_frame(self.ethernet + packet)

    def call(self, name: str, length: int) -> str:
        if name == "listen":
            self.stack.tcp.listen(self.peer.to_port, self._program)
            return ""
        if name == "connect":
            self.stack.tcp.connect(THEIRS, self.peer.port, self._program, local_port=self.peer.to_port)
            return ""
        if not self.made:
            return "no connection"
        program = self.made[-1]
        if name in ("pause", "resume"):
            if program.connection is not None:
                getattr(program, name)()
            return ""
        if program.connection is None or program.connection.state_name in ("CLOSED", "TIME_WAIT"):
            return "no connection"  # for the kernel's program both are closed
        try:
            if name == "write":
                program.send(sent_text(program.written, length))
                program.written += length
            else:
                getattr(program, name)()
        except ConnectionError:
            return "refused"
        return ""

    def _program(self) -> TcpHandler:
        self.made.append(Program())
        return self.made[-1]

    def sent(self) -> list[bytes]:
        found = self.stack.frames()
        # Delayed acknowledgments go out; the second of the limit on challenges is over (RFC 5961, 7).
        self.stack.advance(SECOND)
        found += self.stack.frames()
        return [frame[14 : 14 + struct.unpack_from("!H", frame, 16)[0]] for frame in found]

    def programs(self) -> tuple[Seen, ...]:
        return tuple(map(_seen, self.made))

    def state(self) -> str:
        states = [
            connection.state_name
            for connection in self.stack.tcp.connections()
            if (connection.local, connection.remote) == self.key
        ]
        return states[0] if states else "CLOSED"


def _packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def _seen(program: Program) -> Seen:
    ended = "peer_closed" in program.calls or ("closed" in program.calls and program.error is None)
    return Seen(program.data, ended, _ERRORS.get(type(program.error), "") if program.error else "")


@contextmanager
def ours(receive_window: int, port: int, peer_port: int, isn: int) -> Iterator[Ours]:
    """A stack of its own: on the way out nothing may have been raised, and nothing be left."""
    with stack(config(receive_window), pool=4 << 20, reserve=1 << 18) as made:
        side = Ours(made, port, peer_port, isn)
        yield side
        for program in side.made:
            # One that has not read to the end has not heard of it.
            if program.connection is not None:
                program.resume()
        made.core.settle()
