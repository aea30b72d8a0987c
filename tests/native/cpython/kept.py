"""What was found out about an image, in files: a run that was ended goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.native.cpython.runs import Outcome, Outcomes


class Kept:
    def __init__(self, folder: Path, image: Path) -> None:
        self._folder = folder / hashlib.sha256(image.read_bytes()).hexdigest()[:16]
        for other in folder.glob("*"):  # of images that are no more
            if other != self._folder:
                shutil.rmtree(other)
        self._folder.mkdir(parents=True, exist_ok=True)

    def _path(self, where: str, modules: Sequence[str]) -> Path:
        return self._folder / f"{where}-{modules[0]}.json"

    def find(self, where: str, modules: Sequence[str]) -> Outcomes | None:
        path = self._path(where, modules)
        found = json.loads(path.read_text()) if path.exists() else {}
        if found.get("modules") != list(modules):
            return None
        return {name: Outcome(*outcome) for name, outcome in found["outcomes"].items()}

    def keep(self, where: str, modules: Sequence[str], outcomes: Outcomes) -> None:
        path = self._path(where, modules)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"modules": modules, "outcomes": outcomes}))
        part.rename(path)
