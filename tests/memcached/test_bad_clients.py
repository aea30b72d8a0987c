"""Debian's memcached answers bad clients as tests/memcached/bad.py says, and ours as it does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bench.debian import NotFetched, fetched
from tests.memcached.bad import BAD, Bad
from tests.memcached.debian import debian
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

PORT = 11311
QUIET = 0.05  # seconds in which nothing more comes: it is answered as soon as it was read


@pytest.fixture(scope="module", autouse=True)
def memcached() -> Iterator[None]:
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))
    with network_namespace(), debian(PORT):
        yield


class Talk:
    """A connection over the loopback."""

    def __init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=20)
        self.received = bytearray()
        self.closed = False

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it closed before it had read all

    def read(self, length: int) -> None:
        """So much, or what there is when nothing more comes."""
        while not self.closed:
            self.socket.settimeout(QUIET if len(self.received) >= length else 5)
            try:
                piece = self.socket.recv(1 << 16)
            except TimeoutError:
                return
            except ConnectionResetError:
                piece = b""
            self.received += piece
            self.closed = not piece

    def end(self) -> None:
        """Both ways, so that one who still sends learns of it; the descriptor stays his until close()."""
        with suppress(OSError):  # the server was first
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.socket.close()


def answer(bad: Bad) -> tuple[bytes, bool]:
    talk = Talk()
    sending = threading.Thread(target=talk.send, args=(bad.script,))
    sending.start()
    if bad.closes:
        talk.read(1 << 62)
    else:
        sending.join(20)
        talk.read(len(bad.answer))
    talk.end()
    sending.join()
    talk.close()
    return bytes(talk.received), talk.closed


@pytest.mark.parametrize("name", BAD)
def test_debians_answers(name: str) -> None:
    good = Talk()
    good.send(b"flush_all\r\n")
    good.read(4)
    assert answer(BAD[name]) == (BAD[name].answer, BAD[name].closes)
    good.send(b"version\r\n")
    good.read(20)
    assert good.received == b"OK\r\nVERSION 1.6.18\r\n"
    good.close()
