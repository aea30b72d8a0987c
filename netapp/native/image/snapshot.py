"""The snapshot of an image: what its program has in memory when it has done all that needs no look at the machine. It
is run that far once, here; every machine goes on from there, and a Linux process starts from the beginning. The
machine's side is netapp/native/kernel/snapshot.c.
"""

from __future__ import annotations

import hashlib
import itertools
import mmap
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from netapp.hosted.qemu import QEMU, end_with_parent
from netapp.native.image.toolchain import BuildError

_WORD = "netapp.snapshot="
_SAID = re.compile(r"netapp: snapshot at 0x([0-9a-f]+)\n\Z")
_MEMORY = "64M"  # of the machine
_PATIENCE = 120.0  # seconds
_PAGE = 4096
_LOWEST = 1 << 20  # below it lie the firmware's data
_EFFORT = 9  # of 12: more makes it smaller by a hundredth, and takes five times as long

# Of the ELF header: where the program headers are, the size of one, how many there are.
_HEADERS = struct.Struct("<32xQ14xHH")
_HEADER = struct.Struct("<IIQQQQQQ")
_LOAD, _SPARE = 1, 0x6474E553  # PT_GNU_PROPERTY: of a static program nobody looks at it
_READABLE, _WRITABLE = 4, 2

# struct snapshot of the kernel, as far as it is told here: size, the kernel's own memory, the program's and its pages.
_SNAPSHOT = struct.Struct("<16xQ4Q2Q1024s")
_PIECE = struct.Struct("<QQQ")  # address, bytes, packed bytes


@dataclass(frozen=True)
class _Header:
    """Of a segment."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    in_file: int
    in_memory: int
    unit: int


def check_snapshot_tools() -> None:
    """Raises BuildError."""
    if shutil.which(QEMU) is None:
        raise BuildError(f"an image, which starts once, cannot be built without {QEMU}: apt install qemu-system-x86")


def add_snapshot(image: Path) -> int:
    """Into the file; bytes of it. Raises BuildError: the program does not get that far."""
    memory = image.with_suffix(".memory")
    try:
        place = _run(image, memory)
        with memory.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _add(image, place, content)
    finally:
        memory.unlink(missing_ok=True)


def _run(image: Path, memory: Path) -> int:
    """Makes the file `memory` that of a machine; where in it the kernel tells what there is. The processor has nothing
    that another one may lack."""
    seed = hashlib.sha256(image.read_bytes()).hexdigest()[:32]
    command = [QEMU, "-M", "microvm,memory-backend=memory", "-accel", "tcg", "-cpu", "qemu64", "-m", _MEMORY]
    command += ["-object", f"memory-backend-file,id=memory,size={_MEMORY},mem-path={memory},share=on"]
    command += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", str(image), "-append", _WORD + seed]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            preexec_fn=partial(end_with_parent, os.getpid()),
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"the image does not start within {_PATIENCE:.0f} s: a module waits for something") from None
    said = _SAID.search(done.stdout.replace("\r\n", "\n"))
    if said is None:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        ours = [line.removeprefix("netapp: ") for line in lines if line.startswith("netapp: ")]  # before a traceback
        told = (ours or lines or [f"it ended with status {done.returncode >> 1}, and says nothing"])[-1]
        if told == "MemoryError":
            told = "modules keep too much in memory when they are imported: have start() make it"
        raise BuildError(f"the image does not start: {told}")
    return int(said[1], 16)


def _add(image: Path, place: int, memory: mmap.mmap) -> int:
    content = bytearray(image.read_bytes())
    offset, size, count = _HEADERS.unpack_from(content)
    headers = [_Header(*_HEADER.unpack_from(content, offset + size * number)) for number in range(count)]
    loaded = [one for one in headers if one.kind == _LOAD]
    segment, end = _packed(place, memory, next(one for one in loaded if one.flags & _WRITABLE))
    # Below the image, if there is room, where every machine has memory that no BIOS makes use of. Linux, to which it is
    # nothing, wants it to be the last.
    physical = _LOWEST if _LOWEST + len(segment) <= loaded[0].address else end
    content += bytes(-len(content) % _PAGE)
    added = _Header(_LOAD, _READABLE, len(content), end, physical, len(segment), len(segment), _PAGE)
    others = [one for one in headers if one.kind not in (_LOAD, _SPARE)]
    if len(loaded) + len(others) == count:
        raise BuildError("the image has no place for a snapshot: the linker made no PT_GNU_PROPERTY")
    for number, header in enumerate([*loaded, added, *others]):
        _HEADER.pack_into(content, offset + size * number, *astuple(header))
    image.write_bytes(content + segment)
    return len(segment)


def _packed(place: int, memory: mmap.mmap, data: _Header) -> tuple[bytes, int]:
    """As the kernel wants it; the address where it ends when it is unpacked."""
    import lz4.block  # type: ignore[import-untyped, unused-ignore]  # find_toolchain() has looked for it

    told, *kernel, low, high, used = _SNAPSHOT.unpack_from(memory, place)
    places, pieces = [], []
    for start, end in (*_between(data.address, data.address + data.in_memory, kernel), *_runs(low, used)):
        piece = lz4.block.compress(memory[start:end], "high_compression", compression=_EFFORT, store_size=False)
        places.append(_PIECE.pack(start, end - start, len(piece)))
        pieces.append(piece)
    content = b"".join([struct.pack("<Q", len(places)), *places, *pieces])
    content += bytes(-len(content) % 8)
    words = memoryview(content).cast("Q")
    return memory[place : place + told] + struct.pack("<QQ", sum(words) % (1 << 64), len(words)) + content, high


def _between(start: int, end: int, kernel: Sequence[int]) -> Iterator[tuple[int, int]]:
    """What is not the kernel's, whose parts are given by their starts and ends."""
    bounds = [start, *kernel, end]
    yield from ((one, other) for one, other in zip(bounds[::2], bounds[1::2]) if one < other)


def _runs(low: int, used: bytes) -> Iterator[tuple[int, int]]:
    """Of pages, from `low`, that have a bit."""
    page = 0
    for value, group in itertools.groupby(byte >> bit & 1 for byte in used for bit in range(8)):
        count = len(list(group))
        if value:
            yield low + page * _PAGE, low + (page + count) * _PAGE
        page += count
