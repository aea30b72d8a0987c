"""The collection of scripts, and those that are known to fail."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
KNOWN_FAILURES = HERE / "known_failures.txt"


def scripts(paths: Iterable[Path]) -> list[Path]:
    """Files as they are; of folders all *.pkt. FileNotFoundError: there is none."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.pkt")) if path.is_dir() else [path] if path.exists() else []
        if not inside:
            raise FileNotFoundError(f"{path}: no script there")
        found += inside
    return found


def known_failures() -> dict[str, str]:
    """Why, by the script's path below scripts/."""
    found = {}
    for line in KNOWN_FAILURES.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(": ")
            found[name.strip()] = reason.strip()
    return found
