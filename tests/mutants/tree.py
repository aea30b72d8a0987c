"""A copy of the tree in which one mutant after the other is applied, built, and taken back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.requirement import ROOT
from tests.mutants.mutant import Edit, Mutant

_PARTS = ("netapp", "appliances", "bench", "tests", "tools", "build/release", "setup.py", "pyproject.toml", "README.md")
_OUT = ("__pycache__", "lib", "lock")
# A mutant may loop for ever.
_LIMIT = 60


class Tree:
    """What is not built where it stands is built here first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _PARTS:
            source, target = ROOT / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_OUT))
            elif source.exists():
                shutil.copy2(source, target)
        # What is built here is run once: it is compiled in a third of the time, and nothing else anew.
        setup = folder / "setup.py"
        times = setup.stat()
        setup.write_text(setup.read_text().replace('"-O2"', '"-O0"'))
        os.utime(setup, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.environment = os.environ | {"PYTHONPATH": str(folder), "NETAPP_VARIANT": "release", "PYTHONSAFEPATH": "1"}
        if not self.build(""):
            raise SystemExit("the tree does not build")

    def build(self, only: str) -> bool:
        """`only`: a module, as NETAPP_ONLY has it; empty: all that changed."""
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        environment = self.environment | {"NETAPP_ONLY": only}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
        return done.returncode == 0

    def passes(self, nodes: Sequence[str]) -> str:
        """Runs tests. "passes", "fails", "crashes", "hangs", or "error" where pytest itself could not go on."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *nodes]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, capture_output=True, timeout=_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return "hangs"
        if done.returncode < 0:
            return "crashes"
        return {0: "passes", 1: "fails"}.get(done.returncode, "error")

    def try_out(self, mutant: Mutant, nodes: Sequence[str]) -> str:
        """What becomes of the tests with the mutant in place; the tree is afterwards as it was."""
        kept = {path: (path.read_bytes(), path.stat()) for edit in mutant.edits for path in self._files(edit)}
        modules = ",".join(filter(None, (edit.module(self.folder) for edit in mutant.edits)))
        try:
            for edit in mutant.edits:
                source = self.folder / edit.file
                source.write_text(source.read_text().replace(edit.old, edit.new))
            if modules and not self.build(modules):
                return "does not compile"
            return self.passes(nodes)
        finally:
            # With their times, so that nothing needs to be built again.
            for path, (content, times) in kept.items():
                path.write_bytes(content)
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _files(self, edit: Edit) -> list[Path]:
        """A file and what is made of it: extension, C and object."""
        source = Path(edit.file)
        found = [self.folder / source, *(self.folder / source.parent).glob(f"{source.stem}.*.so")]
        for folder, suffix in (("c", ".c"), ("o", ".o")):
            found += (self.folder / "build/release" / folder).rglob(f"{source.with_suffix('').as_posix()}{suffix}")
        return found
