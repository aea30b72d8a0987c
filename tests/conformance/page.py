"""docs/conformance.md: every requirement, with its test and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.conformance.requirement import MET, ROOT, STATUSES, BoundTest, Document, bound

PAGE = ROOT / "docs" / "conformance.md"
FAILS = "**fails**"

_HEAD = """\
# Conformance

Every requirement of the RFCs below, with the test that holds the stack to it. A test is named after its requirement
and speaks with the stack through frames. The page is written by `python -m tests.conformance`, which runs the tests;
`make test` fails when it is not up to date, or when a requirement has neither a test nor a reason.

That a test fails where its requirement is not obeyed is shown by `python -m tests.mutants`: for every MUST of RFC 9293
that is met it breaks what obeys it in a copy of the tree, and the test has to fail.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _summary(document: Document) -> str:
    lines = ["|  | " + " | ".join(STATUSES) + " |", "|---" * (len(STATUSES) + 1) + "|"]
    levels = list(dict.fromkeys(one.level for one in document.requirements))
    for level in levels:
        counts = Counter(one.status for one in document.requirements if one.level == level)
        lines.append(f"| {level} | " + " | ".join(str(counts[status] or "") for status in STATUSES) + " |")
    return "\n".join(lines)


def _links(tests: Sequence[BoundTest]) -> str:
    links = []
    for test in tests:
        path = test.file.relative_to(ROOT).as_posix()
        links.append(f"[`{test.name.removeprefix('test_')}`](../{path})")
    return "<br>".join(links)


def render(documents: Sequence[Document], failed: Mapping[str, bool] | None = None) -> str:
    """`failed`: by a test's node, whether it failed; a test that is not in it passed."""
    failed = failed or {}
    parts = [_HEAD]
    for document in documents:
        tests = bound(document)
        parts.append(f"## {document.name}: {document.title}\n\n{_summary(document)}\n")
        unmet = [one for one in document.requirements if one.status != MET]
        if unmet:
            lines = ["| requirement | what it says | section | status | reason |", "|---|---|---|---|---|"]
            lines += [
                f"| {one.label} | {_cell(one.words)} | {one.section} | {one.status} | {_cell(one.reason)} |"
                for one in unmet
            ]
            parts.append("### What is not met, and why\n\n" + "\n".join(lines) + "\n")
        lines = ["| requirement | what it says | section | test | result |", "|---|---|---|---|---|"]
        for one in document.requirements:
            result = one.status
            if any(failed.get(test.node) for test in tests[one.label]):
                result = FAILS
            elif one.status == MET and one.reason:
                result = f"{MET}; {_cell(one.reason)}"
            lines.append(
                f"| {one.label} | {_cell(one.words)} | {one.section} | {_links(tests[one.label])} | {result} |"
            )
        parts.append("### All of them\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def is_current(documents: Sequence[Document]) -> bool:
    return PAGE.exists() and PAGE.read_text() == render(documents)
