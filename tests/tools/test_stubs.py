"""tools/stubs.py: what Python sees of a machine module, and what mypy then finds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.stubs import Stub, main, parse_pxd, statements, type_and_name

BASE_PXD = '''\
"""A base."""
from libc.stdint cimport uint32_t, uint64_t

ctypedef uint64_t nanoseconds_t
cdef enum:
    LIMIT = 3
cdef struct view_t:
    uint32_t length

cdef class Base:
    """Not a declaration: cdef public int wrong."""
    cdef readonly uint32_t a, b      # a comment with (an open bracket
    cdef public object wake
    cdef readonly:
        nanoseconds_t since
    cdef char* secret
    cdef int private(self) except -1
    cpdef int add(self, uint32_t n, bint fast=*) except -1
'''
BASE_PY = """\
import cython

if not cython.compiled:
    raise ImportError

SYN = 2
FLAGS = SYN | 4
MAXIMUM = LIMIT
NAMES = ("a", "b")
_HIDDEN = 1

class Base:
    def __cinit__(self, n: cython.uint = 1):
        self.a = n

    def private(self):
        return 0

    def add(self, n, fast=False):
        x: uint32_t = n
        return x
"""
USER_PXD = """\
from pkg.base cimport (Base,
    nanoseconds_t as ns)
cimport cython

@cython.final
cdef class User(Base):
    cdef readonly Base other
    cdef readonly double ratio
    cdef public unsigned long long total
    @cython.locals(x=int)
    cpdef Base find(self, bytes key, ns now, Base other=*)
    cpdef close(self)

cdef inline int helper(int x) noexcept:
    return x
cdef int counter
cpdef uint64_t clock(int which)
"""
USER_PY = '''\
from __future__ import annotations
import enum
from collections.abc import Callable
from dataclasses import dataclass
from cython.cimports.pkg.base import Base

counter = 0
maximum: uint64_t = 3

class State(enum.IntEnum):
    OPEN = 1

@dataclass(frozen=True)
class Options:
    size: int = 3

class _Private(Exception):
    pass

class Failed(_Private):
    """Shown."""

class User(Base):
    def find(self, key, now, other=None):
        if other is None:
            return None
        return other

    def close(self):
        self.total = 0

    def private(self):
        """A cdef method of the base."""
        return 1

    def add(self, n, fast=True):
        return n

    @property
    def options(self) -> Options:
        return Options()

    def watch(self, f: Callable[[int], None], n: uint32_t) -> bool:
        return True

    def _hidden(self): ...

    def __getbuffer__(self, buffer, flags): ...

def helper(x):
    return x

def clock(which):
    return 1
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    package = tmp_path / "pkg"
    package.mkdir()
    for name, text in {
        "__init__.py": "PUBLIC = {'User': 'pkg.user', 'Absent': 'pkg.absent'}\n",
        "__init__.pxd": "",
        "base.pxd": BASE_PXD,
        "base.py": BASE_PY,
        "user.pxd": USER_PXD,
        "user.py": USER_PY,
    }.items():
        (package / name).write_text(text)
    return tmp_path


def stub(tree: Path, name: str) -> list[str]:
    return Stub(tree, tree / "pkg" / f"{name}.py").text().splitlines()


def test_statements_join_brackets_and_drop_comments_and_strings() -> None:
    assert statements('a(b,  # x (\n  c)\n"""x\ncdef y"""\n  d "#"') == [(0, "a(b, c)"), (0, "''"), (2, "d ''")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const uint8_t* data", ("const uint8_t*", "data")),
        ("unsigned long long n", ("unsigned long long", "n")),
        ("uint8_t mac[6]", ("uint8_t[6]", "mac")),
        ("lone", ("", "lone")),
    ],
)
def test_type_and_name(text: str, expected: tuple[str, str]) -> None:
    assert type_and_name(text) == expected


def test_pxd_class() -> None:
    found = parse_pxd(BASE_PXD)
    assert found.classes["Base"].attributes == {
        "a": ("uint32_t", True),
        "b": ("uint32_t", True),
        "wake": ("object", False),
        "since": ("nanoseconds_t", True),
    }
    assert found.classes["Base"].private == {"secret", "private"}
    assert found.types["nanoseconds_t"] == "uint64_t"
    assert found.types["view_t"] == "dict[str, Any]"


def test_base(tree: Path) -> None:
    lines = stub(tree, "base")
    assert "SYN: Final = 2" in lines
    assert "FLAGS: int" in lines
    assert "MAXIMUM: int" in lines
    assert "NAMES: tuple[str, str]" in lines
    text = "\n".join(lines)
    assert "    @property\n    def b(self) -> int: ..." in text
    assert "    def since(self) -> int: ..." in lines
    assert "    wake: Any" in lines
    assert "    def __init__(self, n: int = ...) -> None: ..." in lines
    assert "    def add(self, n: int, fast: bool = ...) -> int: ..." in lines
    for hidden in ("private", "secret", "LIMIT", "_HIDDEN", "view_t", "wrong"):
        assert hidden not in text


def test_user(tree: Path) -> None:
    lines = stub(tree, "user")
    assert "from pkg.base import Base" in lines
    assert "from collections.abc import Callable" in lines
    assert "class User(Base):" in lines
    assert "    def other(self) -> Base: ..." in lines
    assert "    def ratio(self) -> float: ..." in lines
    assert "    total: int" in lines
    assert "    def find(self, key: bytes, now: int, other: Base | None = ...) -> Base | None: ..." in lines
    assert "    def close(self) -> None: ..." in lines
    assert "    def add(self, n: int, fast: bool = ...) -> int: ..." in lines
    assert "    def watch(self, f: Callable[[int], None], n: int) -> bool: ..." in lines
    assert "    def __buffer__(self, flags: int, /) -> memoryview: ..." in lines
    assert "def clock(which: int) -> int: ..." in lines
    assert "    OPEN = 1" in lines
    assert "    size: int = ..." in lines
    assert "class _Private(Exception):" in lines
    text = "\n".join(lines)
    for hidden in ("helper", "private", "_hidden", "counter", "maximum"):
        assert hidden not in text


def test_check_then_write_then_remove(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree)
    assert main(["--check", "pkg"]) == 1
    assert "pkg/user.pyi" in capsys.readouterr().err
    assert main(["pkg"]) == 0
    assert main(["--check", "pkg"]) == 0
    (tree / "pkg/user.pxd").unlink()
    assert main(["pkg"]) == 0
    assert not (tree / "pkg/user.pyi").exists()


def test_mypy_finds_a_wrong_attribute(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert main(["pkg"]) == 0
    (tree / "uses.py").write_text(
        "from pkg import User\nu = User(1)\nu.total = u.a + u.add(3)\nu.totl\nu.a = 3\nu.find('x', 1)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "pkg", "uses.py"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tree)
    errors = [line.split(": error: ")[0] for line in result.stdout.splitlines() if ": error: " in line]
    assert errors == ["uses.py:4", "uses.py:5", "uses.py:6"], result.stdout
