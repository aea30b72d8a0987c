"""How a tap is made, used, and left; what is said where it cannot be."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netapp.drivers.python import RawPort
from netapp.drivers.tap import TapDevice
from netapp.drivers.tap_queue import TapError
from netapp.hosted.tap_setup import host_tap
from tests.support.namespaces import ip
from tests.support.taps import HOSTS, peer

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_tap_that_exists_is_used_and_stays(core, io):
    ip("tuntap add dev tap-test mode tap")
    ip("addr add 192.0.2.1/24 dev tap-test")
    ip("link set tap-test mtu 1400")
    with host_tap("tap-test", f"{HOSTS}/24", io=io) as tap:
        assert tap.persistent and tap.mtu == 1400
        assert ",UP" in ip("link show tap-test")
        ip(f"neigh replace 192.0.2.2 lladdr {tap.mac.hex(':')} dev tap-test")
        port = RawPort(tap.queue)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", ("192.0.2.2", 6000))
        until = time.monotonic() + 20
        while not any(data.endswith(b"hello") for data, _ in port.received):
            assert time.monotonic() < until
            port.poll()
        port.close()
    shown = ip("addr show tap-test")
    assert "192.0.2.1/24" in shown and HOSTS not in shown
    # And again, by one who has no use for offloads.
    with host_tap("tap-test", f"{HOSTS}/24", offloads=False, io=io) as tap:
        assert tap.features == 0
    ip("link del tap-test")


def test_closing_twice_and_opening_again(core, io):
    for _ in range(3):
        with host_tap("tap-test", f"{HOSTS}/24", io=io) as tap:
            tap.close()
            assert "tap-test" not in ip("link")


@pytest.mark.parametrize(
    ("name", "address", "text"),
    [
        ("tap-test", "10.99.0.1", "is no IPv4 address with its prefix length"),
        ("tap-test", "10.99.0/24", "is no IPv4 address with its prefix length"),
        ("tap-test", "fd00::1/64", "is no IPv4 address with its prefix length"),
        ("tap-test", "10.99.0.0/24", "no host's address: choose one like 10.99.0.1/24"),
        ("tap-test", "10.99.0.255/24", "no host's address"),
        ("tap-test", "10.99.0.1/31", "leaves no address for the appliance"),
        ("tap-test", "10.7.0.1/24", "the address 10.7.0.1 is on other0 already"),
        ("tap-test", "10.7.0.9/24", "10.7.0.0/24 overlaps 10.7.0.1/24 on other0"),
        ("tap-test", "10.0.0.1/8", "10.0.0.0/8 overlaps 10.7.0.1/24 on other0"),
        ("tap-test", "10.8.0.1/24", "10.8.0.0/24 is routed to other0"),
        ("lo", "10.99.0.1/24", "the interface lo is no tap device"),
        ("much-too-long-name", "10.99.0.1/24", "is no name for an interface"),
        ("a/b", "10.99.0.1/24", "is no name for an interface"),
        ("tap%d", "10.99.0.1/24", "is no name for an interface"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(core, name, address, text):
    ip("tuntap add dev other0 mode tap")
    ip("addr add 10.7.0.1/24 dev other0")
    ip("link set other0 up")
    ip("route add 10.8.0.0/24 dev other0")
    with pytest.raises(TapError) as caught, host_tap(name, address):
        pass
    assert text in str(caught.value) and "\n" not in str(caught.value)
    assert "tap-test" not in ip("link")


def test_a_name_in_use(core):
    with (
        host_tap("tap-test", f"{HOSTS}/24"),
        pytest.raises(TapError, match="another process uses the tap device tap-test") as caught,
        host_tap("tap-test", f"{HOSTS}/24"),
    ):
        pass
    assert caught.value.errno == errno.EBUSY


def test_no_device_node(core, monkeypatch):
    def missing(*_arguments):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "open", missing)
    with pytest.raises(TapError, match=r"/dev/net/tun is missing: modprobe tun, or .* mknod /dev/net/tun c 10 200"):
        TapDevice("tap-test")


# Installs a seccomp filter, as containers have one: io_uring_setup, _enter and _register fail with this error.
FORBIDDEN = """
import ctypes, struct
rules = [(0x20, 0, 0, 0), (0x35, 0, 2, 425), (0x25, 1, 0, 427), (0x06, 0, 0, 0x50000 | ERROR), (0x06, 0, 0, 0x7FFF0000)]
rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 5, ctypes.addressof(rules)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EPERM, "io_uring is forbidden: let the container or service (its seccomp filter) use io_uring_setup"),
        (errno.ENOSYS, "there is no io_uring here: take a kernel that has it"),
        (errno.ENOMEM, "io_uring gets no memory: raise ulimit -l"),
    ],
)
def test_where_the_kernel_forbids_io_uring_it_is_said_and_auto_does_without(core, error, text):
    forbidden = FORBIDDEN.replace("ERROR", str(int(error)))
    process = run(forbidden + OPEN.replace('/24")', '/24", io="uring")'))
    _, said = process.communicate()
    assert process.returncode == 1
    assert said.startswith(text) and said.endswith("or let frames go by readv and writev (--io rw)\n")
    assert said.count("\n") == 1
    show = OPEN.replace('print("open"', "print(tap.io, tap.no_uring").replace(
        '"10.99.0.1/24")', '"10.99.0.1/24") as tap'
    )
    process = run(forbidden + "import os; sys_stdin = os.close(0)\n" + show.replace("sys.stdin.read()", "pass"))
    shown, said = process.communicate()
    assert (shown.startswith(f"rw {text}"), said) == (True, "")


def test_io_uring_is_what_auto_takes_where_it_is_allowed(core):
    with peer() as host:
        assert (host.tap.io, host.tap.no_uring) == ("uring", None)
    with pytest.raises(ValueError, match="choose auto, rw or uring"):
        TapDevice("tap-test", io="epoll")
    assert "tap-test" not in ip("link")


def run(script, *, before=()):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))}
    return subprocess.Popen(
        [*before, sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


OPEN = """
import sys
from netapp.hosted.tap_setup import host_tap
try:
    with host_tap("tap-test", "10.99.0.1/24"):
        print("open", flush=True)
        sys.stdin.read()
except OSError as error:
    sys.exit(str(error))
"""


def test_nothing_is_left_after_sigkill_and_it_starts_again(core):
    for _ in range(3):
        process = run("import os, sys; sys.stdin = os.fdopen(os.pipe()[0])\n" + OPEN)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n", process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with host_tap("tap-test", f"{HOSTS}/24"):
        pass
    assert "tap-test" not in ip("link") and "10.99" not in ip("route")


def test_without_permission(core):
    process = run(OPEN, before=["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
    _, error = process.communicate()
    assert error == "no permission for the tap device tap-test: run as root (CAP_NET_ADMIN) or as its owner\n"
