"""What an image has of Python code and tables: frozen modules, and the list of modules in C."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from netapp.native.image import freezer
from netapp.native.image.closure import Module
from netapp.native.image.toolchain import BuildError, Toolchain

_STANDARD_OPTIMIZE = 2  # neither docstrings nor assertions
_INITIALIZERS = {  # of modules in C whose function is called otherwise, or that have none
    "builtins": "NULL",
    "sys": "NULL",
    "marshal": "PyMarshal_Init",
    "_warnings": "_PyWarnings_Init",
}


def freeze(toolchain: Toolchain, modules: Sequence[Module], baked: Mapping[str, str], folder: Path) -> list[Path]:
    """C and assembly, in `folder`, of the modules and of `baked` ones, whose text is given."""
    wanted: list[tuple[str, str, str, int]] = []
    for module in modules:
        shown = f"python/{module.place}" if module.standard else module.place
        wanted.append((module.name, str(module.source), shown, _STANDARD_OPTIMIZE if module.standard else 0))
    for name, text in baked.items():
        path = folder / f"{name}.py"
        path.write_text(text)
        wanted.append((name, str(path), path.name, 0))
    # Its own environment: what is in ours must not show.
    done = subprocess.run(
        [toolchain.python, "-S", "-s", "-P", "-B", freezer.__file__],
        input=json.dumps(wanted).encode(),
        capture_output=True,
        env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
    )
    if done.returncode != 0:
        raise BuildError(f"modules cannot be frozen: {done.stderr.decode().splitlines()[-1]}")
    head, _, blob = done.stdout.partition(b"\n")
    lengths: list[tuple[str, int]] = json.loads(head)
    (folder / "frozen.bin").write_bytes(blob)
    packages = {module.name for module in modules if module.is_package}
    lines, offset = [], 0
    for name, length in lengths:
        lines.append(f'    {{"{name}", netapp_frozen_code + {offset}, {length}, {int(name in packages)}, NULL}},')
        offset += length
    table, code = folder / "frozen.c", folder / "frozen_code.S"
    table.write_text(
        "#include <Python.h>\n\nextern const unsigned char netapp_frozen_code[];\n"
        "const struct _frozen netapp_frozen[] = {\n" + "\n".join(lines) + "\n    {0}\n};\n"
    )
    code.write_text(
        '    .section .rodata\n    .globl netapp_frozen_code\nnetapp_frozen_code:\n    .incbin "frozen.bin"\n'
        '    .section .note.GNU-stack,"",@progbits\n'
    )
    return [table, code]


def initializer(module: str) -> str:
    """The C function of a compiled module. Cython names it after the last part of the name, of which there are many."""
    return "PyInit_" + module.replace("_", "_1").replace(".", "_2")


def inittab(built_in: Sequence[str], compiled: Sequence[str], folder: Path) -> Path:
    """The table of modules in C, which takes the place of that of Python's library, and with it all that only that
    names."""
    entries = {name: _INITIALIZERS.get(name, f"PyInit_{name}") for name in built_in}
    entries |= {name: initializer(name) for name in compiled}
    functions = sorted({one for one in entries.values() if one != "NULL"})
    path = folder / "modules.c"
    path.write_text(
        "#include <Python.h>\n\n"
        + "".join(f"extern PyObject *{one}(void);\n" for one in functions)
        + "\nstruct _inittab _PyImport_Inittab[] = {\n"
        + "".join(f'    {{"{name}", {one}}},\n' for name, one in sorted(entries.items()))
        + "    {NULL, NULL}\n};\n"
    )
    return path
