"""Which modules go into an image: what its program and its appliance import, and what those do.

Of the standard library it is what modules import when they are imported themselves; of everything else also what their
functions do.
"""

from __future__ import annotations

import enum
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import netapp
from netapp.native.image.imports import Import, Otherwise, cimports_of, imports_of
from netapp.native.image.toolchain import BuildError, Toolchain

# What the interpreter imports before it runs anything.
_STARTS_WITH: tuple[str, ...] = (
    "builtins",
    "sys",
    "_imp",
    "_thread",
    "_warnings",
    "_weakref",
    "_io",
    "marshal",
    "posix",
    "time",
)
_STARTS_WITH += ("_frozen_importlib", "_frozen_importlib_external", "zipimport", "_codecs", "_signal", "_abc")
_STARTS_WITH += ("encodings", "encodings.aliases", "encodings.utf_8", "codecs", "io", "abc")
# What modules in C, and functions of the standard library that are called at once, import.
_LATER = {
    "_collections": ("copyreg",),
    "_datetime": ("_strptime",),
    "_io": ("encodings.latin_1", "encodings.ascii"),
    "_pickle": ("copyreg", "_compat_pickle"),
    "array": ("copyreg",),
    "hashlib": ("_md5", "_sha1", "_sha256", "_sha512", "_sha3", "_blake2"),
}
_ALIASES = ("importlib._bootstrap", "importlib._bootstrap_external")  # of _frozen_importlib and its kin
_NOT_DATA = {".py", ".pyc", ".pxd", ".pyi", ".pyx", ".so", ".c", ".h", ".S", ".o"}


class Kind(enum.Enum):
    BUILT_IN = "in C, in Python's library"
    DEEP = "Python's library has it frozen"
    PLAIN = "to be frozen"
    COMPILED = "to be compiled"


@dataclass(frozen=True)
class Module:
    name: str
    kind: Kind
    source: Path | None = None
    is_package: bool = False
    standard: bool = False  # of the standard library

    @property
    def root(self) -> Path:
        """The folder that its name counts from."""
        assert self.source is not None
        return self.source.parents[self.name.count(".") + self.is_package]

    @property
    def place(self) -> str:
        """Its file, from there."""
        assert self.source is not None
        return self.source.relative_to(self.root).as_posix()


@dataclass
class Closure:
    toolchain: Toolchain
    files: dict[str, Path] = field(default_factory=dict)  # modules that are not where they would be found, by name
    baked: tuple[str, ...] = ()  # modules that only images have
    strict: bool = True  # otherwise what imports a module that an image cannot have goes into it, too, and fails there
    modules: dict[str, Module | None] = field(default_factory=dict)  # by name; None: there is no such module

    _declarations: dict[str, Path | None] = field(default_factory=dict)  # a module's .pxd
    _cimports: dict[Path, list[Import]] = field(default_factory=dict)

    def add(self, names: Iterable[str]) -> None:
        """Those and all that they import. Raises BuildError for what cannot be in an image."""
        for name in (*_STARTS_WITH, *names):
            if not self._has(name):
                raise BuildError(f"there is no module {name}")

    def of(self, kind: Kind) -> list[Module]:
        return sorted((m for m in self.modules.values() if m and m.kind is kind), key=lambda module: module.name)

    def data(self) -> dict[str, bytes]:
        """Files of packages that are no modules, by their place: `pkgutil.get_data()` finds them."""
        found = {}
        for package in self.of(Kind.PLAIN):
            if package.is_package and not package.standard and package.source is not None:
                for path in package.source.parent.iterdir():
                    if path.is_file() and path.suffix not in _NOT_DATA and path.stat().st_size:
                        found[path.relative_to(package.root).as_posix()] = path.read_bytes()
        return dict(sorted(found.items()))

    def _has(self, name: str) -> bool:
        if name not in self.modules:
            parent = name.rpartition(".")[0]
            if parent and not self._has(parent):
                self.modules[name] = None
                return False
            module = self.modules[name] = self._find(name)
            if module is not None:
                for wanted in _LATER.get(name, ()):
                    self._has(wanted)
                if module.source is not None:
                    self._follow(module)
        return self.modules[name] is not None

    def _find(self, name: str) -> Module | None:
        toolchain = self.toolchain
        if name in toolchain.builtins:
            return Module(name, Kind.BUILT_IN)
        if name in _ALIASES or name in self.baked:
            return Module(name, Kind.DEEP)
        standard = None if name in self.files else _source(toolchain.standard_library, name)
        if name in toolchain.frozen:
            return Module(name, Kind.DEEP, standard, standard is not None and standard.stem == "__init__", True)
        if standard is not None:
            return Module(name, Kind.PLAIN, standard, standard.stem == "__init__", True)
        source = self.files.get(name) or _installed(name)
        if source is None:
            return None
        is_package = source.stem == "__init__"
        compiled = not is_package and name not in self.files and source.with_suffix(".pxd").exists()
        return Module(name, Kind.COMPILED if compiled else Kind.PLAIN, source, is_package)

    def _follow(self, module: Module) -> None:
        assert module.source is not None
        text = importlib.util.decode_source(module.source.read_bytes())
        for found in imports_of(text, module.name, module.is_package, later=not module.standard):
            if module.kind is Kind.COMPILED and found.module.partition(".")[0] == "cython":
                self._cimport(replace(found, module=found.module.removeprefix("cython.cimports.")), set())
                continue
            if isinstance(found, Otherwise) and all(self._can_perhaps(module, other) for other in found.instead_of):
                continue
            if found.sure:
                if not self._can(found) and self.strict:
                    raise BuildError(
                        f"{module.name} imports {found.module}, which an image cannot have: {_why(found.module)}"
                    )
            else:
                self._can_perhaps(module, found)
        if module.kind is Kind.COMPILED:
            self._cimport(Import(module.name), set())

    def _can(self, found: Import) -> bool:
        if not self._has(found.module):
            return False
        module = self.modules[found.module]
        public = vars(netapp)["PUBLIC"].get(found.name) if found.module == "netapp" else None
        if public is not None:
            return self._has(public)
        if found.name and module is not None and module.is_package:
            self._has(f"{found.module}.{found.name}")
        return True

    def _can_perhaps(self, module: Module, found: Import) -> bool:
        """What the standard library could do without, and itself needs something that an image cannot have, is as if it
        were not there: asyncio needs no ssl."""
        before = dict(self.modules)
        try:
            return self._can(found)
        except BuildError:
            if not module.standard:
                raise
            self.modules = before
            return False

    def _cimport(self, found: Import, seen: set[Path]) -> None:
        """A module whose types are named, there or in a .pxd that has no module, is imported by who names them."""
        for name in (found.module, f"{found.module}.{found.name}"):
            if name not in self._declarations:
                self._declarations[name] = _declarations(name)
            pxd = self._declarations[name]
            if pxd is None or pxd in seen:
                continue
            seen.add(pxd)
            if pxd.with_suffix(".py").exists():
                self._has(name)
            if pxd not in self._cimports:
                self._cimports[pxd] = list(cimports_of(pxd.read_text()))
            for other in self._cimports[pxd]:
                self._cimport(other, seen)


def _source(folder: Path, name: str) -> Path | None:
    path = folder.joinpath(*name.split("."))
    return next(filter(Path.is_file, (path / "__init__.py", path.with_suffix(".py"))), None)


def _installed(name: str) -> Path | None:
    """The .py of a module that this interpreter can import, beside which an extension may stand."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    source = path.with_name(path.name.partition(".")[0] + ".py")
    return source if source.is_file() else None


def _declarations(name: str) -> Path | None:
    """The .pxd of a module, which may be there without one."""
    package, _, last = name.rpartition(".")
    parent = _installed(package) if package else None
    path = parent.with_name(last + ".pxd") if parent is not None and parent.stem == "__init__" else None
    return path if path is not None and path.is_file() else None


def _why(name: str) -> str:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        found = None
    if found is not None and found.origin is not None and found.origin.endswith(".so"):
        return "it is a shared library"
    return "there is no such module"
