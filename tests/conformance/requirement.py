"""What a requirement of an RFC is, and how tests are bound to it: by their names."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"

MET = "met"
NOT_MET = "not met"
OPEN = "open"
# A MAY that is not made use of.
NOT_TAKEN = "not taken"
# It is asked of somebody else (an application, a link that is not there), or of what the stack has none of.
NOT_APPLICABLE = "not applicable"
STATUSES = (MET, NOT_MET, OPEN, NOT_TAKEN, NOT_APPLICABLE)


@dataclass(frozen=True)
class Requirement:
    """One requirement. Its tests are the functions of the document's folder that are named after it: `test_must_1`, or
    `test_must_1_…`, for MUST-1. What is met has a test, and a reason where it says how; what is not has a reason, and
    perhaps a test of what is done instead."""

    label: str
    section: str
    words: str
    status: str = MET
    reason: str = ""
    level: str = ""  # MUST, SHLD, MAY, as the RFC has it: where the label does not begin with it

    def __post_init__(self) -> None:
        if not self.level:
            object.__setattr__(self, "level", self.label.split("-")[0])

    @property
    def prefix(self) -> str:
        return "test_" + re.sub(r"[^a-z0-9]+", "_", self.label.lower()).strip("_")


@dataclass(frozen=True)
class Document:
    """An RFC, with the folder below tests/ that holds its requirements.py and its tests."""

    name: str
    title: str
    folder: str
    requirements: Sequence[Requirement]

    def requirement_of(self, test: str) -> Requirement | None:
        """The one that a test is named after: of several the one with the longest name."""
        found = [one for one in self.requirements if test == one.prefix or test.startswith(one.prefix + "_")]
        return max(found, key=lambda one: len(one.prefix), default=None)


@dataclass(frozen=True)
class BoundTest:
    file: Path
    name: str

    @property
    def node(self) -> str:
        """As pytest names it, parameters apart."""
        return f"{self.file.relative_to(ROOT).as_posix()}::{self.name}"


def documents() -> list[Document]:
    """Those that have a folder, in the order of their numbers."""
    found = sorted(TESTS.glob("rfc*/requirements.py"), key=lambda path: int(path.parent.name[3:]))
    return [importlib.import_module(f"tests.{path.parent.name}.requirements").DOCUMENT for path in found]


def tests_of(document: Document) -> list[BoundTest]:
    """Every test function of its folder, in the order of files and lines."""
    found = []
    for file in sorted((TESTS / document.folder).glob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.append(BoundTest(file, node.name))
    return found


def bound(document: Document) -> dict[str, list[BoundTest]]:
    """The tests of each requirement, by its label."""
    found: dict[str, list[BoundTest]] = {one.label: [] for one in document.requirements}
    for test in tests_of(document):
        requirement = document.requirement_of(test.name)
        if requirement is not None:
            found[requirement.label].append(test)
    return found


def faults(document: Document) -> list[str]:
    """What is wrong with the list and its tests."""
    found = []
    tests = bound(document)
    labels = [one.label for one in document.requirements]
    found += [f"{document.name} {label} is listed twice" for label in sorted(set(labels)) if labels.count(label) > 1]
    for one in document.requirements:
        if one.status not in STATUSES:
            found.append(f"{document.name} {one.label}: no such status: {one.status}")
        elif one.status == MET and not tests[one.label]:
            found.append(f"{document.name} {one.label} has neither a test ({one.prefix}…) nor a reason")
        elif one.status != MET and not one.reason:
            found.append(f"{document.name} {one.label} is {one.status}, without a reason")
    found += [
        f"{test.node} is named after no requirement of {document.name}"
        for test in tests_of(document)
        if document.requirement_of(test.name) is None
    ]
    return found
