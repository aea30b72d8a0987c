"""An image out of an appliance: modules, objects, one file."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import netapp
from netapp.compiling import C_FLAGS, RELEASE_FLAGS, release_macros
from netapp.native.image.closure import Closure, Kind, Module
from netapp.native.image.frozen import freeze, initializer, inittab
from netapp.native.image.iso import check_iso_tools, make_iso
from netapp.native.image.link import link
from netapp.native.image.objects import JOBS, Source, compiled
from netapp.native.image.places import check_output, put, scratch
from netapp.native.image.snapshot import add_snapshot, check_snapshot_tools
from netapp.native.image.toolchain import OWN, BuildError, Toolchain, find_toolchain
from netapp.node.appliance import Appliance

LIMIT = 14_000_000  # bytes
PROGRAM = ("netapp.native.importer", "netapp.native.main")
_HERE = Path(__file__).parent
_KERNEL = _HERE.parent / "kernel"
_ROOT = Path(netapp.__file__).parents[1]
# As one static file that nothing relocates.
_STATIC = "-fno-pic -fno-pie -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -DNDEBUG -w".split()
# Run when a node starts, or never on a packet's way: small rather than quick.
_COLD = (
    *("netapp.drivers.tap", "netapp.event.virtual", "netapp.native."),
    *(f"netapp.net.{name}" for name in "address fragmentation icmp local manager path_mtu ports reassembly".split()),
    *(f"netapp.net.{name}" for name in "routes tagging".split()),
    *(f"netapp.tcp.{name}" for name in "congestion.python error_arrives extras isn listener options".split()),
    *(f"netapp.wire.{name}" for name in "arp icmp vlan".split()),
)
KERNEL_FLAGS = (
    "-O2 -g0 -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector"
    " -fcf-protection=none -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -fno-strict-aliasing"
).split()


@dataclass(frozen=True)
class Image:
    """What was built."""

    path: Path
    size: int
    parts: dict[str, int]  # bytes of it by what they are


@dataclass(frozen=True)
class Wanted:
    appliance: type[Appliance]
    words: Sequence[str] = ()  # of the command line, baked in
    form: str = "elf"  # or iso
    file: Path | None = None  # the appliance's, if it is no module that can be imported


def build(wanted: Wanted, output: Path) -> Image:
    """Raises BuildError."""
    toolchain = find_toolchain(os.environ.get("CC", "gcc"))
    check_snapshot_tools()
    if wanted.form == "iso":
        check_iso_tools()
    check_output(output)
    name = wanted.appliance.__module__
    closure = Closure(toolchain, {name: wanted.file} if wanted.file else {}, baked=("_netapp_image",))
    closure.add((*PROGRAM, name))
    with scratch(_cache()) as folder:
        image = folder / "image.elf"
        parts = link_closure(toolchain, closure, {"_netapp_image": _baked(wanted, closure)}, image)
        _check_size(image, parts)
        parts["snapshot"] = add_snapshot(image)
        size = _check_size(image, parts)
        if wanted.form == "iso":
            disk = image.with_suffix(".iso")
            make_iso(image, disk)
            image, size = disk, disk.stat().st_size
        put(image, output)
    return Image(output, size, parts)


def _check_size(image: Path, parts: dict[str, int]) -> int:
    """Raises BuildError."""
    size = image.stat().st_size
    if size > LIMIT:
        told = ", ".join(f"{part} {part_size / 1e6:.1f}" for part, part_size in parts.items())
        raise BuildError(f"the image would have {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f} ({told})")
    return size


def link_closure(toolchain: Toolchain, closure: Closure, baked: dict[str, str], output: Path) -> dict[str, int]:
    """A file that boots, out of the modules and of `baked` ones, whose text is given; bytes of it by part."""
    cache = _cache()
    with scratch(cache) as folder, _alone(cache):
        image = folder / "image.elf"
        parts = _linked(toolchain, closure, baked, cache, image)
        put(image, output)
    return parts


def _baked(wanted: Wanted, closure: Closure) -> str:
    """The module that tells the image's program what it is."""
    values = {
        "NAME": wanted.appliance.name,
        "APPLIANCE": f"{wanted.appliance.__module__}:{wanted.appliance.__qualname__}",
        "WORDS": tuple(wanted.words),
        "FILES": closure.data(),
    }
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def _linked(toolchain: Toolchain, closure: Closure, baked: dict[str, str], cache: Path, image: Path) -> dict[str, int]:
    """Makes the file; bytes of it by part."""
    folder = image.parent
    built_in = [module.name for module in closure.of(Kind.BUILT_IN)]
    modules = closure.of(Kind.COMPILED)
    tables = freeze(toolchain, closure.of(Kind.PLAIN), baked, folder)
    tables.append(inittab(built_in, [module.name for module in modules], folder))
    includes = tuple(f"-I{path}" for path in toolchain.includes)
    headers = tuple(sorted(_KERNEL.glob("*.h")))
    sources, libraries = _cythonized(toolchain, modules, cache)
    sources += [
        Source(f"kernel.{path.stem}", path, tuple(KERNEL_FLAGS), headers) for path in sorted(_KERNEL.glob("*.[cS]"))
    ]
    own = ["main", *(name.lstrip("_") for name in OWN if name in built_in)]
    flags = ("-g0", *_STATIC, *includes)
    # Within main() the value that a stack protector compares changes: kernel/snapshot.c.
    plain = ("-O2", "-fno-stack-protector", *flags)
    sources += [Source(f"image.{name}", _HERE / f"{name}.c", plain, headers) for name in own]
    objects = compiled(toolchain, sources, cache / "o")
    flags += (f"-Wa,-I{folder}",)
    objects += compiled(toolchain, [Source(f"image.{path.stem}", path, flags) for path in tables], folder / "o")
    return link(toolchain, objects, image, built_in, libraries)


def _cythonized(toolchain: Toolchain, modules: Sequence[Module], cache: Path) -> tuple[list[Source], list[str]]:
    """C of the modules, and the libraries that it needs."""
    sources: list[Source] = []
    libraries: list[str] = []
    for root, group in groupby(sorted(modules, key=lambda module: str(module.root)), lambda module: module.root):
        # The tree's own build makes the same C.
        output = root / "build/release/c" if _is_tree(root) else cache / "c"
        told = _cython(root, {module.name: module.place for module in group}, output)
        for name, one in sorted(told.items()):
            flags = (
                *C_FLAGS,
                *RELEASE_FLAGS,
                *_STATIC,
                *(("-Os",) if name.startswith(_COLD) else ()),
                *release_macros(name),
                f"-DPyInit_{name.rpartition('.')[2]}={initializer(name)}",
                f"-ffile-prefix-map={root}=.",
                *(f"-I{path}" for path in (*toolchain.includes, root, _ROOT)),
            )
            depends = tuple(root / path for path in one["depends"] if path.endswith(".h"))
            sources.append(Source(name, root / one["c"], flags, depends))
            libraries += one["libraries"]
    return sources, libraries


def _cython(root: Path, modules: dict[str, str], output: Path) -> dict[str, dict[str, str]]:
    """By module: its C, the libraries that it asks for, and what it is made of."""
    wanted = {"modules": modules, "output": os.path.relpath(output, root), "jobs": JOBS, "include": [str(_ROOT)]}
    done = subprocess.run(
        [sys.executable, "-m", "netapp.native.image.cythonizer"],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])},
    )
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr, end="")
        raise BuildError("Cython failed, as it says above")
    told: dict[str, dict[str, str]] = json.loads(done.stdout)
    return told


def _is_tree(root: Path) -> bool:
    return (root / "setup.py").is_file() and os.access(root, os.W_OK)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One image at a time: what two have in common is compiled once."""
    with (cache / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    """Where objects are kept: in the tree that this is, or the user's."""
    if _is_tree(_ROOT):
        folder = _ROOT / "build/native"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", f"netapp-{netapp.__version__}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
