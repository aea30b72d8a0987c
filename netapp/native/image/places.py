"""Where an image is made, and where it goes: nothing is left behind, and nothing is half there."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netapp.native.image.toolchain import BuildError

_SCRATCH = "scratch-"


@contextmanager
def scratch(cache: Path) -> Iterator[Path]:
    """A folder in `cache`. That of a build which was killed goes with the next build."""
    with (cache / "scratch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in cache.glob(f"{_SCRATCH}*"):
            if not _is_used(other):
                shutil.rmtree(other, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=cache))
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)  # as long as this process lives
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def check_output(output: Path) -> None:
    """Before an image is made, which takes a while. Raises BuildError."""
    if not output.parent.is_dir() or output.is_dir():
        raise BuildError(f"{output} cannot be written: choose a file in a folder that is there")
    if output.exists() and not output.is_file():
        raise BuildError(f"{output} cannot be written: it is no file, but a device or the like")
    if not os.access(output.parent, os.W_OK):
        raise BuildError(f"{output} cannot be written: you may not write to that folder")


def put(image: Path, output: Path) -> None:
    """At once: whoever runs or boots what was there before keeps it. Raises BuildError."""
    fresh = output.with_name(f".netapp-{os.getpid()}")
    try:
        shutil.copyfile(image, fresh)
        fresh.chmod(0o755)
        fresh.replace(output)
    except OSError as error:
        raise BuildError(f"{output} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            fresh.unlink()


def _is_used(folder: Path) -> bool:
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(held)
    return False
