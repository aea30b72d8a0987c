"""A virtual machine that serves sleeps whenever nothing is to be done, and wakes whenever something is."""

import os
import random
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netapp.native.image.build import Image
from tests.support.command import Running, program
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

# What is not noticed is noticed when the client's kernel sends again: after 200 ms at least.
NOTICED = 0.15


@pytest.fixture(params=("microvm", "q35"))  # by lines of an I/O APIC, by messages
def guest(request: pytest.FixtureRequest, image: Image, tmp_path: Path) -> Iterator[Running]:
    with network_namespace():
        boot = (sys.executable, "-m", "netapp.cli.main", "boot", str(image.path), "--machine", request.param)
        with program(tmp_path, *boot, "--memory", "64", ready="ends it") as running:
            yield running
            assert running.end(signal.SIGINT) == 0


def retransmitted() -> int:
    """Segments that this network namespace's TCP sent again."""
    names, values = (
        line.split() for line in Path("/proc/thread-self/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(values[names.index("RetransSegs")])


def processor_seconds(parent: int) -> float:
    """Of the machine that the process runs."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise AssertionError(f"{parent} runs no machine")


def test_idle_and_awake(guest: Running) -> None:
    time.sleep(0.5)
    before = processor_seconds(guest.process.pid)
    time.sleep(2)
    assert processor_seconds(guest.process.pid) - before < 0.03 * 2

    pauses = random.Random(7)
    slow = 0
    with socket.create_connection(("10.99.0.3", 11211), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(1500):
            began = time.monotonic()
            connection.sendall(b"get k\r\n")
            assert connection.recv(100) == b"END\r\n"
            slow += time.monotonic() - began > NOTICED
            # As long as it spins, as long as it takes to arm, and longer.
            time.sleep(pauses.choice((0, 0, 20e-6, 100e-6, 500e-6, 2e-3)) * pauses.random())
    # One that was late for other reasons is no lost wake-up: the same would come again and again.
    assert slow <= 2 and retransmitted() <= 2
    guest.end(signal.SIGINT)
    closing = re.search(r"interrupts (\d+)", guest.said().splitlines()[-1])
    assert closing and int(closing[1]) > 100
