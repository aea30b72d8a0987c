"""Cython in a process of its own, for it is patched: `python -m netapp.native.image.cythonizer`, in the folder that the
modules' names count from. Reads what is wanted from standard input, and tells what came of it on standard output, as
JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    from Cython.Compiler.Errors import CompileError
    from setuptools import Extension  # type: ignore[import-untyped,unused-ignore]

    from netapp.compiling import cythonized, leave_arguments_unchecked, locked

    wanted: dict[str, Any] = json.load(sys.stdin)
    output = Path(wanted["output"])
    locks = locked(output.with_name("lock"), wanted["modules"])
    leave_arguments_unchecked()
    extensions = [Extension(name, [source]) for name, source in wanted["modules"].items()]
    try:
        done = cythonized(extensions, output, wanted["jobs"], include_path=wanted["include"])
    except CompileError as error:
        print(f"{error} does not compile", file=sys.stderr)
        return 1
    told = {
        name: {"c": made.sources[0], "libraries": made.libraries, "depends": made.depends}
        for name, made in done.items()
    }
    json.dump(told, sys.stdout)
    for lock in locks:
        lock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
