import subprocess
from pathlib import Path

import pytest

import netapp
from netapp.native.image.build import KERNEL_FLAGS, Image
from netapp.native.image.link import FLAGS
from tests.support.images import memcached_image

KERNEL = Path(netapp.__file__).parent / "native" / "kernel"
WARNINGS = "-Wall -Wextra -Werror -Wno-parentheses -Wno-missing-field-initializers".split()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Image:
    return memcached_image(tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """program.c with the kernel as one static file, as an image is."""
    folder = tmp_path_factory.mktemp("kernel")
    objects = []
    for source in sorted(KERNEL.glob("*.[cS]")):
        objects.append(folder / f"kernel.{source.stem}.o")
        subprocess.run(["gcc", "-c", *KERNEL_FLAGS, *WARNINGS, source, "-o", objects[-1]], check=True)
    linked = folder / "program"
    sources = [Path(__file__).with_name(name) for name in ("program.c", "calls.c", "kept.c")]
    subprocess.run(["gcc", "-O1", *FLAGS, *sources, *objects, "-lm", "-o", linked], check=True)
    return linked
