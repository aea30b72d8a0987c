"""python -m tests.mutants [LABEL…]: breaks what obeys a requirement, and sees its test fail. Without labels: all.

The tree is copied; each mutant is applied to the copy and built, and the tests that are named after its requirement
are run. Some ten seconds each. --check only looks whether each text occurs once, and each MUST that is met has one.

Exit status: 0, every mutant made a test fail; 1, one did not, or could not be applied; 2, bad usage.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.conformance.requirement import bound, documents
from tests.mutants.mutant import faults, mutants_of
from tests.mutants.tree import Tree

_SEEN = ("fails", "crashes", "hangs")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Breaks what obeys a requirement.")
    parser.add_argument("label", nargs="*", help="MUST-1, …; a mutant's file; without: all")
    parser.add_argument("--check", action="store_true", help="only look at the list")
    given = parser.parse_args(arguments)
    found = documents()
    wrong = [fault for document in found for fault in faults(document)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    if given.check:
        return 1 if wrong else 0
    chosen = [
        (mutant, [test.node for test in bound(document)[mutant.label]])
        for document in found
        for mutant in mutants_of(document)
        if not given.label or mutant.label in given.label or mutant.files in given.label
    ]
    if not chosen:
        parser.error("no mutant of that name")
    unseen = 0
    with tempfile.TemporaryDirectory(prefix="netapp-mutants-") as folder:
        tree = Tree(Path(folder))
        sound = tree.passes(sorted({node for _, nodes in chosen for node in nodes}))
        if sound != "passes":
            print(f"without any mutant one of the tests {sound}", file=sys.stderr)
            return 1
        for mutant, nodes in chosen:
            outcome = mutant.fault(tree.folder) or tree.try_out(mutant, nodes)
            unseen += outcome not in _SEEN
            remark = "" if outcome in _SEEN else "   <-- not seen"
            print(f"{mutant.label:12} {mutant.files:36} {outcome}{remark}", flush=True)
    print(f"{len(chosen)} mutants, {len(chosen) - unseen} seen, {unseen} not")
    return 1 if unseen or wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
