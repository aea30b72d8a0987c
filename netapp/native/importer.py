"""Finds the modules of an image: those in C below a package, too, which Python's own finder overlooks (3.11), and
Python's with a place, so that `pkgutil.get_data()` finds the files of their packages."""

import _imp
import sys
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, ModuleSpec
from types import CodeType, ModuleType

# Of the standard library, what others import and hardly ever use. It is run when somebody looks into it.
_LATER = frozenset({"inspect", "linecache", "textwrap", "traceback"})


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
        if module.__name__ in _LATER:
            module.__class__ = _Later
        else:
            exec(cls.get_code(module.__name__), module.__dict__)

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


sys.meta_path.insert(0, Importer)
