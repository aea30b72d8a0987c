"""python -m tests.conformance: runs the tests of the requirements and writes docs/conformance.md.

--check  writes and runs nothing: whether the page says what the lists and the tests' names say, all tests passing.

Exit status: 0; 1, a test failed, the page is not up to date, or a requirement has neither a test nor a reason.
"""

from __future__ import annotations

import argparse
import sys

import pytest

from tests.conformance.page import PAGE, is_current, render
from tests.conformance.requirement import ROOT, TESTS, documents, faults


class Outcomes:
    """By a test's node, parameters apart, whether it failed."""

    def __init__(self) -> None:
        self.failed: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        node = report.nodeid.partition("[")[0]
        self.failed[node] = self.failed.get(node, False) or report.failed


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Writes docs/conformance.md.")
    parser.add_argument("--check", action="store_true", help="only look whether the page is up to date")
    given = parser.parse_args(arguments)
    found = documents()
    wrong = [fault for document in found for fault in faults(document)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    if given.check:
        if not is_current(found):
            print(f"{PAGE.relative_to(ROOT)} is not up to date: python -m tests.conformance", file=sys.stderr)
            return 1
        return 1 if wrong else 0
    outcomes = Outcomes()
    folders = [str(TESTS / document.folder) for document in found]
    status = pytest.main(["-q", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *folders], [outcomes])
    PAGE.write_text(render(found, outcomes.failed))
    return 1 if wrong or status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
