"""A small virtual machine that is asked for more than it has memory for goes on to serve."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from netapp.native.image.build import Image
from tests.support.command import Running, program
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

LARGE = 500_000
ADDRESS = ("10.99.0.3", 11211)


@pytest.fixture
def guest(image: Image, tmp_path: Path) -> Iterator[Running]:
    with network_namespace():
        boot = (sys.executable, "-m", "netapp.cli.main", "boot", str(image.path), "--memory", "40")
        with program(tmp_path, *boot, ready="ends it") as running:
            yield running
            assert running.end(signal.SIGINT) == 0
            assert "Error" not in running.said()


def test_connections_that_the_machine_closed_do_not_use_its_memory_up(guest: Running) -> None:
    """It is a minute in TIME-WAIT with each."""
    with socket.create_connection(ADDRESS, timeout=20) as stays:
        for _ in range(4000):
            with socket.create_connection(ADDRESS, timeout=20) as connection:
                connection.sendall(b"quit\r\n")
                assert connection.recv(10) == b""
        stays.sendall(b"version\r\n")
        assert stays.recv(100).startswith(b"VERSION")


def test_those_that_do_not_read_do_not_use_its_memory_up(guest: Running) -> None:
    """What is sent to them lies in the pool, but a list of its pieces for each of them does not."""
    value = bytes(range(250)) * 80
    with socket.create_connection(ADDRESS, timeout=60) as reads, ExitStack() as stack:
        replies = reads.makefile("rb")
        reads.sendall(b"set large 0 0 %d\r\n%b\r\n" % (LARGE, bytes(LARGE)))
        assert replies.readline() == b"STORED\r\n"
        for count in range(800):
            slow = stack.enter_context(socket.socket())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            slow.settimeout(60)
            slow.connect(ADDRESS)
            slow.sendall(b"get large\r\n" * 20)
            if count % 20 == 0:
                reads.sendall(b"set k 0 0 %d\r\n%b\r\nget k\r\n" % (len(value), value))
                assert replies.readline() == b"STORED\r\n"
                assert replies.readline() == b"VALUE k 0 %d\r\n" % len(value)
                assert replies.read(len(value) + 7) == value + b"\r\nEND\r\n"
        replies.close()
