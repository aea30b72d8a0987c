"""A small virtual machine that is asked for more than it has memory for goes on to serve."""

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netapp.native.image.build import Image
from tests.support.command import Running, program
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

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
