"""A guest in QEMU: the same emulator, machine and devices whoever it is, on a tap device in a namespace of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from bench.boot.guests import MAC, Guest
from bench.compare.namespaces import CLIENT, PREFIX, SERVER, Namespace, ip
from bench.compare.servers import pinned
from netapp.hosted.qemu import EMULATED

TAP = "boot"
PORT = 11211
PROBE = 0.005  # s that an attempt to connect is given
MACHINES = {
    "microvm": ("-M", "microvm,rtc=on", "-global", "virtio-mmio.force-legacy=false"),
    "q35": ("-M", "q35"),
    "pc": ("-M", "pc"),
}
_CONTROL_T = b"\x14"
_COUNTERS = b"netapp: at "  # begins the line that it makes
_AGAIN = 0.001
_END = 5.0


class NotBooted(click.ClickException):
    """No reply came; what the console said last."""


def command(machine: str, guest: Guest, memory: int, *more: str) -> list[str]:
    """`memory`: MiB. The emulator is TCG."""
    device = "virtio-net-device" if machine == "microvm" else "virtio-net-pci"
    rom = "" if machine == "microvm" else ",romfile="
    made = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", EMULATED, "-m", str(memory), *MACHINES[machine]]
    made += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    made += ["-netdev", f"tap,id=net,ifname={TAP},script=no,downscript=no"]
    made += ["-device", f"{device},netdev=net,mac={MAC}{rom}"]
    made += ["-kernel", str(guest.kernel), "-append", guest.parameters]
    if guest.initramfs is not None:
        made += ["-initrd", str(guest.initramfs)]
    return [*made, *more]


class Booted:
    """A guest that has answered."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float, control: Path, console: Path) -> None:
        self.process = process
        self.seconds = seconds  # from QEMU's start to the first reply
        self._control = control
        self._console = console

    def status(self) -> str:
        """What it says of itself, if it is ours. Raises click.ClickException."""
        assert self.process.stdin is not None
        return answer(self._console, partial(os.write, self.process.stdin.fileno(), _CONTROL_T))

    def instructions(self) -> int:
        """That the guest has executed; of a guest started with -icount."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(_END)
            monitor.connect(str(self._control))
            with monitor.makefile("rw") as lines:
                lines.readline()
                _ask(lines, "qmp_capabilities")
                return int(_ask(lines, "query-replay")["icount"])


def _ask(lines: Any, what: str) -> dict[str, Any]:
    lines.write(json.dumps({"execute": what}) + "\n")
    lines.flush()
    while True:
        said: dict[str, Any] = json.loads(lines.readline() or '{"return": {}}')
        if "return" in said:
            found: dict[str, Any] = said["return"]
            return found


def answer(output: Path, ask: Callable[[], object]) -> str:
    """The line with its counters that `ask` makes ours write to this file, whatever else it writes."""
    before = output.stat().st_size
    ask()
    end = time.monotonic() + _END
    while time.monotonic() < end:
        for line in output.read_bytes()[before:].split(b"\n")[:-1]:
            if line.startswith(_COUNTERS):
                return line.decode().strip()
        time.sleep(_AGAIN)
    raise click.ClickException(f"it was asked how it is, and has said nothing for {_END:.0f} s")


def prepare(namespace: Namespace) -> None:
    """The tap device. Its neighbour is known: the kernel would ask but once a second while the guest boots."""
    with namespace:
        ip(f"tuntap add dev {TAP} mode tap")
        ip(f"address add {CLIENT}/{PREFIX} dev {TAP}")
        ip(f"link set {TAP} up")
        ip(f"neighbour add {SERVER} lladdr {MAC} dev {TAP} nud permanent")


@contextmanager
def booted(
    namespace: Namespace, core: int, machine: str, guest: Guest, memory: int, *more: str, patience: float = 30.0
) -> Iterator[Booted]:
    """All of QEMU is on one core: TCG's TSC is the host's, whose cores need not agree. Raises NotBooted."""
    with tempfile.TemporaryDirectory() as folder:
        console, control = Path(folder, "console"), Path(folder, "control")
        files = ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        files += ["-qmp", f"unix:{control},server=on,wait=off"]
        with namespace, console.open("wb") as output:
            begin = time.monotonic()
            process = subprocess.Popen(
                pinned(core, command(machine, guest, memory, *files, *more)),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                while not (when := first_reply()):
                    if process.poll() is not None or time.monotonic() - begin > patience:
                        raise NotBooted(f"{guest.title}, {machine}, {memory} MiB: no reply{_last(console)}")
                yield Booted(process, when - begin, control, console)
            finally:
                process.kill()
                process.wait()
                assert process.stdin is not None
                process.stdin.close()


def first_reply() -> float:
    """When memcached has answered; 0: it has not."""
    with socket.socket() as client:
        client.settimeout(PROBE)
        try:
            client.connect((SERVER, PORT))
            client.settimeout(_END)
            client.sendall(b"version\r\n")
            return time.monotonic() if client.recv(100).startswith(b"VERSION") else 0.0
        except TimeoutError:
            return 0.0
        except OSError:  # at once, where there is no link yet
            time.sleep(_AGAIN)
            return 0.0


def _last(console: Path) -> str:
    lines = console.read_text(errors="replace").split("\n") if console.exists() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"; its console ends with: {said[-1]}" if said else ""
