"""`netapp run` on a real tap device, with the kernel's TCP and the clients that people use at the other end."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pymemcache.client.base import Client

from tests.support.command import links, netapp, wait_for
from tests.support.namespaces import ip, network_namespace

pytestmark = pytest.mark.system

ADDRESS = "10.99.0.2"


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with network_namespace():
        yield


@contextmanager
def client_of(seconds: float = 10) -> Iterator[Client]:
    client = Client(ADDRESS, timeout=seconds)
    try:
        yield client
    finally:
        client.close()


def nothing_left() -> bool:
    return links() == {"lo"} and ip("route") == ""


def test_what_clients_did_is_told_at_the_end(tmp_path: Path) -> None:
    with netapp(tmp_path, "memcached") as running, client_of() as client, client_of() as other:
        megabyte = os.urandom(1_000_000)
        assert client.set("big", megabyte, noreply=False) and other.get("big") == megabyte
        assert running.end() == 0
        assert re.search(r"frames \d{2,} in, \d{2,} out; connections 2;", running.said())
        assert "Traceback" not in running.said()
    assert nothing_left()


def test_the_hint_of_the_banner_works(tmp_path: Path) -> None:
    with netapp(tmp_path, "memcached", "--", "-p", "11300") as running:
        hint = re.search(r"from another shell: (.*)", running.said())
        assert hint is not None
        done = subprocess.run(["sh", "-c", hint[1]], capture_output=True, text=True, timeout=10, check=True)
        assert done.stdout == "STORED\nVALUE k 0 5\nhello\nEND\n"
        assert running.end(signal.SIGINT) == 0


def test_a_killed_node_leaves_nothing_and_starts_again(tmp_path: Path) -> None:
    with netapp(tmp_path, "memcached") as running:
        assert "netapp0" in links()
        with client_of() as client:
            client.set("a", "b", noreply=False)
            assert running.end(signal.SIGKILL) == -signal.SIGKILL
    with netapp(tmp_path, "memcached") as running:
        with client_of() as again:
            assert again.get("a") is None and again.set("a", "c", noreply=False)
        assert running.end() == 0
    wait_for(nothing_left, "the tap going")


def test_signals_while_connections_are_open(tmp_path: Path) -> None:
    with netapp(tmp_path, "memcached") as running, ExitStack() as stack:
        for client in [stack.enter_context(client_of()) for _ in range(20)]:
            client.set("a", "b" * 100_000, noreply=False)
        began = time.monotonic()
        assert running.end() == 0
        assert time.monotonic() - began < 5
    assert nothing_left()


def test_a_second_node_is_refused_in_one_line(tmp_path: Path) -> None:
    with netapp(tmp_path, "memcached"):
        other = tmp_path / "other"
        other.mkdir()
        with netapp(other, "memcached", ready=False) as second:
            assert second.process.wait(15) == 1
            assert second.said().startswith("netapp: ") and second.said().count("\n") == 1


def test_a_tap_that_was_there_stays(tmp_path: Path) -> None:
    ip("tuntap add mine mode tap")
    ip("address add 10.98.0.1/24 dev mine")
    arguments = "echo --tap mine --address 10.98.0.2/24 --host-address 10.98.0.1/24".split()
    with netapp(tmp_path, *arguments) as running:
        script = "exec 3<>/dev/tcp/10.98.0.2/7; echo hello >&3; head -1 <&3"
        assert subprocess.check_output(["bash", "-c", script], timeout=10) == b"hello\n"
        assert running.end() == 0
    assert "mine" in links()
    ip("link del mine")


def test_a_tap_that_goes_ends_the_node(tmp_path: Path) -> None:
    with netapp(tmp_path, "echo") as running:
        ip("link del netapp0")
        assert running.process.wait(15) == 1
        assert "netapp: the tap device netapp0 was removed" in running.said()
        assert "Traceback" not in running.said()


def test_faults_and_capture(tmp_path: Path) -> None:
    capture = tmp_path / "frames.pcapng"
    faults = "--drop 2% --duplicate 0.01 --reorder 0.02 --corrupt 1% --delay 1ms --seed 7".split()
    with netapp(tmp_path, "memcached", "--capture", str(capture), *faults) as running:
        value = os.urandom(300_000)
        with client_of(60) as client:
            assert client.set("a", value, noreply=False) and client.get("a") == value
        assert running.end() == 0
    assert capture.stat().st_size > 600_000
    if shutil.which("tshark"):
        command = ["tshark", "-r", str(capture), "-Y", "arp || tcp.port == 11211", "-T", "fields", "-e", "frame.number"]
        assert len(subprocess.check_output(command, stderr=subprocess.DEVNULL).splitlines()) > 40


def test_an_idle_node_sleeps(tmp_path: Path) -> None:
    with netapp(tmp_path, "memcached") as running:
        with client_of() as client:
            client.version()
        time.sleep(0.5)
        before = running.ticks()
        time.sleep(3)
        assert running.ticks() - before == 0
