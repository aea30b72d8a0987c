"""What was measured, as it is kept beside RESULTS.md: one object of JSON a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_stored(path: Path) -> dict[str, Any] | None:
    """None: nothing was measured yet."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def write_stored(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
