"""What a module imports, as its text says: `import` of Python and `cimport` of a .pxd."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, SimpleNamespace

_CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?cimport\s+(\([^)]*\)|[^#\n]+)", re.MULTILINE)
# What is known of the image before it runs. A condition that asks for more may come out either way.
_KNOWN = {
    "__name__": "",
    "TYPE_CHECKING": False,
    "typing": SimpleNamespace(TYPE_CHECKING=False),
    "sys": SimpleNamespace(platform="linux", byteorder="little", version_info=(3, 11), maxsize=2**63 - 1),
    "os": SimpleNamespace(name="posix"),
}


@dataclass(frozen=True)
class Import:
    """`module`, and then `name` of it, if it has one: a submodule perhaps. `sure`: the importing module cannot do
    without it."""

    module: str
    name: str = ""
    sure: bool = True


def imports_of(text: str, module: str, is_package: bool, later: bool) -> Iterator[Import]:
    """Of a .py file. `later`: what its functions import, too."""
    package = module if is_package else module.rpartition(".")[0]
    yield from _of_body(ast.parse(text).body, package, later, True)


def cimports_of(text: str) -> Iterator[Import]:
    """Of a .pxd file: modules whose types are imported when a module that includes it starts."""
    for module, names in _CIMPORT.findall(text):
        for name in names.strip("()").replace("\n", " ").split(","):
            name = name.split(" as ")[0].strip()
            if name:
                yield Import(module, name, False) if module else Import(name, "", False)


def _of_body(body: list[ast.stmt], package: str, later: bool, sure: bool) -> Iterator[Import]:
    for statement in body:
        yield from _of_statement(statement, package, later, sure)


def _of_statement(node: ast.stmt, package: str, later: bool, sure: bool) -> Iterator[Import]:
    match node:
        case ast.Import():
            yield from (Import(alias.name, "", sure) for alias in node.names)
        case ast.ImportFrom():
            above = package.split(".")[: -(node.level - 1) or None] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (Import(module, alias.name, sure) for alias in node.names)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if later:
                yield from _of_body(node.body, package, later, False)
        case ast.If():
            decided = _decided(node.test)
            if decided is not False:
                yield from _of_body(node.body, package, later, sure and decided is not None)
            if decided is not True:
                yield from _of_body(node.orelse, package, later, sure and decided is not None)
        case ast.Try() if any(_catches(handler) for handler in node.handlers):
            yield from _of_body(node.body, package, later, False)
            yield from _of_body(node.orelse, package, later, False)
            yield from _of_body(node.finalbody, package, later, sure)
            for handler in node.handlers:
                yield from _otherwise(node, handler, package, later)
        case _:
            for _, value in ast.iter_fields(node):
                for one in value if isinstance(value, list) else ():
                    if isinstance(one, ast.stmt):
                        yield from _of_statement(one, package, later, sure)
                    elif isinstance(one, ast.ExceptHandler | ast.match_case):
                        yield from _of_body(one.body, package, later, False)


@dataclass(frozen=True)
class Otherwise(Import):
    """Imported only where one of `instead_of` cannot be."""

    instead_of: tuple[Import, ...] = ()


def _otherwise(node: ast.Try, handler: ast.ExceptHandler, package: str, later: bool) -> Iterator[Import]:
    tried = tuple(_of_body(node.body, package, False, False))
    for found in _of_body(handler.body, package, later, False):
        yield Otherwise(found.module, found.name, False, tried)


def _catches(handler: ast.ExceptHandler) -> bool:
    """Whether it is for a module that is not there."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")
    return any(isinstance(kind, ast.Name) and kind.id in caught for kind in kinds)


def _decided(test: ast.expr) -> bool | None:
    """What a condition comes to in an image; None: that depends."""
    code: CodeType = compile(ast.fix_missing_locations(ast.Expression(test)), "", "eval")
    try:
        return bool(eval(code, {"__builtins__": {}}, dict(_KNOWN)))
    except Exception:
        return None
