"""An idle appliance sleeps, a loaded one polls; counters show both, and the switches between."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netapp.cli.find import find_appliance
from tests.support.hosted import OURS, TapNode, tap_node
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

PORT = 11211


def ticks(process: int) -> int:
    """CPU time used, in clock ticks."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def sleeps(process: int) -> int:
    """How often it has gone to sleep."""
    found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


@contextmanager
def memcached() -> Iterator[subprocess.Popen[str]]:
    """`netapp run memcached`, which says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "netapp.cli.main", "run", "memcached"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        said = ""
        while "ends it" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process
    finally:
        process.kill()
        process.communicate()


def test_an_idle_appliance_uses_no_clock_tick_in_10_seconds() -> None:
    with network_namespace(), memcached() as process, socket.create_connection((OURS, PORT), timeout=10) as client:
        client.sendall(b"version\r\n")
        assert client.recv(100).startswith(b"VERSION")
        ended = os.pidfd_open(process.pid)
        try:
            # What the last request left to be done, timers too.
            until = time.monotonic() + 20
            before = -1
            while sleeps(process.pid) != before:
                assert time.monotonic() < until, "it does not come to rest"
                before = sleeps(process.pid)
                select.select([ended], [], [], 1)
            used = ticks(process.pid)
            assert not select.select([ended], [], [], 10)[0], "it ended"
            assert ticks(process.pid) - used == 0
            assert sleeps(process.pid) - before <= 2
        finally:
            os.close(ended)
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        closing = process.communicate(timeout=10)[0]
        found = re.search(r"interrupts (\d+), polls (\d+), switches (\d+)", closing)
        assert found, closing
        asked = re.search(r"interrupts (\d+) of devices; polls (\d+), \d+ empty; switches (\d+);", closing)
        assert asked and all(int(before) <= int(after) for before, after in zip(asked.groups(), found.groups()))
        interrupts, polls, switches = map(int, found.groups())
        # A handful of frames: each wakes it, is polled for once or twice, and it sleeps again.
        assert 1 <= interrupts <= 20 and polls <= 10 * interrupts and 2 <= switches <= 2 * interrupts + 2


def hammer(requests: int, connections: int, outstanding: int) -> int:
    """So many gets, `outstanding` at a time on each connection; how many replies came."""
    request, reply = b"get nothing\r\n" * outstanding, b"END\r\n" * outstanding
    clients = [socket.create_connection((OURS, PORT), timeout=20) for _ in range(connections)]
    done = 0
    while done < requests:
        for client in clients:
            client.sendall(request)
        for client in clients:
            text = b""
            while len(text) < len(reply):
                text += client.recv(65536)
            assert text == reply
            done += outstanding
    for client in clients:
        client.close()
    return done


def load(tap: TapNode) -> dict[str, int]:
    """20,000 requests over 20 connections; by how much the counters of polling went up meanwhile."""
    before = tap.node.polling.counters()
    host = tap.host(hammer, 20_000, 20, 1)
    tap.run_until(lambda: host.ended)
    assert host.result() >= 20_000
    return {name: value - before[name] for name, value in tap.node.polling.counters().items()}


def test_a_loaded_appliance_polls() -> None:
    with tap_node(find_appliance("memcached")()) as tap:
        polling = tap.node.polling
        queue = tap.node.devices[0].queues[0]
        for rounds in (1, 2, 3):
            more = load(tap)
            # Frames come in numbers between interrupts: most are found by polling.
            assert more["frames"] >= 20_000 and more["polls"] >= more["interrupts"]
            assert more["interrupts"] < more["frames"] / 2
            # And back to interrupts when it is over.
            tap.run_until(lambda: polling.state(queue) == "interrupt")
            counters = polling.counters()
            assert counters["to_polling"] >= rounds
            # It begins by polling.
            assert counters["to_interrupt"] - counters["to_polling"] == 1
