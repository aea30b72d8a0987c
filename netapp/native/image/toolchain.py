"""What an image is made with: Python as a static library, gcc, Cython; and what to do where something is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYTHON = "3.11"  # whose marshal format, frozen table and built-in modules the image is made for
_PACKAGES = ("Cython==3.3.1", "setuptools", "lz4")
OWN = frozenset(["_contextvars"])  # modules in C that images have from here: the library may not
# Debian's first: one that somebody built has fewer modules in its library.
_CONFIGS = (f"/usr/bin/python{PYTHON}-config", f"python{PYTHON}-config")

_HEADERS = {"stdlib.h": "libc6-dev", "liburing.h": "liburing-dev"}

_ASKED = """
import _imp, json, sys, sysconfig
print(json.dumps({
    "version": sys.version.split()[0],
    "library": sysconfig.get_path("stdlib"),
    "include": [sysconfig.get_path("include"), sysconfig.get_path("platinclude")],
    "frozen": [name for name in _imp._frozen_module_names() if _imp.is_frozen(name)],
}))
"""


class BuildError(Exception):
    """One line: what is wrong, and what to do."""


@dataclass(frozen=True)
class Toolchain:
    gcc: tuple[str, ...]
    gcc_version: str
    python: str  # the interpreter whose library it is: it freezes modules
    python_version: str
    includes: tuple[str, ...]
    archive: Path  # libpython3.11.a
    builtins: frozenset[str]  # modules in C: the archive's, and our own
    frozen: frozenset[str]  # and frozen
    standard_library: Path


def find_toolchain(command: str = "gcc") -> Toolchain:
    """`command`: the C compiler, in several words perhaps. Raises BuildError, which names all that is missing."""
    missing: list[str] = []  # Debian packages
    gcc = tuple(command.split()) or ("gcc",)
    if any(shutil.which(word) is None for word in gcc):
        missing += ["gcc", "libc6-dev", "liburing-dev"]
    else:
        missing += [package for header, package in _HEADERS.items() if not _includes(gcc, header)]
    config = next(filter(None, map(shutil.which, _CONFIGS)), None)
    archive = Path(_output(config, "--configdir"), f"libpython{PYTHON}.a") if config else None
    if config is None or archive is None or not archive.is_file():
        missing.append(f"python{PYTHON}-dev")
    unfit = [wanted for wanted in _PACKAGES if not _is_installed(*wanted.split("=="))]
    if missing or unfit or config is None or archive is None:
        advice = [f"apt install {' '.join(missing)}"] if missing else []
        advice += [f"pip install {' '.join(unfit)}"] if unfit else []
        raise BuildError(f"an image cannot be built without {', '.join(missing + unfit)}: {' && '.join(advice)}")
    python = config.removesuffix("-config")
    asked = json.loads(_output(python, "-I", "-S", "-c", _ASKED))
    return Toolchain(
        gcc=gcc,
        gcc_version=_output(*gcc, "--version").partition("\n")[0],
        python=python,
        python_version=asked["version"],
        includes=tuple(dict.fromkeys(asked["include"])),
        archive=archive,
        builtins=_builtins(archive.with_name("config.c")) | OWN,
        frozen=frozenset(asked["frozen"]),
        standard_library=Path(asked["library"]),
    )


def _is_installed(package: str, wanted: str = "") -> bool:
    try:
        return version(package) == wanted or not wanted
    except PackageNotFoundError:
        return False


def _includes(gcc: tuple[str, ...], header: str) -> bool:
    command = [*gcc, "-E", "-x", "c", "-include", header, "/dev/null"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(f"{command[0]} does not run: {error}") from None


def _builtins(config: Path) -> frozenset[str]:
    """The table that the library was made with: lines as `{"math", PyInit_math},`."""
    found = set()
    for line in config.read_text().splitlines():
        if line.strip().startswith('{"'):
            found.add(line.split('"')[1])
    return frozenset(found)
