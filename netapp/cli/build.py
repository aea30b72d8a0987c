"""`netapp build`: an appliance as a boot image."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from netapp.cli.find import find_appliance
from netapp.cli.run import appliance_options
from netapp.native.config import ImageOptions
from netapp.native.image.build import Image, Wanted, build
from netapp.native.image.toolchain import BuildError


def build_image(name: str, output: Path, form: str, options: ImageOptions, arguments: Sequence[str]) -> None:
    """Raises click.ClickException."""
    found = find_appliance(name)
    if appliance_options(found, arguments) is None:
        return
    source = sys.modules[found.__module__].__file__ if name.partition(":")[0].endswith(".py") else None
    words = [*options.words(), *(["--", *arguments] if arguments else [])]
    try:
        with _ended_in_order():
            image = build(Wanted(found, words, form, Path(source) if source else None), output)
    except BuildError as error:
        raise click.ClickException(str(error)) from None
    print(summary(image))


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Within it, SIGTERM is as Ctrl-C: nothing is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def summary(image: Image) -> str:
    parts = ", ".join(f"{part} {size / 1e6:.1f}" for part, size in image.parts.items())
    return f"netapp: {image.path}: {image.size / 1e6:.1f} MB ({parts})"
