"""Finding appliances: by entry point, module or file; as compiled, or from their sources."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import click

from netapp.node.appliance import Appliance

GROUP = "netapp.appliances"


class NotFound(click.ClickException):
    """There is no such appliance."""

    exit_code = 2


def find_appliance(name: str, uncompiled: bool = False) -> type[Appliance]:
    """`name`: an entry point's, `package.module`, `package.module:Class` or `path/file.py[:Class]`. Raises NotFound,
    and whatever the module raises. `uncompiled`: from sources, beside the compiled one, which may be in use."""
    if uncompiled and (package := package_of(name)):
        with from_sources(package):
            return find_appliance(name)
    module_name, _, class_name = _target(name).partition(":")
    try:
        module = _from_file(Path(module_name)) if module_name.endswith(".py") else _imported(module_name, name)
    except SystemExit as error:
        raise click.ClickException(f"{name} ends the program when it is imported: exit({error.code!r})") from None
    found = _chosen(module, class_name, name)
    found.name = name
    return found


def package_of(name: str) -> str:
    """The top-level package of an appliance's module; empty for a file."""
    module_name = _target(name).partition(":")[0]
    return "" if module_name.endswith(".py") else module_name.partition(".")[0]


def _target(name: str) -> str:
    points = entry_points(group=GROUP, name=name)
    return next(iter(points)).value if points else name


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise NotFound(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _imported(module_name: str, name: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.append("")  # the current directory
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        known = ", ".join(sorted(point.name for point in entry_points(group=GROUP)))
        raise NotFound(f"no appliance or module is called {name}: `netapp list` shows {known or 'none'}") from None
    except (ValueError, TypeError):  # an empty name, a relative one
        raise NotFound(f"{name!r} is no name of an appliance, module or file") from None


def _chosen(module: ModuleType, class_name: str, name: str) -> type[Appliance]:
    if class_name:
        found = getattr(module, class_name, None)
        if not (inspect.isclass(found) and issubclass(found, Appliance)):
            raise NotFound(f"{module.__name__} has no appliance {class_name}")
        return found
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Appliance)
        and value is not Appliance
        and (value.__module__ + ".").startswith(module.__name__ + ".")
    ]
    if len(own) != 1:
        which = " or ".join(f"{name}:{one.__name__}" for one in own)
        advice = f"say {which}" if own else "one is a class that derives from Appliance"
        raise NotFound(f"{name} has {len(own)} appliances: {advice}")
    return own[0]


def listed() -> Iterator[tuple[str, str]]:
    """Name and description of every entry point; of one that cannot be imported, why."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            yield point.name, find_appliance(point.name).description()
        except Exception as error:
            yield point.name, f"(cannot be imported: {type(error).__name__}: {error})"


class _Sources(MetaPathFinder):
    """Finds modules of one package in their `.py`, though an extension stands beside it."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.package and not name.startswith(self.package + "."):
            return None
        for entry in sys.path if path is None else path:
            spec = FileFinder(entry or ".", (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


@contextmanager
def from_sources(package: str) -> Iterator[None]:
    """Within it, the modules of `package` are imported from their sources, beside compiled ones that are loaded.

    The modules that were there before are back afterwards; what was imported within keeps what it imported.
    """
    if package == "netapp":
        raise click.UsageError("--uncompiled is for appliances: the modules of netapp run compiled only")

    def mine() -> list[str]:
        return [name for name in sys.modules if name == package or name.startswith(package + ".")]

    before = {name: sys.modules.pop(name) for name in mine()}
    finder = _Sources(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if before:
            for name in mine():
                del sys.modules[name]
            sys.modules.update(before)
