"""python -m tests.native.cpython [MODULE …]: CPython's own tests on the bare machine and on Linux, and what differs.

Exit status: 0; 1, a test that needs no files, threads or sockets ends otherwise on the bare machine and
differences.py has no reason for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.native.cpython.comparison import compare
from tests.native.cpython.differences import reason
from tests.native.cpython.modules import LEFT_OUT, MODULES
from tests.native.cpython.suite import build_image


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.native.cpython", description=(__doc__ or "").split(": ")[1])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="test_int, for example; all, if none")
    parser.add_argument("--all", action="store_true", help="list also the tests that are not compared, or fail alike")
    given = parser.parse_args(arguments)
    modules = tuple(given.modules) or MODULES
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "cpython.elf")
        build_image(modules, image)
        found = compare(image, modules)
    print(found.report(modules))
    different = found.different()
    for name in different:
        print(f"{found.line(name)}: {reason(name) or 'UNKNOWN'}")
    if given.all:
        for name in found.names:
            if found.needs_more(name) or found.of(found.limited, name).kind in ("fail", "error", "end"):
                kind, why = found.of(found.hosted, name)
                print(f"{name}: {kind} ({why}) on Linux; limited and bare: {found.line(name)}")
    if not given.modules:
        for why, names in LEFT_OUT.items():
            print(f"not run, {why}: {len(names.split())} modules: {' '.join(names.split())}")
    return int(any(not reason(name) for name in different))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
