"""An image that `netapp build` made, booted by `netapp boot`: as a client, and as whoever started it, sees it."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pymemcache.client.base import Client

from netapp.native.image.build import Image
from netapp.native.image.iso import make_iso
from tests.support.command import Running, links, program, wait_for
from tests.support.namespaces import ip, network_namespace

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with network_namespace():
        yield


def boot(folder: Path, image: Path, *words: str, ready: str = "ends it") -> AbstractContextManager[Running]:
    return program(folder, sys.executable, "-m", "netapp.cli.main", "boot", str(image), *words, ready=ready)


def serves(address: str, limit: int) -> None:
    client = Client(address, timeout=20)
    value = bytes(range(256)) * 400 + b"\r\n"
    assert client.set("k", value, noreply=False) and client.get("k") == value and client.get("other") is None
    assert client.stats(b"settings")[b"maxbytes"] == limit << 20
    client.close()


@pytest.mark.parametrize("machine, memory", [("microvm", 32), ("q35", 200), ("pc", 40)])
def test_memcached_answers_and_ends(image: Image, tmp_path: Path, machine: str, memory: int) -> None:
    with boot(tmp_path, image.path, "--machine", machine, "--memory", str(memory)) as running:
        lines = running.said().splitlines()
        assert f"on {machine}, {memory} MiB, by software emulation; tap netapp0, this host 10.99.0.1/24" in lines[0]
        assert lines[1].startswith("netapp: memcached on 10.99.0.3, port 11211; virtio-net at ")  # as baked in
        serves("10.99.0.3", 32)
        began = time.monotonic()
        assert running.end(signal.SIGINT) == 0
        assert time.monotonic() - began < 5
        assert "connections 1;" in running.said().splitlines()[-1]
    assert links() == {"lo"}


def test_the_command_line_goes_first(image: Image, tmp_path: Path) -> None:
    own = ("--address", "10.98.0.2/24", "--host-address", "10.98.0.1/24", "--tap", "mine", "-v")
    with boot(tmp_path, image.path, *own, "--", "-m", "16") as running:
        assert "memcached on 10.98.0.2, port 11211; virtio-net" in running.said()
        assert "mine" in links() and "INFO netapp" in running.said()
        serves("10.98.0.2", 16)
        assert running.end(signal.SIGTERM) == 0


def test_statuses_are_passed_on(image: Image, tmp_path: Path) -> None:
    with boot(tmp_path, image.path, "--", "-p", "x", ready="") as running:
        assert running.process.wait(20) == 2
        assert running.said().replace("\r", "").splitlines()[-1] == "netapp: -p: 'x' is no number"


@pytest.mark.parametrize(
    "memory, status, told",
    [
        (16, 72, "too little memory: the program alone, when it has started, ends at"),
        (24, 1, "too few for packets: give the machine more"),
        (26, 1, "too few for packets: give the machine more"),
    ],
)
def test_too_little_memory_is_told_in_a_line(image: Image, tmp_path: Path, memory: int, status: int, told: str) -> None:
    with boot(tmp_path, image.path, "--memory", str(memory), ready="") as running:
        assert running.process.wait(20) == status
        said = running.said().replace("\r", "").splitlines()
        assert told in said[-1] and len(said) == 2, said


def test_a_killed_boot_takes_its_machine_and_tap_along(image: Image, tmp_path: Path) -> None:
    with boot(tmp_path, image.path) as running:
        assert "netapp0" in links()
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
        wait_for(lambda: links() == {"lo"}, "the tap going")


def test_a_tap_that_was_there_stays(image: Image, tmp_path: Path) -> None:
    ip("tuntap add netapp0 mode tap")
    ip("address add 10.99.0.1/24 dev netapp0")
    with boot(tmp_path, image.path) as running:
        serves("10.99.0.3", 32)
        assert running.end() == 0
    assert links() == {"lo", "netapp0"}


def test_a_disk_boots_by_grub(image: Image, tmp_path: Path) -> None:
    disks = [tmp_path / "one.iso", tmp_path / "other.iso"]
    for disk in disks:
        make_iso(image.path, disk)
    assert disks[0].read_bytes() == disks[1].read_bytes()
    with boot(tmp_path, disks[0]) as running:
        assert "on q35" in running.said()
        serves("10.99.0.3", 32)
        assert running.end() == 0
