#!/usr/bin/env python3
"""Writes X.pyi beside each machine module, from X.py and X.pxd, so that mypy checks those who use it.

    tools/stubs.py [--check] [FOLDER...]        default folders: netapp bench

A stub shows what Python sees: classes with their `readonly` and `public` attributes, cpdef and def methods, module
functions and constants. cdef methods, private attributes and names with a leading underscore are left out. Types come
from the `.pxd`; annotations in the `.py` are taken where the `.pxd` says nothing. --check writes nothing and fails if
a stub is not what it would be.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

INTEGERS = {
    *"char short int long signed unsigned size_t ssize_t Py_ssize_t Py_hash_t Py_UCS4 uint sizeint".split(),
    *"uchar ushort ulong longlong ulonglong schar".split(),
    *(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("uintptr_t", "intptr_t", "off_t", "time_t", "pid_t", "mode_t", "socklen_t", "clockid_t"),
}
PYTHON = {
    "object": "Any",
    "void": "None",
    "bint": "bool",
    "float": "float",
    "double": "float",
    "list": "list[Any]",
    "dict": "dict[Any, Any]",
    "set": "set[Any]",
    "frozenset": "frozenset[Any]",
    "tuple": "tuple[Any, ...]",
    "type": "type[Any]",
    **{name: name for name in ("bytes", "bytearray", "str", "bool", "memoryview", "slice", "complex")},
}
TYPING = ("Any", "ClassVar", "Final")
HIDDEN = ("__cinit__", "__dealloc__", "__getbuffer__", "__releasebuffer__")


@dataclass
class Method:
    """A cpdef function or method as the .pxd declares it."""

    returns: str
    arguments: list[tuple[str, str]]  # (type, name)
    optional: set[str] = field(default_factory=set)  # names of arguments that may be None


@dataclass
class Class:
    base: str = ""
    attributes: dict[str, tuple[str, bool]] = field(default_factory=dict)  # name: (type, readonly)
    methods: dict[str, Method] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)


@dataclass
class Declarations:
    """What one .pxd declares."""

    classes: dict[str, Class] = field(default_factory=dict)
    functions: dict[str, Method] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)  # cdef functions and variables
    types: dict[str, str] = field(default_factory=dict)  # typedef, enum, struct: what Python sees
    constants: set[str] = field(default_factory=set)  # members of enums
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)  # local name: (module, name there or "")


def statements(text: str) -> list[tuple[int, str]]:
    """The logical lines of a .pxd as (indentation, text): no comments, no strings, brackets joined."""
    text = re.sub(r'("""|\'\'\')(?:.|\n)*?\1', lambda m: "''" + "\n" * m.group().count("\n"), text)
    found: list[tuple[int, str]] = []
    buffer, depth, indentation = "", 0, 0
    for raw in text.splitlines():
        line = re.sub(r"#.*", "", re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", "''", raw)).rstrip()
        if not buffer:
            indentation = len(line) - len(line.lstrip())
        buffer += " " + line.strip().removesuffix("\\")
        depth += sum(line.count(c) for c in "([{") - sum(line.count(c) for c in ")]}")
        if depth <= 0 and not line.endswith("\\"):
            if buffer.strip():
                found.append((indentation, " ".join(buffer.split())))
            buffer, depth = "", 0
    return found


def split(text: str) -> list[str]:
    """At the commas that stand outside brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]


def type_and_name(text: str) -> tuple[str, str]:
    """`const uint8_t* data` -> ("const uint8_t*", "data"); a lone word is an untyped name."""
    match = re.fullmatch(r"(.*?[\s*\]&])?\s*(\w+)((?:\[\w*\])*)", text.strip())
    if match is None:
        return "?", ""
    return (match[1] or "").strip() + match[3], match[2]


def function(text: str) -> tuple[str, Method] | None:
    """The head of a C function: `TYPE name(TYPE a, TYPE b=*) noexcept`."""
    match = re.match(r"([^()]*?)(\w+)\s*\((.*)\)[^()]*$", text.rstrip(": "))
    if match is None:
        return None
    returns = re.sub(r"\b(inline|api|public)\b", "", match[1]).strip()
    method = Method(returns or "object", [])
    for argument in split(match[3]):
        plain = re.sub(r"\s+(not|or) None$", "", argument.split("=")[0].strip())
        method.arguments.append(type_and_name(plain))
        if re.search(r"\sor None\b|=\s*None$", argument):
            method.optional.add(method.arguments[-1][1])
    return match[2], method


def parse_pxd(text: str) -> Declarations:
    found = Declarations()
    current: Class | None = None  # the class whose body this is
    inside = 0  # indentation of the current class
    skip: int | None = None  # indentation of a block that Python does not see
    enumeration = False  # that block is an enum
    prefix: list[tuple[int, str]] = []  # blocks such as `cdef readonly:`
    for indentation, line in statements(text):
        if skip is not None:
            if indentation > skip:
                if enumeration:
                    found.constants |= {member.partition("=")[0].strip() for member in split(line)}
                continue
            skip, enumeration = None, False
        while prefix and indentation <= prefix[-1][0]:
            prefix.pop()
        if current and indentation <= inside:
            current = None
        if prefix:
            line = f"{prefix[-1][1]} {line}"
        if re.fullmatch(r"(cdef|cpdef)( readonly| public)?\s*:", line):
            prefix.append((indentation, line.rstrip(" :")))
        elif match := re.match(r"from\s+([\w.]+)\s+c?import\s+\(?([^)]*)\)?$", line):
            for part in split(match[2]):
                name, _, alias = part.partition(" as ")
                found.imports[(alias or name).strip()] = (match[1], name.strip())
        elif match := re.match(r"cimport\s+(.*)$", line):
            for part in split(match[1]):
                name, _, alias = part.partition(" as ")
                found.imports[(alias or name).strip()] = (name.strip(), "")
        elif re.match(r"cdef\s+extern\b", line):
            skip = indentation
        elif match := re.match(r"(?:cdef|ctypedef)\s+(?:public |packed )*(enum|struct|union|fused)\b\s*(\w*)", line):
            found.types[match[2]] = {"enum": "int", "struct": "dict[str, Any]"}.get(match[1], "Any")
            skip, enumeration = indentation, match[1] == "enum"
        elif match := re.match(r"ctypedef\s+(.*)", line):
            declared, name = type_and_name(match[1])
            found.types[name] = declared if "(" not in match[1] else "?"
        elif match := re.match(r"(?:cdef|cpdef)\s+(?:public |api )*class\s+(\w+)\s*(?:\(([^)]*)\))?", line):
            current, inside = Class((match[2] or "").strip()), indentation
            found.classes[match[1]] = current
            if not line.endswith(":"):
                current = None
        elif match := re.match(r"cpdef\s+(.*)", line):
            if parsed := function(match[1]):
                (current.methods if current else found.functions)[parsed[0]] = parsed[1]
        elif match := re.match(r"cdef\s+(.*)", line):
            rest = match[1]
            if "(" in rest:
                if parsed := function(rest):
                    (current or found).private.add(parsed[0])
                if line.endswith(":"):
                    skip = indentation
                continue
            visible = re.match(r"(readonly|public)\s+(.*)", rest)
            first, *others = split(visible[2] if visible else rest)
            declared, name = type_and_name(first)
            names = [(declared, name)]
            for other in others:  # each has stars of its own: `int a, *b`
                plain = other.lstrip("* ")
                names.append((declared.rstrip("* ") + "*" * other.count("*"), plain))
            for declared, name in names:
                if visible and current:
                    current.attributes[name] = (declared, visible[1] == "readonly")
                else:
                    (current or found).private.add(name)
    return found


class Stub:
    """Makes the stub of one module."""

    def __init__(self, root: Path, source: Path) -> None:
        self.root = root
        self.source = source
        self.module = ".".join(source.relative_to(root).with_suffix("").parts)
        self.tree = ast.parse(source.read_text())
        self.pxd = parse_pxd(source.with_suffix(".pxd").read_text())
        self.imports: set[str] = set()  # import lines that the stub needs
        self.python_imports: dict[str, str] = {}  # name: import line of the .py
        self.local = {n.name for n in self.tree.body if isinstance(n, ast.ClassDef)} | set(self.pxd.classes)
        self.known: dict[str, str] = {}  # constants of the module
        self.scope_name = "Any"  # the class whose body is being written

    # -- types

    def c_type(self, text: str, scope: Declarations | None = None, depth: int = 0) -> str:
        """What Python sees of a C type."""
        scope = scope or self.pxd
        text = re.sub(r"\b(const|volatile|readonly|struct|enum)\b", "", text).strip()
        if not text:
            return "Any"
        if "*" in text or "[" in text or depth > 8:
            return "bytes" if re.fullmatch(r"(unsigned )?char\s*(\*|\[\w*\])", text) else "Any"
        words = text.split()
        if text in PYTHON:
            return PYTHON[text]
        if text in ("long double",):
            return "float"
        if all(word in INTEGERS for word in words):
            return "int"
        name = words[-1]
        if name in scope.types:
            seen = scope.types[name]
            return seen if seen in ("Any", "dict[str, Any]") else self.c_type(seen, scope, depth + 1)
        if scope is self.pxd and name in self.local:
            return name
        head, _, member = name.partition(".")
        if head in scope.imports:
            module, original = scope.imports[head]
            if member:
                module, original = (f"{module}.{original}" if original else module), member
            return self.imported(module, original, scope, depth)
        if scope is not self.pxd and name in scope.classes:
            return name
        if name in self.python_names():
            return self.python_name(name)
        return "Any"

    def imported(self, module: str, name: str, scope: Declarations, depth: int) -> str:
        if module in ("libc.stdint", "posix.types") or module.startswith(("libc.", "posix.")):
            return "int"
        path = self.root.joinpath(*module.split(".")).with_suffix(".pxd")
        if not path.exists():
            path = self.root.joinpath(*module.split("."), "__init__.pxd")
        if not path.exists():
            return "Any"
        there = parse_pxd(path.read_text())
        if name in there.classes:
            if module != self.module:
                self.imports.add(f"from {module} import {name}")
            return name
        return self.c_type(name, there, depth + 1) if name in there.types or name in there.imports else "Any"

    def python_names(self) -> dict[str, str]:
        if not self.python_imports:
            nodes = list(self.tree.body)
            for node in self.tree.body:
                if isinstance(node, ast.If):  # if TYPE_CHECKING:
                    nodes += node.body
            for node in nodes:
                if isinstance(node, ast.Import):
                    for a in node.names:
                        line = f"import {a.name}" + (f" as {a.asname}" if a.asname else "")
                        self.python_imports[a.asname or a.name.partition(".")[0]] = line
                elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("cython"):
                    module = "." * node.level + (node.module or "")
                    for a in node.names:
                        line = f"from {module} import {a.name}" + (f" as {a.asname}" if a.asname else "")
                        self.python_imports[a.asname or a.name] = line
        return self.python_imports

    def python_name(self, name: str) -> str:
        self.imports.add(self.python_names()[name])
        return name

    def annotation(self, node: ast.expr | None) -> str:
        """An annotation of the .py, which may name C types."""
        if node is None:
            return "Any"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self.annotation(ast.parse(node.value, mode="eval").body)
        stub = self

        class Map(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                if node.id in stub.local or node.id in ("None", "float", "int", "bool", "object"):
                    return node
                if node.id in TYPING and node.id in stub.python_names():
                    return node
                if node.id in stub.python_names():
                    stub.python_name(node.id)
                    return node
                if node.id in PYTHON:
                    return ast.parse(PYTHON[node.id], mode="eval").body
                mapped = stub.c_type(node.id)
                if mapped == "Any" and node.id in dir(__builtins__):
                    return node
                return ast.parse(mapped, mode="eval").body

            def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
                if not (isinstance(node.value, ast.Name) and node.value.id in PYTHON):  # list[int] stays
                    node.value = self.visit(node.value)
                node.slice = self.visit(node.slice)
                return node

            def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
                if isinstance(node.value, ast.Name) and node.value.id == "cython":
                    return ast.parse(stub.c_type(node.attr), mode="eval").body
                self.generic_visit(node)
                return node

            def visit_Constant(self, node: ast.Constant) -> ast.expr:
                if isinstance(node.value, str):
                    return ast.parse(stub.annotation(node), mode="eval").body
                return node

        return ast.unparse(Map().visit(node))

    def value_type(self, node: ast.expr) -> str:
        """The type of a constant's value, as far as it shows."""
        match node:
            case ast.Constant(value=value):
                return "Any" if value is None or value is ... else type(value).__name__
            case ast.JoinedStr():
                return "str"
            case ast.Tuple(elts=elements):
                kinds = [self.value_type(e) for e in elements]
                if any(isinstance(e, ast.Starred) for e in elements):
                    return "tuple[Any, ...]"
                if len(kinds) > 4 and len(set(kinds)) == 1:
                    return f"tuple[{kinds[0]}, ...]"
                return f"tuple[{', '.join(kinds)}]" if kinds else "tuple[()]"
            case ast.UnaryOp(op=ast.Not()) | ast.Compare():
                return "bool"
            case ast.UnaryOp(operand=operand):
                return self.value_type(operand)
            case ast.BinOp(left=left, op=op, right=right):
                kinds = [self.value_type(left), self.value_type(right)]
                if kinds == ["int", "int"]:
                    return "float" if isinstance(op, ast.Div) else "Any" if isinstance(op, ast.Pow) else "int"
                return kinds[0] if kinds[0] == kinds[1] and kinds[0] in ("str", "bytes", "float") else "Any"
            case ast.Name(id=name):
                constant = name in self.pxd.constants or (name in self.cython_imports() and name.isupper())
                return "int" if constant else self.known.get(name, "Any")
            case ast.Attribute(value=ast.Name(id=name), attr=member) if name in self.cython_imports():
                return "int" if member.isupper() else "Any"
            case ast.Call(func=ast.Name(id=name)) if name in ("int", "str", "bytes", "float", "bool", "len"):
                return "int" if name == "len" else name
            case ast.Call(func=ast.Name(id="frozenset" | "set" | "dict" | "list" as name)):
                return PYTHON[name]
            case ast.Call(func=ast.Name(id=name)) if name in self.local:
                return name
            case ast.Dict():
                return "dict[Any, Any]"
            case ast.List() | ast.ListComp():
                return "list[Any]"
            case ast.Set():
                return "set[Any]"
        return "Any"

    def cython_imports(self) -> set[str]:
        """Names that the .py cimports: an upper-case member of one is taken for a C constant."""
        return {
            a.asname or a.name
            for node in self.tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cython.cimports")
            for a in node.names
        }

    # -- functions

    def signature(self, node: ast.FunctionDef | ast.AsyncFunctionDef, cpdef: Method | None, bound: bool) -> str:
        types = {}
        if cpdef:
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
            for name, (declared, written) in zip(names, cpdef.arguments, strict=False):
                # `cpdef f(self, int)`: a lone known type is a type, any other lone word a name.
                if not declared and written != name and self.c_type(written) != "Any":
                    declared = written
                types[name] = self.c_type(declared)
                if written in cpdef.optional:
                    types[name] += " | None"

        def one(argument: ast.arg, default: ast.expr | None, index: int) -> str:
            if bound and index == 0 and argument.arg in ("self", "cls"):
                return argument.arg
            if argument.annotation is not None or argument.arg not in types:
                declared = self.annotation(argument.annotation)
            else:
                declared = types[argument.arg]
            none = isinstance(default, ast.Constant) and default.value is None
            if none and declared != "Any" and "None" not in declared:
                declared += " | None"
            return f"{argument.arg}: {declared}" + (" = ..." if default is not None else "")

        a = node.args
        positional = [*a.posonlyargs, *a.args]
        defaults = [None] * (len(positional) - len(a.defaults)) + list(a.defaults)
        parts = [one(p, d, i) for i, (p, d) in enumerate(zip(positional, defaults, strict=True))]
        if a.posonlyargs:
            parts.insert(len(a.posonlyargs), "/")
        if a.vararg:
            parts.append(f"*{a.vararg.arg}: {self.annotation(a.vararg.annotation)}")
        elif a.kwonlyargs:
            parts.append("*")
        parts += [one(p, d, -1) for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
        if a.kwarg:
            parts.append(f"**{a.kwarg.arg}: {self.annotation(a.kwarg.annotation)}")

        name = "__init__" if node.name == "__cinit__" else node.name
        if name == "__init__":
            returns = "None"
        elif node.returns is not None:
            returns = self.annotation(node.returns)
        elif name == "__enter__":
            returns = self.scope_name
        elif name == "__iter__":
            returns = "Iterator[Any]"
        else:
            returns = self.c_type(cpdef.returns) if cpdef else SPECIAL.get(name, "Any")
            gives_value, gives_none, only_raises = returned(node)
            if returns == "Any" and not gives_value and not only_raises:
                returns = "None"
            elif gives_value and gives_none and returns not in ("Any", "None", "int", "bool", "float"):
                returns += " | None"
        keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        return f"{keyword} {name}({', '.join(parts)}) -> {returns}: ..."

    # -- classes

    def inherited(self, declared: Class, scope: Declarations | None = None) -> Class:
        """The class with the methods of its bases: an override is cdef or cpdef because its base is."""
        scope = scope or self.pxd
        base, there = declared.base, scope
        head, _, member = base.partition(".")
        if head in scope.imports:
            module, name = scope.imports[head]
            if member:
                module, name = (f"{module}.{name}" if name else module), member
            path = self.root.joinpath(*module.split(".")).with_suffix(".pxd")
            base, there = name, parse_pxd(path.read_text()) if path.exists() else Declarations()
        if base not in there.classes:
            return declared
        parent = self.inherited(there.classes[base], there)
        return Class(
            declared.base,
            declared.attributes,
            parent.methods | declared.methods,
            declared.private | (parent.private - declared.methods.keys()),
        )

    def class_lines(self, node: ast.ClassDef) -> list[str]:
        declared = self.pxd.classes.get(node.name)
        self.scope_name = node.name
        scope = self.inherited(declared) if declared else None
        compiled = declared is not None or any("cclass" in ast.unparse(d) for d in node.decorator_list)
        if declared and declared.base:
            base = self.c_type(declared.base)
            bases = [] if base == "Any" else [base]
        else:
            bases = [self.expression(b) for b in node.bases]
        lines, body = [], []
        for decorator in node.decorator_list:
            text = ast.unparse(decorator)
            if not text.startswith(("cython.", "final", "freelist", "no_gc", "cclass")):
                lines.append("@" + self.expression(decorator))
        data = any("dataclass" in line for line in lines)
        enumeration = any(b.rpartition(".")[2] in ("Enum", "IntEnum", "Flag", "IntFlag", "StrEnum") for b in bases)
        names: set[str] = set()
        for name, (kind, readonly) in (declared.attributes if declared else {}).items():
            names.add(name)
            if readonly:
                body += ["@property", f"def {name}(self) -> {self.c_type(kind)}: ..."]
            else:
                body.append(f"{name}: {self.c_type(kind)}")
        methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        for item in node.body:
            match item:
                case ast.FunctionDef(name="__cinit__") if "__init__" in methods:
                    pass
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    body += self.function_lines(item, scope, bound=True)
                    if not compiled:
                        body += self.assigned(item, names)
                case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_") and name not in names:
                    if declared is None or name not in declared.private:
                        names.add(name)
                        kept = f" = {ast.unparse(item.value)}" if data and item.value is not None else ""
                        body.append(f"{name}: {self.annotation(item.annotation)}{'' if not kept else ' = ...'}")
                case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("_") and name not in names:
                    names.add(name)
                    value = self.value_type(item.value)
                    body.append(f"{name} = {ast.unparse(item.value)}" if enumeration else f"{name}: ClassVar[{value}]")
        lines.append(f"class {node.name}" + (f"({', '.join(bases)})" if bases else "") + ":")
        return lines + [f"    {line}" for line in body or ["..."]]

    def assigned(self, node: ast.FunctionDef | ast.AsyncFunctionDef, names: set[str]) -> list[str]:
        """Attributes that a Python class gets in its methods: `self.x = …`."""
        kinds = {a.arg: self.annotation(a.annotation) for a in node.args.args if a.annotation is not None}
        lines = []
        for item in ast.walk(node):
            if not isinstance(item, ast.Assign | ast.AnnAssign):
                continue
            for target in item.targets if isinstance(item, ast.Assign) else [item.target]:
                match target:
                    case ast.Attribute(value=ast.Name(id="self"), attr=name) if name[0] != "_" and name not in names:
                        names.add(name)
                        if isinstance(item, ast.AnnAssign):
                            kind = self.annotation(item.annotation)
                        elif isinstance(item.value, ast.Name):
                            kind = kinds.get(item.value.id, "Any")
                        else:
                            kind = self.value_type(item.value)
                        lines.append(f"{name}: {kind}")
        return lines

    def function_lines(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Class | Declarations | None, bound: bool
    ) -> list[str]:
        decorators = [ast.unparse(d) for d in node.decorator_list]
        if node.name == "__getbuffer__":
            return ["def __buffer__(self, flags: int, /) -> memoryview: ..."]
        has_init = node.name == "__cinit__"
        if (node.name in HIDDEN and not has_init) or (node.name.startswith("_") and not node.name.startswith("__")):
            return []
        if (scope and node.name in scope.private) or any(d in ("cython.cfunc", "cfunc") for d in decorators):
            return []
        cpdef = None
        if isinstance(scope, Class):
            cpdef = scope.methods.get(node.name)
        elif scope:
            cpdef = scope.functions.get(node.name)
        kept = [
            "@" + d
            for d in decorators
            if d in ("property", "staticmethod", "classmethod", "abstractmethod") or d.endswith((".setter", ".deleter"))
        ]
        return [*kept, self.signature(node, cpdef, bound and "@staticmethod" not in kept)]

    def expression(self, node: ast.expr) -> str:
        for item in ast.walk(node):
            if isinstance(item, ast.Name) and item.id in self.python_names():
                self.python_name(item.id)
        return ast.unparse(node)

    # -- the module

    def text(self) -> str:
        body: list[str] = []
        private: dict[str, list[str]] = {}  # classes that show only if something visible names them
        for node in self.tree.body:
            match node:
                case ast.ClassDef(name=name):
                    lines = ["", *self.class_lines(node)]
                    if name.startswith("_"):
                        private[name] = lines
                    else:
                        body += lines
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    body += self.function_lines(node, self.pxd, bound=False)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    if name not in self.pxd.private and not ast.unparse(value).startswith("cython."):
                        body += self.constant(name, self.value_type(value), value)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    # A C type makes it a C variable, which Python does not see.
                    if name not in self.pxd.private and name not in self.pxd.types and not self.is_c(annotation):
                        body += self.constant(name, self.annotation(annotation), None)
        for _ in range(len(private)):
            for name in sorted(private.keys() & words(body)):
                body += private.pop(name)
        used = words(body)
        head = [f"# Made by tools/stubs.py from {self.source.name} and {self.source.with_suffix('.pxd').name}."]
        if "Iterator" in used and "Iterator" not in self.python_imports:
            head.append("from collections.abc import Iterator")
        if typing := [name for name in TYPING if name in used and name not in self.python_imports]:
            head.append(f"from typing import {', '.join(typing)}")
        for name in used & set(self.python_names()):
            self.python_name(name)
        return "\n".join([*head, *sorted(self.imports), *body]) + "\n"

    def constant(self, name: str, kind: str, value: ast.expr | None) -> list[str]:
        self.known[name] = kind
        if name.startswith("_"):
            return []
        if isinstance(value, ast.Constant) and kind in ("int", "str", "bytes", "bool"):
            return [f"{name}: Final = {value.value!r}"]
        return [f"{name}: {kind}"]

    def is_c(self, node: ast.expr) -> bool:
        text = ast.unparse(node)
        return text.startswith("cython.") or text.split("[")[0] in INTEGERS - {"int"} or text == "bint"


SPECIAL = {
    "__len__": "int",
    "__repr__": "str",
    "__str__": "str",
    "__bytes__": "bytes",
    "__bool__": "bool",
    "__hash__": "int",
    "__eq__": "bool",
    "__ne__": "bool",
    "__lt__": "bool",
    "__le__": "bool",
    "__gt__": "bool",
    "__ge__": "bool",
    "__contains__": "bool",
    "__index__": "int",
    "__int__": "int",
}


def words(lines: list[str]) -> set[str]:
    return set(re.findall(r"\w+", "\n".join(lines)))


def returned(node: ast.AST) -> tuple[bool, bool, bool]:
    """Whether a function returns (or yields) a value, returns None as well, and does nothing but raise."""
    value = none = False

    def walk(item: ast.AST) -> None:
        nonlocal value, none
        for child in ast.iter_child_nodes(item):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                continue
            if isinstance(child, ast.Return):
                empty = child.value is None or (isinstance(child.value, ast.Constant) and child.value.value is None)
                none, value = none or empty, value or not empty
            elif isinstance(child, ast.Yield | ast.YieldFrom):
                value = True
            walk(child)

    walk(node)
    body = [s for s in getattr(node, "body", []) if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return value, none, bool(body) and all(isinstance(s, ast.Raise) for s in body)


def package(root: Path, source: Path) -> str | None:
    """The stub of a package that imports its public names lazily, from its table PUBLIC."""
    for node in ast.parse(source.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="PUBLIC")], value=ast.Dict() as table):
                lines = [f"# Made by tools/stubs.py from {source.name}.", "__version__: str", "__all__: list[str]"]
                for name, module in ast.literal_eval(table).items():
                    if root.joinpath(*module.split(".")).with_suffix(".py").exists():
                        lines.append(f"from {module} import {name} as {name}")
                return "\n".join(lines) + "\n"
    return None


def stubs(root: Path, folders: list[str]) -> dict[Path, str]:
    """Every stub there should be, and its text."""
    found = {}
    for folder in folders:
        for pxd in sorted((root / folder).rglob("*.pxd")):
            source = pxd.with_suffix(".py")
            text = None
            if source.exists():
                text = package(root, source) if pxd.stem == "__init__" else Stub(root, source).text()
            if text is not None:
                found[source.with_suffix(".pyi")] = text
    return found


def main(arguments: list[str]) -> int:
    root = Path.cwd()
    check = "--check" in arguments
    folders = [a for a in arguments if a != "--check"] or ["netapp", "bench"]
    wanted = stubs(root, folders)
    wrong = []
    for target, text in wanted.items():
        if not target.exists() or target.read_text() != text:
            wrong.append(target)
            if not check:
                target.write_text(text)
    for target in sorted(p for folder in folders for p in (root / folder).rglob("*.pyi")):
        if target not in wanted and target.read_text().startswith("# Made by tools/stubs.py"):
            wrong.append(target)
            if not check:
                target.unlink()
    if check and wrong:
        names = " ".join(str(p.relative_to(root)) for p in wrong)
        print(f"stale stubs, `make build` makes them anew: {names}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
