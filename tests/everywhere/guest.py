"""The image in QEMU, by software emulation, with whatever its network card is to offer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netapp.hosted.qemu import Machine
from netapp.hosted.tap_setup import host_tap
from tests.support.command import wait_for

MEMORY = 192  # MiB
NAMES = {
    "packed": "VIRTIO_F_RING_PACKED",
    "event_idx": "VIRTIO_RING_F_EVENT_IDX",
    "mrg_rxbuf": "VIRTIO_NET_F_MRG_RXBUF",
}


class Guest:
    def __init__(self, control: Path) -> None:
        self._control = control

    def agreed(self) -> dict[str, bool]:
        """Which of the features of NAMES the driver took; QEMU says so."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(20)
            monitor.connect(str(self._control))
            with monitor.makefile("rw") as lines:
                lines.readline()
                _ask(lines, "qmp_capabilities")
                card = next(device for device in _ask(lines, "x-query-virtio") if device["name"] == "virtio-net")
                features = _ask(lines, "x-query-virtio-status", path=card["path"])["guest-features"]
        taken = [text.split(":")[0] for text in (*features["transports"], *features["dev-features"])]
        return {name: bit in taken for name, bit in NAMES.items()}


def _ask(lines: Any, what: str, **arguments: str) -> Any:
    lines.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
    lines.flush()
    while "return" not in (said := json.loads(lines.readline())):
        assert "error" not in said, said
    return said["return"]


@contextmanager
def guest(image: Path, machine: str, tap: str, words: Sequence[str] = (), **offered: bool) -> Iterator[Guest]:
    """Serves until the end of the block, when Ctrl-C ends it. `offered`: of NAMES; the others as QEMU has them. All of
    it is on one processor: TCG's TSC is the host's, whose processors need not agree."""
    with tempfile.TemporaryDirectory() as folder, host_tap(tap, "10.99.0.1/24", io="rw") as device:
        console, control = Path(folder, "console"), Path(folder, "control")
        command = Machine(image, machine, MEMORY, words).command(device.fileno(), device.mac.hex(":"))
        card = next(place for place, word in enumerate(command) if word.startswith("virtio-net-"))
        command[card] += "".join(f",{name}={'on' if value else 'off'}" for name, value in offered.items())
        command += ["-qmp", f"unix:{control},server=on,wait=off"]
        with console.open("w") as file:
            process = subprocess.Popen(
                ["taskset", "-c", str(_processor()), *command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(device.fileno(),),
            )
        assert process.stdin is not None
        try:
            wait_for(lambda: "ends it" in console.read_text() or process.poll() is not None, "the banner", 60)
            assert process.poll() is None, console.read_text()
            yield Guest(control)
            process.stdin.write(b"\x03")
            process.stdin.flush()
            assert process.wait(20) == 0, console.read_text()
            assert "Traceback" not in console.read_text()
        finally:
            process.stdin.close()
            process.kill()
            process.wait()


def _processor() -> int:
    """One for each of pytest-xdist's processes, as long as there are enough."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % len(usable)]
