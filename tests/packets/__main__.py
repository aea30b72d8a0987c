"""python -m tests.packets FILE…: runs scripts, of files and folders.

Exit status: 0, all passed; 1, one failed; 2, none failed, but one says what the language cannot map, or bad usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.packets.collection import scripts
from tests.packets.errors import Refused, ScriptError
from tests.packets.runner import run


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.packets", description="Runs packet scripts.")
    parser.add_argument("path", nargs="+", type=Path, help="a script, or a folder of *.pkt")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every packet and call")
    given, rest = parser.parse_known_args(arguments)
    options = []
    for one in rest:
        if not one.startswith("--") or "=" not in one:
            parser.error(f"{one}: an option is --name=value, as in a script")
        options.append(one[2:])
    failed = refused = passed = 0
    begun = time.monotonic()
    try:
        found = scripts(given.path)
    except FileNotFoundError as error:
        parser.error(str(error))
    for path in found:
        if given.verbose:
            print(f"--- {path}")
        try:
            run(path, tuple(options), print if given.verbose else lambda line: None)
        except ScriptError as error:
            print(error.report(str(path)), file=sys.stderr)
            refused += isinstance(error, Refused)
            failed += not isinstance(error, Refused)
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed, {refused} refused in {time.monotonic() - begun:.2f} s")
    return 1 if failed else 2 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
