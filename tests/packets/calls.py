"""System calls on the handler API. Each returns its result, or BLOCKS when it cannot yet: it is then asked again."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

from netapp.tcp.connection import SendQueueFull
from tests.packets.configuration import Configuration
from tests.packets.datagrams import DatagramSocket
from tests.packets.errors import Failed, Refused
from tests.packets.flows import Flows
from tests.packets.host import Host
from tests.packets.script import Anything, Call, Expression, Struct, Word
from tests.packets.sockets import ERRNO, Socket, Stream
from tests.packets.text import pattern
from tests.packets.values import SocketAddress, number, show, socket_address, symbol, vector_length


@dataclass(frozen=True)
class Result:
    value: int
    errno: str | None = None
    data: bytes | None = None  # that was read

    def __str__(self) -> str:
        return f"{self.value} {self.errno}" if self.errno else str(self.value)


BLOCKS = None
Outcome = Result | None

# What OSErrors of the API mean, by how their texts begin: they carry no number.
_OS_ERRORS = {
    "no route": "ENETUNREACH",
    "no local port": "EADDRNOTAVAIL",
    "too many": "ENOBUFS",
    "port ": "EADDRINUSE",
}
_IGNORED_OPTIONS = {
    # No port is held by connections that have ended, and nothing is coalesced unless asked for.
    (socket.SOL_SOCKET, socket.SO_REUSEADDR): (0, 1),
    # Urgent data is part of the stream.
    (socket.SOL_SOCKET, socket.SO_OOBINLINE): (1,),
}
# The attributes of Settings.
_SETTINGS = {
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): "nodelay",
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): "keepalive",
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): "idle",
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): "interval",
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): "count",
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): "user_timeout",
}


_ANYTHING = Anything()
_NOWHERE = SocketAddress("0.0.0.0", 0)


def _error(name: str) -> Result:
    return Result(-1, name)


class Calls:
    def __init__(self, host: Host, flows: Flows, configuration: Configuration) -> None:
        self.host = host
        self.flows = flows
        self.configuration = configuration
        self.sockets: dict[int, Socket] = {}
        self.literal = False  # the script gave texts of its own: reads are not held against the pattern
        self.last: Stream | None = None  # for code

    def begin(self, line: int, call: Call) -> Callable[[], Outcome]:
        """What to ask, now and again, for the call's outcome."""
        method = getattr(self, f"call_{call.name}", None)
        if method is None:
            raise Refused(line, f"system call {call.name}(): nothing here corresponds to it")
        arguments = call.arguments

        def once() -> Outcome:
            try:
                outcome: Outcome = method(line, call, *arguments)
            except TypeError as error:
                if "positional argument" in str(error):
                    raise Refused(line, f"{call.name}() with {len(arguments)} arguments") from None
                raise
            return outcome

        return once

    # --- descriptors -------------------------------------------------------------------------------------------------

    def _of(self, line: int, descriptor: Expression) -> Socket:
        fd = number(line, descriptor)
        if fd not in self.sockets:
            raise Failed(line, f"bad descriptor {fd}: the script has no such socket open")
        return self.sockets[fd]

    def _stream(self, line: int, descriptor: Expression) -> tuple[Socket, Stream | None]:
        found = self._of(line, descriptor)
        self.last = found.stream or self.last
        return found, found.stream

    def _new(self, line: int, call: Call, made: Socket) -> Result:
        """The script's own number is the descriptor's: its result says which."""
        fd = number(line, call.result)
        if fd < 0 or fd in self.sockets:
            raise Failed(line, f"{call.name}() succeeded, and {fd} cannot be its descriptor")
        self.sockets[fd] = made
        return Result(fd)

    def call_socket(self, line: int, call: Call, family: Expression, kind: Expression, protocol: Expression) -> Outcome:
        wanted = number(line, kind)
        if not isinstance(family, Anything) and number(line, family) != socket.AF_INET:
            raise Refused(line, f"socket({show(family)}): the stack has IPv4 only")
        kinds: dict[int, Callable[[], Socket]] = {
            socket.SOCK_STREAM: Socket,
            socket.SOCK_DGRAM: lambda: DatagramSocket(self.host.udp),
        }
        make = kinds.get(wanted & ~socket.SOCK_NONBLOCK & ~socket.SOCK_CLOEXEC)
        if make is None:
            raise Refused(line, f"socket({show(kind)}): the handler API has TCP and UDP only")
        made = make()
        made.nonblocking = bool(wanted & socket.SOCK_NONBLOCK)
        return self._new(line, call, made)

    def call_fcntl(self, line: int, call: Call, fd: Expression, command: Expression, value: Expression = 0) -> Outcome:
        found = self._of(line, fd)
        wanted = number(line, command)
        if wanted == fcntl.F_GETFL:
            return Result(os.O_RDWR | (os.O_NONBLOCK if found.nonblocking else 0))
        if wanted == fcntl.F_SETFL:
            found.nonblocking = bool(number(line, value) & os.O_NONBLOCK)
            return Result(0)
        raise Refused(line, f"fcntl {show(command)}: nothing here corresponds to it")

    def call_close(self, line: int, call: Call, fd: Expression) -> Outcome:
        found, _ = self._stream(line, fd)
        del self.sockets[number(line, fd)]
        found.close()
        return Result(0)

    def call_abort(self, line: int, call: Call, fd: Expression) -> Outcome:
        """The ABORT call (RFC 9293, 3.9.1), which no socket has, but our API."""
        _, stream = self._stream(line, fd)
        if stream is None or stream.finished:
            return _error("ENOTCONN")
        stream.abort()
        return Result(0)

    def call_shutdown(self, line: int, call: Call, fd: Expression, how: Expression) -> Outcome:
        if number(line, how) != socket.SHUT_WR:
            raise Refused(line, f"shutdown {show(how)}: the handler API closes the sending side only")
        _, stream = self._stream(line, fd)
        if stream is None or stream.finished or not stream.established:
            return _error("ENOTCONN")
        stream.shut = True
        stream.close()
        return Result(0)

    # --- options -----------------------------------------------------------------------------------------------------

    def call_setsockopt(
        self,
        line: int,
        call: Call,
        fd: Expression,
        level: Expression,
        name: Expression,
        value: Expression,
        size: Expression,
    ) -> Outcome:
        found = self._of(line, fd)
        option = number(line, level), number(line, name)
        if option == (socket.SOL_SOCKET, socket.SO_LINGER) and isinstance(value, Struct):
            on, time = number(line, value.fields["onoff"]), number(line, value.fields["linger"])
            if on and time:
                raise Refused(line, "setsockopt SO_LINGER with a time: no close of the handler API waits")
            found.linger_reset = bool(on)
            return Result(0)
        if option == (socket.SOL_SOCKET, socket.SO_BROADCAST) and isinstance(found, DatagramSocket):
            if found.handler is not None:
                raise Refused(line, "setsockopt SO_BROADCAST of a bound socket: bind() and connect() of the API say it")
            found.broadcast = bool(number(line, value[0] if isinstance(value, list) else value))
            return Result(0)
        wanted = value[0] if isinstance(value, list) and len(value) == 1 else value
        if option in _SETTINGS:
            setattr(found.settings, _SETTINGS[option], number(line, wanted))
            if found.stream is not None and found.stream.connection is not None:
                try:
                    found.settings.apply(found.stream.connection, _SETTINGS[option])
                except ValueError as error:
                    raise Refused(line, f"setsockopt {show(name)} = {show(wanted)}: {error}") from None
            return Result(0)
        if option not in _IGNORED_OPTIONS or number(line, wanted) not in _IGNORED_OPTIONS[option]:
            raise Refused(line, f"setsockopt {show(name)} = {show(wanted)}: the handler API has nothing for it")
        return Result(0)

    def call_getsockopt(
        self,
        line: int,
        call: Call,
        fd: Expression,
        level: Expression,
        name: Expression,
        value: Expression,
        size: Expression,
    ) -> Outcome:
        option = number(line, level), number(line, name)
        if option != (socket.SOL_SOCKET, socket.SO_ERROR):
            raise Refused(line, f"getsockopt {show(name)}: the handler API has nothing for it")
        of, stream = self._stream(line, fd)
        told = of.handler if isinstance(of, DatagramSocket) else stream
        error = told.take_error() if told is not None else None
        if not isinstance(value, list) or len(value) != 1:
            raise Refused(line, f"getsockopt: [value] is wanted, not {show(value)}")
        actual = symbol(line, error) if error else 0
        if not isinstance(value[0], Anything) and number(line, value[0]) != actual:
            raise Failed(line, f"bad getsockopt value: expected: {show(value[0])} actual: {error or 0}")
        return Result(0)

    # --- opening -----------------------------------------------------------------------------------------------------

    def call_bind(self, line: int, call: Call, fd: Expression, address: Expression, _: Expression) -> Outcome:
        default = SocketAddress("0.0.0.0", self.configuration.bind_port)
        found = socket_address(line, address, default)
        if found.address not in ("0.0.0.0", self.configuration.local_ip):
            return _error("EADDRNOTAVAIL")
        bound = self._of(line, fd)
        if isinstance(bound, DatagramSocket):
            try:
                bound.bind(found.port)
            except OSError as error:
                return _error(_errno(error))
            self.flows.listening_port = found.port
        bound.port = found.port
        return Result(0)

    def call_listen(self, line: int, call: Call, fd: Expression, backlog: Expression) -> Outcome:
        found = self._of(line, fd)

        def make() -> Stream:
            return Stream(found.waiting.append, replace(found.settings))

        try:
            found.listener = self.host.tcp.listen(found.port, make, backlog=number(line, backlog))
        except OSError as error:
            return _error(_errno(error))
        self.flows.listening_port = found.port
        return Result(0)

    def call_accept(self, line: int, call: Call, fd: Expression, address: Expression, _: Expression) -> Outcome:
        found = self._of(line, fd)
        if found.listener is None:
            return _error("EINVAL")
        if not found.waiting:
            return _error("EAGAIN") if found.nonblocking else BLOCKS
        made = Socket()
        made.stream = stream = found.waiting.pop(0)
        made.settings = stream.settings or made.settings
        self.last = stream
        self.flows.of_ports(stream.remote_port, stream.local_port).sent = stream.sent
        return self._new(line, call, made)

    def call_accept4(
        self, line: int, call: Call, fd: Expression, address: Expression, length: Expression, flags: Expression
    ) -> Outcome:
        outcome = self.call_accept(line, call, fd, address, length)
        if outcome is not None and outcome.value >= 0:
            self.sockets[outcome.value].nonblocking = bool(number(line, flags) & socket.SOCK_NONBLOCK)
        return outcome

    def call_connect(self, line: int, call: Call, fd: Expression, address: Expression, _: Expression) -> Outcome:
        found, stream = self._stream(line, fd)
        default = SocketAddress(self.configuration.remote_ip, self.configuration.connect_port)
        if isinstance(found, DatagramSocket):
            to = socket_address(line, address, default)
            try:
                self.flows.connected(to.port, found.connect(to))
            except OSError as error:
                return _error(_errno(error))
            return Result(0)
        if stream is None:
            to = socket_address(line, address, default)
            made = Stream()
            try:
                connection = self.host.tcp.connect(to.address, to.port, lambda: made, local_port=found.port)
            except OSError as error:
                return _error(_errno(error))
            found.settings.apply_all(connection)
            found.stream = self.last = made
            self.flows.connected(to.port, connection.local[1]).sent = made.sent
            return _error("EINPROGRESS") if found.nonblocking else BLOCKS
        if stream.established:
            return _error("EISCONN") if found.nonblocking else Result(0)
        if stream.finished:
            return _error(stream.take_error() or "ECONNABORTED")
        return _error("EALREADY") if found.nonblocking else BLOCKS

    # --- reading -----------------------------------------------------------------------------------------------------

    def _receive(
        self, line: int, call: Call, found: DatagramSocket, buffer: Expression, count: int, address: Expression
    ) -> Outcome:
        """One datagram; what is longer than `count` is cut off."""
        name = found.handler.take_error() if found.handler is not None else None
        if name is not None:
            return _error(name)
        if found.handler is None or not found.handler.received:
            return _error("EAGAIN") if found.nonblocking else BLOCKS
        whole, source = found.handler.received.pop(0)
        data = whole[:count]
        expected = buffer.encode("latin-1") if isinstance(buffer, str) else None
        if expected is None and not self.literal:
            expected = pattern(0, len(data))
        if expected is not None and data != expected:
            raise Failed(line, f"bad data from {call.name}(): expected: {expected[:60]!r} actual: {data[:60]!r}")
        if socket_address(line, address, source) != source:
            raise Failed(line, f"bad address from {call.name}(): expected: {show(address)} actual: {source}")
        return Result(len(data), data=data)

    def call_read(self, line: int, call: Call, fd: Expression, buffer: Expression, count: Expression) -> Outcome:
        return self._read(line, call, fd, buffer, count, _ANYTHING)

    def _read(
        self, line: int, call: Call, fd: Expression, buffer: Expression, count: Expression, address: Expression
    ) -> Outcome:
        found, stream = self._stream(line, fd)
        if isinstance(found, DatagramSocket):
            return self._receive(line, call, found, buffer, number(line, count), address)
        if stream is None or not (stream.established or stream.finished):
            return _error("ENOTCONN")
        stream.fetch(self.host.settle)
        wanted = number(line, count)
        if stream.received:
            position = stream.read_bytes
            data = stream.read(wanted)
            expected = buffer.encode("latin-1") if isinstance(buffer, str) else None
            if expected is None and not self.literal:
                expected = pattern(position, len(data))
            if expected is not None and data != expected:
                raise Failed(line, f"bad data from {call.name}(): expected: {expected[:60]!r} actual: {data[:60]!r}")
            return Result(len(data), data=data)
        if stream.error is not None:
            return _error(stream.take_error() or "")
        if stream.end_of_stream:
            return Result(0)
        if found.nonblocking:
            stream.pause()
            return _error("EAGAIN")
        return BLOCKS

    def _pause(self, line: int, fd: Expression) -> None:
        _, stream = self._stream(line, fd)
        if stream is not None:
            stream.pause()

    def call_recv(
        self,
        line: int,
        call: Call,
        fd: Expression,
        buffer: Expression,
        count: Expression,
        flags: Expression,
        address: Expression = _ANYTHING,
    ) -> Outcome:
        wanted = number(line, flags)
        if wanted & ~socket.MSG_DONTWAIT:
            raise Refused(line, f"flags {show(flags)} of {call.name}(): the handler API has nothing for them")
        outcome = self._read(line, call, fd, buffer, count, address)
        if outcome is BLOCKS and wanted:
            self._pause(line, fd)
            return _error("EAGAIN")
        return outcome

    def call_recvfrom(
        self,
        line: int,
        call: Call,
        fd: Expression,
        buffer: Expression,
        count: Expression,
        flags: Expression,
        address: Expression,
        length: Expression,
    ) -> Outcome:
        return self.call_recv(line, call, fd, buffer, count, flags, address)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _send_datagram(self, found: DatagramSocket, data: bytes, to: SocketAddress | None) -> Outcome:
        name = found.handler.take_error() if found.handler is not None else None
        if name is not None:
            return _error(name)
        try:
            if not found.send(data, to):
                return _error("EAGAIN") if found.nonblocking else BLOCKS
        except OSError as error:
            return _error(_errno(error))
        return Result(len(data))

    def _put(
        self, line: int, fd: Expression, data: bytes | int, urgent: bool = False, to: SocketAddress | None = None
    ) -> Outcome:
        """`data`, or so many bytes of the pattern."""
        found, stream = self._stream(line, fd)
        if isinstance(found, DatagramSocket):
            return self._send_datagram(found, pattern(0, data) if isinstance(data, int) else data, to)
        if stream is None:
            return _error("EPIPE")
        if stream.error is not None:
            return _error(stream.take_error() or "")
        if stream.finished or stream.shut or stream.connection is None:
            return _error("EPIPE")
        text = pattern(len(stream.sent), data) if isinstance(data, int) else data
        if not text:
            return Result(0)
        try:
            if urgent:
                stream.connection.send_urgent(text)
            else:
                stream.send(text)
        except SendQueueFull:
            return _error("EAGAIN") if found.nonblocking else BLOCKS
        stream.sent += text
        return Result(len(text))

    def call_write(self, line: int, call: Call, fd: Expression, buffer: Expression, count: Expression) -> Outcome:
        return self._write(line, fd, buffer, count, urgent=False)

    def _write(
        self,
        line: int,
        fd: Expression,
        buffer: Expression,
        count: Expression,
        urgent: bool,
        to: SocketAddress | None = None,
    ) -> Outcome:
        size = number(line, count)
        return self._put(line, fd, buffer.encode("latin-1")[:size] if isinstance(buffer, str) else size, urgent, to)

    def call_send(
        self,
        line: int,
        call: Call,
        fd: Expression,
        buffer: Expression,
        count: Expression,
        flags: Expression,
        to: SocketAddress | None = None,
    ) -> Outcome:
        wanted = number(line, flags)
        if wanted & ~(socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT | socket.MSG_OOB):
            raise Refused(line, f"flags {show(flags)} of {call.name}(): the handler API has nothing for them")
        outcome = self._write(line, fd, buffer, count, urgent=bool(wanted & socket.MSG_OOB), to=to)
        return _error("EAGAIN") if outcome is BLOCKS and wanted & socket.MSG_DONTWAIT else outcome

    def call_sendto(
        self,
        line: int,
        call: Call,
        fd: Expression,
        buffer: Expression,
        count: Expression,
        flags: Expression,
        address: Expression,
        length: Expression,
    ) -> Outcome:
        if isinstance(address, Anything):
            to: SocketAddress | None = SocketAddress(self.configuration.remote_ip, self.configuration.connect_port)
        else:
            to = None if isinstance(address, Word) else socket_address(line, address, _NOWHERE)  # NULL
        return self.call_send(line, call, fd, buffer, count, flags, to)

    def call_writev(self, line: int, call: Call, fd: Expression, vector: Expression, count: Expression) -> Outcome:
        return self._put(line, fd, vector_length(line, vector))

    def call_sendmsg(self, line: int, call: Call, fd: Expression, message: Expression, flags: Expression) -> Outcome:
        if not isinstance(message, Struct) or "msg_iov" not in message.fields:
            raise Refused(line, f"sendmsg(): a msghdr is wanted, not {show(message)}")
        if "msg_control" in message.fields:
            raise Refused(line, "sendmsg() with msg_control: the handler API has nothing for it")
        if number(line, flags) & ~socket.MSG_NOSIGNAL:
            raise Refused(line, f"flags {show(flags)} of sendmsg(): the handler API has nothing for them")
        return self._put(line, fd, vector_length(line, message.fields["msg_iov"]))


def _errno(error: OSError) -> str:
    if error.errno is not None:
        return errno.errorcode[error.errno]
    for begin, name in _OS_ERRORS.items():
        if str(error).startswith(begin):
            return name
    return ERRNO.get(type(error), "EIO")
