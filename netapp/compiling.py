"""How Cython and gcc compile a release: of setup.py, which makes extensions, and of the boot image, which links them.

Plain, and imported before anything is built.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

# -fno-strict-aliasing: headers are packed structs laid over the bytes of a slot.
C_FLAGS = [
    "-fwrapv",
    "-fno-strict-aliasing",
    "-Wno-unused-function",
    "-Wno-unused-variable",
    "-Wno-sign-compare",  # Cython's own comparisons mix signs
    "-Werror=implicit-function-declaration",
    "-Werror=int-conversion",
    "-Werror=incompatible-pointer-types",
]
# Debian's -fstack-protector-strong guards every function with a local whose address is taken, which is most on a
# packet's way (3 to 5 % of the instructions); this guards those with an array.
RELEASE_FLAGS = ["-O2", "-g0", "-fstack-protector"]
# Bounds and negative indices stay checked: C pointers never are, so it costs a predicted branch on lists and bytes
# only. Division means the same in every variant. Wrapping arithmetic opts out with @cython.overflowcheck(False).
# Nothing of it is pickled: the methods for that were a tenth of what an image runs once when it starts.
MACHINE = {"language_level": 3, "auto_pickle": False, "cdivision": True, "initializedcheck": False}
# An appliance runs uncompiled too: there division and assertions must mean what they mean in Python.
APPLIANCE = {"language_level": 3, "annotation_typing": False}


def is_machine(module: str) -> bool:
    """Whether it runs compiled only; the others are appliances."""
    return module.partition(".")[0] in ("netapp", "bench")


def release_macros(module: str) -> list[str]:
    return ["-DCYTHON_WITHOUT_ASSERTIONS=1"] if is_machine(module) else []


def leave_arguments_unchecked() -> None:
    """An annotated argument of a cfunc is `not None`, which its calls check: in debug only, as with nonecheck."""
    from Cython.Compiler.Nodes import CFuncDeclaratorNode

    analyse = CFuncDeclaratorNode.analyse

    def patched(node: Any, *arguments: Any, **named: Any) -> tuple[Any, Any]:
        declarator, function = analyse(node, *arguments, **named)
        for argument in getattr(function, "args", ()):
            argument.not_none = False
        return declarator, function

    CFuncDeclaratorNode.analyse = patched
    multiprocessing.set_start_method("fork", force=True)  # the patch must reach the workers


@contextmanager
def progress_untold() -> Iterator[None]:
    """Drops what is printed, in this process and its workers. Errors go to standard error, which stays."""
    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def may_share() -> bool:
    """Whether Cython's worker processes can share locks: not where this user may not write to /dev/shm."""
    try:
        multiprocessing.Lock()
    except OSError:
        return False
    return True


def cythonized(
    extensions: list[Any], output: Path, jobs: int, checks: Mapping[str, bool] | None = None, **more: Any
) -> dict[str, Any]:
    """Those with C of them, below `output`; by name. `checks`: further directives; `more` goes to cythonize, too.
    Raises CompileError, after Cython has shown where."""
    from Cython.Build import cythonize

    changed = max(path.stat().st_mtime for path in (Path(__file__), Path("setup.py")) if path.exists())
    for extension in extensions:
        c = output / Path(extension.sources[0]).with_suffix(".c")
        if c.exists() and c.stat().st_mtime < changed:
            c.unlink()
    done: dict[str, Any] = {}
    for directives, group in (
        (MACHINE, [e for e in extensions if is_machine(e.name)]),
        (APPLIANCE, [e for e in extensions if not is_machine(e.name)]),
    ):
        with progress_untold():
            made = cythonize(
                group,
                build_dir=str(output),
                nthreads=jobs if len(group) > 1 and may_share() else 0,
                compiler_directives=directives | dict(checks or {}),
                **more,
            )
        done.update((e.name, e) for e in made)
    return done


def locked(folder: Path, modules: Iterable[str]) -> list[TextIO]:
    """One lock a package, so that two builds of a tree may run at once; sorted, so that they cannot deadlock. To be
    closed."""
    folder.mkdir(parents=True, exist_ok=True)
    locks: list[TextIO] = []
    for name in sorted({module.rpartition(".")[0] for module in modules}):
        locks.append((folder / name).open("w"))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
    return locks
