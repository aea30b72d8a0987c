"""Boot images in QEMU, by software emulation, and how they end."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEBUG_EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"
MACHINES = ("microvm", "q35", "pc")


@dataclass(frozen=True)
class Ended:
    status: int
    text: str
    seconds: float  # from QEMU's start to its end
    processor_seconds: float  # that QEMU used


def command(
    image: Path, *words: str, machine: str = "microvm", memory: int = 32, cpu: str = "max", devices: Sequence[str] = ()
) -> list[str]:
    """`words`: of the kernel command line. `devices`: more arguments of QEMU's."""
    emulated = ["-M", machine, "-accel", "tcg", "-cpu", cpu, "-m", str(memory), "-kernel", str(image)]
    alone = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-device",
        DEBUG_EXIT,
    ]
    given = ["-append", " ".join(words)] if words else []
    return ["qemu-system-x86_64", *emulated, *alone, *given, *devices]


def run(image: Path, *words: str, limit: float = 30, **options: object) -> Ended:
    """Until the guest ends. subprocess.TimeoutExpired: it does not."""
    began, used = time.monotonic(), os.times()
    done = subprocess.run(
        command(image, *words, **options),  # type: ignore[arg-type]
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
    )
    after = os.times()
    processor = after.children_user + after.children_system - used.children_user - used.children_system
    return Ended(done.returncode >> 1, done.stdout.replace("\r\n", "\n"), time.monotonic() - began, processor)
