"""Mutants: the lines that obey a requirement, and what breaks them. A document's are in its
mutants.toml.

[[mutant]]
label = "MUST-3"                        # the requirement whose tests must fail
file = "netapp/tcp/manager.py"
old = "…"                               # occurs exactly once in the file
new = "…"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.requirement import MET, ROOT, TESTS, Document, bound


@dataclass(frozen=True)
class Edit:
    file: str
    old: str
    new: str

    def fault(self, root: Path) -> str:
        """Why it cannot be made; empty: it can."""
        if self.file.endswith(".pxd"):
            return f"{self.file} is compiled into other modules: choose a .py"
        path = root / self.file
        count = path.read_text().count(self.old) if path.exists() else 0
        return "" if count == 1 else f"{self.old!r} occurs {count} times in {self.file}"

    def module(self, root: Path) -> str:
        """What must be built anew, as NETAPP_ONLY has it; empty: nothing (a plain module)."""
        path = Path(self.file)
        return path.with_suffix("").as_posix() if (root / path).with_suffix(".pxd").exists() else ""


@dataclass(frozen=True)
class Mutant:
    label: str
    edits: tuple[Edit, ...]

    def fault(self, root: Path = ROOT) -> str:
        """Why it cannot be applied; empty: it can."""
        return "; ".join(found for found in (edit.fault(root) for edit in self.edits) if found)

    @property
    def files(self) -> str:
        return ", ".join(dict.fromkeys(edit.file for edit in self.edits))


def mutants_of(document: Document) -> list[Mutant]:
    path = TESTS / document.folder / "mutants.toml"
    found = []
    for entry in tomllib.loads(path.read_text())["mutant"] if path.exists() else []:
        label = entry.pop("label")
        also = entry.pop("also", [])
        found.append(Mutant(label, (Edit(**entry), *(Edit(**one) for one in also))))
    return found


def faults(document: Document) -> list[str]:
    """What is wrong with the list: a text that does not occur once, a MUST that is met and has no mutant (where the
    document has any), a mutant of what has no test."""
    mutants = mutants_of(document)
    tests = bound(document)
    found = [f"{one.label}: {one.fault()}" for one in mutants if one.fault()]
    found += [f"{one.label}: its mutant breaks no test" for one in mutants if not tests.get(one.label)]
    having = {one.label for one in mutants}
    found += [
        f"{one.label} is met and has no mutant"
        for one in document.requirements
        if mutants and one.level == "MUST" and one.status == MET and one.label not in having
    ]
    return found
