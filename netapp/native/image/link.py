"""One static ELF file out of objects and Python's library, and what it is made of."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from netapp.native.image.toolchain import BuildError, Toolchain

# What modules of Python's library need beside it.
_LIBRARIES = {"pyexpat": "expat", "_elementtree": "expat", "zlib": "z", "binascii": "z"}
_SCRIPT = Path(__file__).parents[1] / "kernel/kernel.ld"
FLAGS = (
    "-static -no-pie -Wl,-z,norelro -Wl,-z,separate-code -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--build-id=none -s"
    f" -Wl,-T,{_SCRIPT}"
).split()
_PIECE = re.compile(r"\s0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+\.o|\S+\))$")
_NOT_LOADED = (".bss", ".tbss", ".kernel.bss", ".comment", ".debug", "LOAD", "/DISCARD/", "__libc_freeres_ptrs")


def link(
    toolchain: Toolchain,
    objects: Sequence[Path],
    output: Path,
    built_in: Sequence[str],
    libraries: Sequence[str],
    more: Sequence[str] = (),
) -> dict[str, int]:
    """Makes `output`. Bytes by part. Raises BuildError."""
    names = dict.fromkeys([*libraries, *(_LIBRARIES[name] for name in built_in if name in _LIBRARIES), "m"])
    listing = output.with_suffix(".map")
    done = subprocess.run(
        [*toolchain.gcc, *FLAGS, *more, f"-Wl,-Map={listing}", *map(str, objects), str(toolchain.archive)]
        + [f"-l{name}" for name in names]
        + ["-o", str(output)],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        told = [line for line in done.stderr.splitlines() if "undefined" in line or "cannot find" in line]
        raise BuildError(f"the image does not link: {(told or done.stderr.splitlines() or ['gcc failed'])[0]}")
    _forget_sections(output)
    return _sizes(listing.read_text())


def _forget_sections(image: Path) -> None:
    """Out of the ELF header: who loads a program does not look at them, but GRUB refuses some."""
    with image.open("r+b") as file:
        for offset, size in ((40, 8), (60, 2), (62, 2)):  # e_shoff, e_shnum, e_shstrndx
            file.seek(offset)
            file.write(bytes(size))


def _sizes(listing: str) -> dict[str, int]:
    """By whose the bytes are, but for padding. `listing`: the linker's map."""
    found: Counter[str] = Counter()
    section = ""
    for line in listing.partition("Linker script and memory map")[2].splitlines():
        if line[:1].strip():
            section = line.split()[0]
        piece = _PIECE.search(line)
        if piece and not section.startswith(_NOT_LOADED):
            found[_part(piece[2])] += int(piece[1], 16)
    return dict(found.most_common())


def _part(path: str) -> str:
    name = path.rpartition("/")[2]
    if "libpython" in name:
        return "Python"
    if ".a(" in name or name.startswith("crt"):
        return "C library"
    kind = name.partition(".")[0]
    return {"kernel": "kernel", "image": "frozen modules"}.get(kind, "compiled modules")
