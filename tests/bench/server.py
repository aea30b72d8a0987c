"""A small memcached in Python for the load generator's tests: one thread, any sockets, and it does as it is told."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEADER = struct.Struct(">BBHBBHIIQ")
FRAME = struct.Struct(">HHHH")


class Server:
    """Keeps values for ever. `change` sees each reply and gives what is sent instead, in pieces."""

    def __init__(self, change: Callable[[bytes], list[bytes]] = lambda reply: [reply]) -> None:
        self.change = change
        self.values: dict[bytes, bytes] = {}
        self.keys: set[bytes] = set()
        self.expiries: list[bytes] = []
        self.gets = 0
        self.sets = 0
        self.stalls: dict[int, float] = {}
        """Before it answers the n-th request it sleeps so long."""
        self.silent_from = 1 << 60
        """The request from which on nothing is answered."""
        self.ends: dict[int, int] = {}
        """Instead of answering the n-th request it closes so many connections."""
        self.asked: dict[socket.socket, int] = {}
        """Requests by connection."""
        self.failure = b""
        """What sets are answered with instead of being stored."""
        self.requests = 0
        self._selector = selectors.DefaultSelector()
        self._ended = False
        self._pending: dict[socket.socket, bytes] = {}

    def add(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._pending[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def listen(self, port: int) -> None:
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._selector.register(listener, selectors.EVENT_READ, "listener")

    def bind(self, port: int) -> None:
        self.add(datagrams := socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", port))

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._ended = True
            thread.join()
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.02):
                if key.data == "listener":
                    self.add(key.fileobj.accept()[0])  # type: ignore[union-attr]
                else:
                    self._readable(key.fileobj)  # type: ignore[arg-type]

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._pending.pop(connection)
        connection.close()

    def _readable(self, connection: socket.socket) -> None:
        if connection not in self._pending:
            return  # was closed in this round
        if connection.type == socket.SOCK_DGRAM:
            data, peer = connection.recvfrom(65536)
            request, _, _, _ = FRAME.unpack_from(data)
            reply = b"".join(self._replies(connection, data[8:])[0])
            for piece in self.change(FRAME.pack(request, 0, 1, 0) + reply) if reply else []:
                if peer:
                    connection.sendto(piece, peer)
                else:
                    connection.send(piece)
            return
        try:
            got = connection.recv(1 << 20)
        except ConnectionError:
            got = b""
        if not got:
            return self._drop(connection)
        replies, self._pending[connection] = self._replies(connection, self._pending[connection] + got)
        if count := self.ends.pop(self.requests, 0):
            for one in [connection, *(other for other in self._pending if other != connection)][:count]:
                self._drop(one)
            return
        for reply in replies:
            for piece in self.change(reply):
                try:
                    connection.sendall(piece)
                except ConnectionError:
                    return self._drop(connection)

    def _replies(self, connection: socket.socket, data: bytes) -> tuple[list[bytes], bytes]:
        """Of all whole requests, and the rest."""
        replies = []
        while data:
            whole = self._binary(data) if data[:1] == b"\x80" else self._text(data)
            if whole is None:
                break
            reply, data = whole
            self.requests += 1
            self.asked[connection] = self.asked.get(connection, 0) + 1
            if pause := self.stalls.get(self.requests):
                time.sleep(pause)
            if self.requests < self.silent_from:
                replies.append(reply)
        return replies, data

    def _text(self, data: bytes) -> tuple[bytes, bytes] | None:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            return None
        words = line.split(b" ")
        if words[0] == b"get":
            self.gets += len(words) - 1
            found = [(key, self.values[key]) for key in words[1:] if key in self.values]
            return b"".join(b"VALUE %b 0 %d\r\n%b\r\n" % (key, len(v), v) for key, v in found) + b"END\r\n", rest
        name, key, _, expiry, length = words
        assert name == b"set", line
        size = int(length)
        if len(rest) < size + 2:
            return None
        assert rest[size : size + 2] == b"\r\n"
        self._set(key, rest[:size], expiry)
        return self.failure or b"STORED\r\n", rest[size + 2 :]

    def _binary(self, data: bytes) -> tuple[bytes, bytes] | None:
        if len(data) < 24:
            return None
        _, command, key_length, extras, _, _, body, opaque, _ = HEADER.unpack_from(data)
        if len(data) < 24 + body:
            return None
        key = data[24 + extras : 24 + extras + key_length]
        value = b""
        status = 0
        if command == 0:
            self.gets += 1
            status = key not in self.values
            value = b"Not found" if status else b"\0\0\0\0" + self.values[key]
        else:
            assert (command, extras) == (1, 8)
            expiry = struct.unpack_from(">I", data, 28)[0]
            self._set(key, data[24 + extras + key_length : 24 + body], b"%d" % expiry)
            if self.failure:
                status, value = 0x82, b"Out of memory"
        reply = HEADER.pack(0x81, command, 0, 4 * (not command and not status), 0, status, len(value), opaque, 1)
        return reply + value, data[24 + body :]

    def _set(self, key: bytes, value: bytes, expiry: bytes) -> None:
        self.sets += 1
        self.keys.add(key)
        if expiry != b"0":
            self.expiries.append(expiry)
        if not self.failure:
            self.values[key] = value
