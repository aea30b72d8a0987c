"""Object files out of C, in parallel; one is made again only when something that it is made of has changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from netapp.native.image.toolchain import BuildError, Toolchain

JOBS = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Source:
    name: str  # of its object file
    path: Path
    flags: tuple[str, ...]
    depends: tuple[Path, ...] = ()  # headers that may change, and what it takes in by name


def compiled(toolchain: Toolchain, sources: Sequence[Source], folder: Path) -> list[Path]:
    """Their object files, in their order; those in `folder` that nobody asked for are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.[0-9]*"):
        if path.suffix[1:].isdigit():  # of a build that was killed
            path.unlink()
    wanted = [folder / f"{source.name}.{_key(toolchain, source)}.o" for source in sources]
    missing = [(source, path) for source, path in zip(sources, wanted) if not path.exists()]
    if len(missing) > 8:
        print(f"netapp: compiling {len(missing)} files, which takes a minute or two", flush=True)
    with ThreadPoolExecutor(JOBS) as pool:
        for failure in pool.map(lambda one: _compile(toolchain, *one), missing):
            if failure:
                raise BuildError(failure)
    _tidy(folder, wanted)
    return wanted


def _compile(toolchain: Toolchain, source: Source, path: Path) -> str:
    """What went wrong, if anything."""
    fresh = path.with_suffix(f".{os.getpid()}")
    done = subprocess.run(
        [*toolchain.gcc, "-c", *source.flags, str(source.path), "-o", str(fresh)], capture_output=True, text=True
    )
    if done.returncode != 0:
        fresh.unlink(missing_ok=True)
        told = [line for line in done.stderr.splitlines() if "error" in line] or ["gcc failed"]
        return f"{source.path} does not compile: {told[0]}"
    fresh.rename(path)
    return ""


def _key(toolchain: Toolchain, source: Source) -> str:
    made_of = hashlib.sha256(repr((toolchain.gcc_version, toolchain.python_version, source.flags)).encode())
    for path in (source.path, *sorted(source.depends)):
        made_of.update(hashlib.sha256(path.read_bytes()).digest())
    return made_of.hexdigest()[:16]


def _tidy(folder: Path, wanted: Iterable[Path]) -> None:
    """Old versions of what was asked for go; objects of other images stay."""
    keep = set(wanted)
    names = {path.name.rsplit(".", 2)[0] for path in keep}
    for path in folder.glob("*.o"):
        if path not in keep and path.name.rsplit(".", 2)[0] in names:
            path.unlink()
