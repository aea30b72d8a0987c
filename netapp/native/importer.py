"""Finds the modules of an image: those in C below a package, too, which Python's own finder overlooks (3.11), and
Python's with a place, so that `pkgutil.get_data()` finds the files of their packages. What the standard library would
compile from text while modules are imported is compiled already."""

from __future__ import annotations

import _imp
import marshal
import sys
from importlib.machinery import BuiltinImporter, ModuleSpec
from types import CodeType, ModuleType

TYPE_CHECKING = False  # it is for typing; `collections` is found by this finder already
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

# Of the standard library, what others import and hardly ever use. It is run when somebody looks into it.
_LATER = frozenset({"inspect", "linecache", "re._casefix", "re._parser", "textwrap", "traceback"})

# What was compiled when the image was built, marshalled. Of Python: (mode, text, 0) and the code. Of regular
# expressions: ("re", pattern, flags) and what _sre.compile() takes.
KNOWN: dict[tuple[str, str | bytes, int], bytes] = {}
TEXTS = "_netapp_texts"  # the frozen code whose constants they are


def _compiled(mode: str, text: str) -> CodeType:
    known = KNOWN.get((mode, text, 0))
    code: CodeType = marshal.loads(known) if known else compile(text, "<string>", mode, dont_inherit=True)
    return code


def _exec(text: str, space: dict[str, Any] | None = None, local: dict[str, Any] | None = None) -> None:
    exec(_compiled("exec", text), space, local)


def _eval(text: str, space: dict[str, Any]) -> Any:
    return eval(_compiled("eval", text), space)


def _patterns(compiler: Callable[..., Any]) -> Callable[..., Any]:
    from _sre import compile as make  # type: ignore[import-not-found]

    def compiled(pattern: Any, flags: int = 0) -> Any:
        known = KNOWN.get(("re", pattern, flags)) if isinstance(pattern, str | bytes) else None
        return make(*marshal.loads(known)) if known else compiler(pattern, flags)

    return compiled


class _Later(ModuleType):
    """Until then."""

    def __getattribute__(self, name: str) -> object:
        if name.startswith("__"):
            return super().__getattribute__(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        exec(Importer.get_code(self.__name__), self.__dict__)
        return getattr(self, name)


class Importer:
    """A finder and a loader. No module has a file: where it would be is its name as a path."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _imp.is_builtin(name):
            return ModuleSpec(name, BuiltinImporter, origin="built-in")  # type: ignore[arg-type]
        if not _imp.is_frozen(name):
            return None
        is_package = _imp.is_frozen_package(name)
        place = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        spec = ModuleSpec(name, cls, origin=place, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """The usual."""

    @classmethod
    def exec_module(cls, module: ModuleType) -> None:
        name = module.__name__
        if name in _LATER:
            module.__class__ = _Later
            return
        space = module.__dict__
        if name in ("collections", "dataclasses"):
            space["exec"], space["eval"] = _exec, _eval
        elif name == "typing":  # of annotations that are text
            space["compile"] = lambda text, file, mode: _compiled(mode, text)
        exec(cls.get_code(name), space)
        if name == "re._compiler":
            space["compile"] = _patterns(space["compile"])

    @staticmethod
    def get_code(name: str) -> CodeType:
        code: CodeType = _imp.get_frozen_object(name)
        return code

    @staticmethod
    def get_source(name: str) -> None:
        """There is none."""

    @staticmethod
    def is_package(name: str) -> bool:
        found: bool = _imp.is_frozen_package(name)
        return found

    @staticmethod
    def get_data(path: str) -> bytes:
        """A file of a package."""
        from _netapp_image import FILES  # type: ignore[import-not-found]

        try:
            data: bytes = FILES[path]
        except KeyError:
            raise FileNotFoundError(f"the image has no file {path}") from None
        return data


if _imp.is_frozen(TEXTS):
    KNOWN.update(zip(*Importer.get_code(TEXTS).co_consts, strict=True))
sys.meta_path.insert(0, Importer)
