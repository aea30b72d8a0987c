"""`netapp run --breakdown`, with the kernel's TCP as the client."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Running, netapp, wait_for
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

REQUESTS = 200


def reports(running: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.said().splitlines() if line.startswith("{")]


def test_a_window_of_requests(tmp_path: Path) -> None:
    with network_namespace(), netapp(tmp_path, "memcached", "--breakdown", "json") as running:
        with socket.create_connection(("10.99.0.2", 11211), timeout=10) as client:
            client.sendall(b"set key 0 0 5\r\nvalue\r\n")
            assert client.recv(100) == b"STORED\r\n"
            running.process.send_signal(signal.SIGUSR1)
            wait_for(lambda: len(reports(running)) == 1, "the first report")
            for _ in range(REQUESTS):
                client.sendall(b"get key\r\n")
                assert client.recv(100) == b"VALUE key 0 5\r\nvalue\r\nEND\r\n"
            running.process.send_signal(signal.SIGUSR1)
            wait_for(lambda: len(reports(running)) == 2, "the second report")
        assert running.end() == 0
        first, second, last = reports(running)
    assert (first["requests"], second["requests"], last["requests"]) == (1, REQUESTS, 0)
    assert second["frames_in"] >= REQUESTS and second["frames_out"] >= REQUESTS
    parts = {name: part["ns"] for name, part in second["parts"].items()}
    waiting = second["idle_ns"] + second["sleep_ns"] + second["outside_ns"]
    # Nothing is left out, nothing counted twice.
    assert abs(sum(parts.values()) + waiting + second["measuring_ns"] - second["ns"]) < 100
    assert abs(sum(parts.values()) - second["busy_ns"]) < 100
    # One system call each way a request, and half a microsecond of our own.
    assert parts["device_out"] > parts["network_out"] > 0 and parts["device_in"] > parts["timers"]
    assert min(parts["network_in"], parts["appliance"], parts["loop"]) > 0


def test_the_table_is_printed_at_the_end(tmp_path: Path) -> None:
    with network_namespace(), netapp(tmp_path, "echo", "--breakdown", "table") as running:
        with socket.create_connection(("10.99.0.2", 7), timeout=10) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(b"hello", ("10.99.0.2", 7))
            assert client.recv(100) == b"hello"
        assert running.end() == 0
        said = running.said()
    assert "where the time of 2 requests (calls of receive()) went\n" in said
    assert said.index("where the time") < said.index("netapp: frames")


def test_an_event_manager_of_the_appliance_s_own_cannot_be_measured(tmp_path: Path) -> None:
    with (
        network_namespace(),
        netapp(tmp_path, "appliances.examples.primes", "--breakdown", "table", ready=False) as running,
    ):
        assert running.process.wait(15) == 1
        (line,) = [line for line in running.said().splitlines() if line.startswith("netapp: ")]
        assert "of its own, which cannot be measured" in line
