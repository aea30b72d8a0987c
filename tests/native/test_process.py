"""A boot image as a Linux process: the same file, on a tap that is there."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymemcache.client.base import Client

from netapp.cli.find import find_appliance
from netapp.native.image.build import Image, Wanted, build
from tests.support.command import Running, links, program, wait_for
from tests.support.namespaces import ip, network_namespace

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with network_namespace():
        ip("tuntap add netapp0 mode tap")
        ip("address add 10.99.0.1/24 dev netapp0")
        ip("link set netapp0 up")
        yield


def ended(image: Image, *words: str) -> tuple[int, str, str]:
    done = subprocess.run([image.path, *words], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def test_memcached_answers_and_ends(image: Image, tmp_path: Path) -> None:
    with program(tmp_path, str(image.path)) as running:
        assert "memcached on 10.99.0.3, port 11211; tap netapp0\n" in running.said()  # what was baked in
        client = Client("10.99.0.3", timeout=10)
        value = bytes(range(256)) * 4000 + b"\r\n"
        assert client.set("k", value, noreply=False) and client.get("k") == value
        stats = client.stats()
        assert stats[b"limit_maxbytes"] == 32 << 20 and stats[b"pid"] == running.process.pid
        client.close()
        running.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: re.search(r"interrupts \d+ of devices; polls \d+, ", running.said()), "its counters")
        assert running.end(signal.SIGTERM) == 0
    assert "connections 1;" in running.said().splitlines()[-1]
    assert "netapp0" in links()


def test_who_reads_its_help_may_stop(image: Image) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as nobody:
        done = subprocess.run([image.path, "--", "-h"], stdout=nobody, stderr=subprocess.PIPE, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_line_goes_first(image: Image, tmp_path: Path) -> None:
    with program(tmp_path, str(image.path), "--address", "10.99.0.9/24", "-v", "--", "-p", "11300") as running:
        assert "memcached on 10.99.0.9, port 11300; tap netapp0\n" in running.said()
        client = Client(("10.99.0.9", 11300), timeout=10)
        assert client.stats()[b"limit_maxbytes"] == 32 << 20  # as baked in
        client.close()
        assert running.end(signal.SIGINT) == 0
        assert "INFO netapp" in running.said()


def test_bad_usage(image: Image) -> None:
    assert ended(image, "--frob") == (2, "", "netapp: there is no option --frob: -h lists them\n")
    assert ended(image, "--", "-p", "x") == (2, "", "netapp: -p: 'x' is no number\n")
    status, out, err = ended(image, "--gateway=10.1.0.1")
    assert (status, out) == (2, "") and "10.1.0.1" in err and err.count("\n") == 1


def test_help(image: Image) -> None:
    status, out, err = ended(image, "-h")
    assert (status, err) == (0, "") and out.startswith("usage: memcached [OPTIONS] [-- APPLIANCE OPTIONS]")
    assert "--detect-conflicts" in out
    status, out, err = ended(image, "--", "-h")
    assert (status, err) == (0, "") and "-m, --memory-limit" in out


def test_a_tap_that_is_not_there(image: Image) -> None:
    status, out, err = ended(image, "--tap=other0")
    assert (status, out) == (1, "") and err.startswith("netapp: there is no tap device other0: make it")
    assert err.count("\n") == 1 and "other0" not in links()


def test_a_tap_that_goes_away(image: Image, tmp_path: Path) -> None:
    with program(tmp_path, str(image.path)) as running:
        ip("link delete netapp0")
        assert running.process.wait(15) == 1
        assert running.said().splitlines()[-1] == "netapp: the tap device netapp0 was removed"


APPLIANCE = '''
import pkgutil
import sys

from netapp.node.appliance import Appliance


class Told(Appliance):
    """Says what it has."""

    def start(self) -> None:
        print("modules:", *sorted(sys.modules))
        self.events.spawn(self.fail)

    def fail(self) -> None:
        import json
        print("json:", json.dumps({"a": [1]}))
        raise KeyError("on purpose")
'''


@pytest.fixture
def told(image: Image, tmp_path: Path) -> Image:
    """Of a file; what it has in common with the other image is compiled already."""
    file = tmp_path / "told.py"
    file.write_text(APPLIANCE)
    return build(Wanted(find_appliance(str(file)), file=file), tmp_path / "told.elf")


def test_what_is_in_it(told: Image, tmp_path: Path) -> None:
    """Nothing that the appliance does not import, and Python's parts are where they are said to be."""
    with program(tmp_path, str(told.path), "-vv", ready="on purpose") as running:
        said = running.said()
        modules = next(line for line in said.splitlines() if line.startswith("modules:")).split()[1:]
        assert "told" in modules and "netapp.tcp.connection" in modules and "netapp.drivers.tap" in modules
        for unwanted in "click asyncio socket pyroute2 netapp.cli site json netapp.drivers.virtio".split():
            assert unwanted not in modules
        assert 'json: {"a": [1]}' in said  # imported later, by a function
        assert 'File "told.py", line 18, in fail' in said  # no path of the machine that built it
        assert running.end() == 0
    assert told.size < 12_000_000
    with told.path.open("rb") as file:
        assert b"/root/" not in file.read() and b"click" not in file.read()


def test_images_do_not_leave_anything(image: Image, tmp_path: Path) -> None:
    before: set[str] = links()
    running: Running
    with program(tmp_path, str(image.path)) as running:
        running.process.kill()
        running.process.wait(15)
    wait_for(lambda: links() == before, "the links of before")
