"""CPython's own tests, and the image that runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from netapp.native.image.build import PROGRAM, link_closure
from netapp.native.image.closure import Closure
from netapp.native.image.toolchain import PYTHON, Toolchain, find_toolchain

PACKAGE = f"libpython{PYTHON}-testsuite"
_HERE = Path(__file__).parent
FOLDER = _HERE.parents[2] / "build" / "cpython"


# What tests import by other means than a statement, or only in functions of the standard library.
_ALSO = (
    *("_sysconfigdata__x86_64-linux-gnu", "_pydecimal", "_pyio", "_strptime", "difflib", "pprint"),
    *("unittest.async_case", "unittest.mock", "test.datetimetester", "test.test_warnings.data"),
    *("asyncore", "asynchat", "smtpd", "logging.config", "xml.dom.expatbuilder", "_tokenize"),
)
_DATA = ("ieee754.txt",)  # read through the importer


class NotFetched(Exception):
    """One line: why."""


def fetched() -> Path:
    """The folder of the tests: Debian's package, unpacked below build/ and never installed."""
    folder = FOLDER / f"usr/lib/python{PYTHON}/test"
    if not folder.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                ["apt-get", "-q", "download", PACKAGE], cwd=FOLDER, capture_output=True, check=True, timeout=120
            )
            (archive,) = FOLDER.glob(f"{PACKAGE}_*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, FOLDER], check=True, capture_output=True)
            archive.unlink()
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise NotFetched(f"Debian's {PACKAGE} cannot be fetched: {error}") from None
    return folder


def _files(toolchain: Toolchain) -> dict[str, Path]:
    """By module: those of the package, those that the tests share, which Python's library has, and the program."""
    found = {PROGRAM[1]: _HERE / "runner.py"}
    for folder in (toolchain.standard_library / "test", fetched()):
        for path in folder.rglob("[!b]*.py"):  # those of bad syntax are read by tests
            parts = ("test", *path.relative_to(folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    found["test.test_warnings.data"] = found["test"]  # which has no file there
    return found | {"test.test_json": _HERE / "json_package/__init__.py"}


def build_image(modules: Sequence[str], output: Path) -> None:
    toolchain = find_toolchain()
    closure = Closure(toolchain, _files(toolchain), baked=("_netapp_image",), strict=False)
    encodings: list[str] = []
    if "test_codecs" in modules:
        encodings = [f"encodings.{path.stem}" for path in (toolchain.standard_library / "encodings").glob("[!_]*.py")]
    closure.add((*PROGRAM, *_ALSO, *encodings, *(f"test.{name}" for name in modules)))
    data = {f"test/{name}": (fetched() / name).read_bytes() for name in _DATA}
    link_closure(toolchain, closure, {"_netapp_image": f"FILES = {data!r}\n"}, output)
