"""python -m tests.native.cpython [MODULE …]: CPython's own tests on the bare machine and on Linux, and what differs.

What was found out about all of them is kept below build/ until the image is another one.
Exit status: 0; 1, a test ends otherwise on the bare machine and differences.py has no reason for it, one is left out
for no known reason, or the time given was not enough.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from math import inf
from pathlib import Path

from tests.native.cpython.comparison import UNKNOWN, compare
from tests.native.cpython.differences import reason
from tests.native.cpython.kept import Kept
from tests.native.cpython.modules import LEFT_OUT, MODULES
from tests.native.cpython.report import markdown, text
from tests.native.cpython.suite import FOLDER, build_image


def main(arguments: list[str]) -> int:
    about = (__doc__ or "").partition(": ")[2].partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.native.cpython", description=about)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="test_int, for example; all, if none")
    parser.add_argument("--all", action="store_true", help="list also the tests that are left out, or fail alike")
    parser.add_argument("--markdown", action="store_true", help="the table of README.md")
    parser.add_argument(
        "--seconds",
        type=float,
        default=inf,
        help="begin nothing after so many; the same command then goes on from there",
    )
    given = parser.parse_args(arguments)
    modules = tuple(given.modules) or MODULES
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "cpython.elf")
        build_image(modules, image)
        kept = None if given.modules else Kept(FOLDER / "outcomes", image)
        found = compare(image, modules, kept, given.seconds, lambda text: print(text, file=sys.stderr, flush=True))
    print(markdown(found) if given.markdown else text(found))
    unknown = [name for name in found.names if found.needs(name) == UNKNOWN]
    different = found.different()
    for name in different:
        print(f"{found.line(name)}: {reason(name) or 'UNKNOWN'}")
    for name in found.names if given.all else unknown:
        if needs := found.needs(name):
            print(f"{name}: left out, it needs {needs}: {found.of(found.limited, name).why}")
        elif found.of(found.limited, name).kind in ("fail", "error", "end"):
            print(f"{name}: {found.of(found.limited, name)}")
    if not given.modules:
        for why, names in LEFT_OUT.items():
            print(f"not run, {why}: {len(names.split())} modules: {' '.join(names.split())}")
    left = [name for name in modules if name not in found.modules]
    if left:
        print(f"left for the next time: {len(left)} modules: {' '.join(left)}")
    return int(bool(left or unknown) or any(not reason(name) for name in different))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
