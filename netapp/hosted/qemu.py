"""A boot image as a virtual machine: QEMU with a tap, its console on ours, and how it ends."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

QEMU = "qemu-system-x86_64"
EMULATED = "max,-avx,-avx2,-xsave"  # emulated, copying by vectors of 32 bytes is slower than without
_DISK_MAGIC = (32769, b"CD001")  # ISO 9660
_IMAGE_MAGIC = (0, b"\x7fELF\x02")
# Of ELF headers: where those of segments are, their size, how many; a segment's kind, its place and size in the file.
_ELF, _SEGMENT = struct.Struct("<32xQ14xHH"), struct.Struct("<I4xQ16xQ16x")
_PT_NOTE, _PVH_NOTE = 4, struct.pack("<III4s", 4, 4, 18, b"Xen")
_CONTROL_C, _CONTROL_T = b"\x03", b"\x14"
_PATIENCE = 10.0  # seconds that it has to end, once it was told to
_PR_SET_PDEATHSIG = 1


class MachineError(Exception):
    """One line: what is wrong, and what to do."""


@dataclass(frozen=True)
class Machine:
    image: Path
    chosen: str | None  # microvm, q35 or pc; None: what fits the image
    memory: int  # MiB
    words: Sequence[str] = ()  # of the image's command line
    accelerator: str = "tcg"  # software; or kvm

    def __post_init__(self) -> None:
        """MachineError: it is no image, or cannot boot so."""
        is_disk = self.is_disk
        if not is_disk and not _has(self.image, _IMAGE_MAGIC):
            raise MachineError(f"{self.image} is no boot image: make one with netapp build")
        whole = _disk_size(self.image) if is_disk else _image_size(self.image)
        size = self.image.stat().st_size
        if size < whole:
            raise MachineError(f"{self.image} is cut off after {size} of {whole} bytes: build or copy it again")
        if is_disk and self.kind == "microvm":
            raise MachineError(f"{self.image} is a disk, which a microvm cannot boot: choose --machine q35 or pc")
        if is_disk and self.words:
            raise MachineError(f"{self.image} is a disk, which has its options baked in: give none here")
        for word in self.words:
            if {"'", '"'} <= set(word) or "\n" in word:
                raise MachineError(f"{word!r} cannot stand on a kernel command line")

    @property
    def kind(self) -> str:
        return self.chosen or ("q35" if self.is_disk else "microvm")

    @property
    def is_disk(self) -> bool:
        return _has(self.image, _DISK_MAGIC)

    def command(self, tap: int, mac: str) -> list[str]:
        """`tap`: the descriptor of one."""
        bus = "device" if self.kind == "microvm" else "pci"
        image = ["-cdrom", str(self.image)] if self.is_disk else ["-kernel", str(self.image)]
        if self.words:
            image += ["-append", " ".join(map(quoted, self.words))]
        return [
            *(QEMU, "-M", self.kind, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-accel", self.accelerator, "-cpu", "host" if self.accelerator == "kvm" else EMULATED),
            *("-m", f"{self.memory}M", *image, "-serial", "stdio"),
            *("-netdev", f"tap,id=wire,fd={tap}", "-device", f"virtio-net-{bus},netdev=wire,mac={mac}"),
            *("-device", f"virtio-rng-{bus}", "-global", "virtio-mmio.force-legacy=false"),
            *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        ]


def quoted(word: str) -> str:
    """As the kernel's command line takes it."""
    if word and not any(character in " \t'\"" for character in word):
        return word
    mark = '"' if "'" in word else "'"
    return f"{mark}{word}{mark}"


def accelerator(cpuinfo: str, usable: Callable[[], bool] = lambda: os.access("/dev/kvm", os.R_OK | os.W_OK)) -> str:
    """`cpuinfo`: the text of /proc/cpuinfo. A /dev/kvm without the processor's virtualisation emulates in software, and
    cannot run an image: it is not even looked at."""
    flags = {flag for line in cpuinfo.splitlines() if line.startswith("flags") for flag in line.split()}
    return "kvm" if flags & {"vmx", "svm"} and usable() else "tcg"


def status_of(ended: int, said: str) -> int:
    """The image's exit status, out of QEMU's, which `isa-debug-exit` makes. `said`: by QEMU. Raises MachineError."""
    if ended == 0:
        return 0
    if ended > 1 and ended % 2:
        return ended >> 1
    if ended < 0:
        raise MachineError(f"QEMU was ended by {signal.Signals(-ended).name}")
    told = said.strip().splitlines() or [f"it ended with status {ended}"]
    raise MachineError(f"QEMU failed: {told[-1].removeprefix(QEMU + ': ')}")


def boot(machine: Machine, tap: int, mac: str) -> int:
    """Its exit status, when it has ended. SIGINT and SIGTERM are Ctrl-C on its console, SIGUSR1 is Ctrl-T. Raises
    MachineError."""
    if shutil.which(QEMU) is None:
        raise MachineError(f"{QEMU} is not installed: apt install qemu-system-x86")
    with tempfile.TemporaryFile("w+") as errors, _Keyboard() as keyboard:
        process = subprocess.Popen(
            machine.command(tap, mac),
            stdin=keyboard.read_end,
            stderr=errors,
            pass_fds=(tap,),
            process_group=0,  # Ctrl-C of our terminal is ours
            preexec_fn=partial(end_with_parent, os.getpid()),
        )
        keyboard.process = process
        try:
            process.wait()
        finally:
            process.kill()
            process.wait()
        if keyboard.gave_up:
            raise MachineError(f"the machine did not end within {_PATIENCE:.0f} s of being told: it was stopped")
        errors.seek(0)
        return status_of(process.returncode, errors.read())


class _Keyboard:
    """Of the machine's console. Within it, signals are keys."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.gave_up = False
        self.read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Keyboard:
        for number, handler in (
            (signal.SIGINT, self._typed),
            (signal.SIGTERM, self._typed),
            (signal.SIGUSR1, self._asked),
            (signal.SIGALRM, self._end),
        ):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.read_end)
        os.close(self._write_end)

    def _typed(self, number: int, frame: object) -> None:
        os.write(self._write_end, _CONTROL_C)
        if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE, 1)

    def _asked(self, number: int, frame: object) -> None:
        os.write(self._write_end, _CONTROL_T)

    def _end(self, number: int, frame: object) -> None:
        if self.process is not None:
            self.gave_up = True
            self.process.kill()


def end_with_parent(parent: int) -> None:
    """In a child: however that ends, and if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _image_size(image: Path) -> int:
    """That its ELF header tells. MachineError: it has no note that makes a hypervisor boot it by PVH."""
    with image.open("rb") as file:
        content = file.read(4096).ljust(4096, b"\0")
        offset, size, count = _ELF.unpack_from(content)
        if size == _SEGMENT.size and offset + size * count <= len(content):
            headers = [_SEGMENT.unpack_from(content, offset + size * number) for number in range(count)]
            if any(
                kind == _PT_NOTE and _PVH_NOTE in content[start : start + length] for kind, start, length in headers
            ):
                return max(start + length for _, start, length in headers)
    raise MachineError(f"{image} is no boot image: make one with netapp build")


def _disk_size(disk: Path) -> int:
    """That its volume descriptor tells (ECMA-119, 8.4.8)."""
    with disk.open("rb") as file:
        file.seek(32768 + 80)
        return int.from_bytes(file.read(4), "little") * 2048


def _has(path: Path, magic: tuple[int, bytes]) -> bool:
    offset, wanted = magic
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(len(wanted)) == wanted
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror}") from None
