"""A virtual machine that serves sleeps whenever nothing is to be done, and wakes whenever something is."""

import heapq
import os
import random
import re
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netapp.native.image.build import Image
from tests.support.command import Running, program, wait_for
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


class Load:
    """Requests over some connections, each of which has one under way, or pauses."""

    def __init__(self, connections: int, address: str = "10.99.0.3") -> None:
        self._pauses = random.Random(7)
        self._idle: list[tuple[float, int]] = []  # when the next request is due, and of which connection
        self._sent: dict[int, float] = {}
        self._selector = selectors.DefaultSelector()
        self._sockets = [socket.create_connection((address, 11211), timeout=10) for _ in range(connections)]
        for place, connection in enumerate(self._sockets):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ, place)
            self._idle.append((0.0, place))

    def run(self, requests: int) -> int:
        """How many of them were answered late."""
        late = done = 0
        while done < requests:
            now = time.monotonic()
            while self._idle and self._idle[0][0] <= now:
                place = heapq.heappop(self._idle)[1]
                self._sent[place] = time.monotonic()
                self._sockets[place].sendall(b"get k\r\n")
            # It does not sleep, so as not to be late itself; but for long pauses of all of them.
            wait = 0.0 if self._sent or not self._idle else self._idle[0][0] - now - 1e-3
            for key, _ in self._selector.select(max(wait, 0.0)):
                assert self._sockets[key.data].recv(100) == b"END\r\n"
                now = time.monotonic()
                late += now - self._sent.pop(key.data) > NOTICED
                # As long as the machine spins, as long as it takes to go to sleep, and longer.
                pause = self._pauses.choice((0, 0, 20e-6, 100e-6, 500e-6, 2e-3, 5e-3)) * self._pauses.random()
                heapq.heappush(self._idle, (now + pause, key.data))
                done += 1
        return late

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()
        self._selector.close()


def test_idle_and_awake(guest: Running) -> None:
    time.sleep(0.5)
    before = processor_seconds(guest.process.pid)
    time.sleep(2)
    assert processor_seconds(guest.process.pid) - before < 0.03 * 2

    load = Load(1)
    late = load.run(1500)
    load.close()
    # One that was late for other reasons is no lost wake-up: the same would come again and again.
    assert late <= 2 and retransmitted() <= 2
    guest.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: re.search(r" out\s*$", guest.said()), "its counters")
    # A key that is not taken at once interrupts a second time in QEMU: its serial port's time-out for what is unread.
    taken = re.search(r"interrupts (\d+) of devices, (\d+) of timers, ([12]) of the console;", guest.said())
    assert taken and int(taken[1]) > 100 and int(taken[2]) > 0, guest.said()
    guest.end(signal.SIGINT)
    closing = re.search(r"interrupts (\d+)", guest.said().splitlines()[-1])
    assert closing and 100 < int(closing[1]) <= int(taken[1]) + 8  # those of the end


@pytest.mark.soak
def test_a_million_requests(guest: Running) -> None:
    load = Load(64)
    late = load.run(1_000_000)
    load.close()
    assert late <= 20 and retransmitted() <= 20
    guest.end(signal.SIGINT)
    assert "ERROR" not in guest.said() and "connections 64;" in guest.said().splitlines()[-1]
