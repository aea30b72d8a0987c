"""An image of memcached, which is built once for all tests and processes."""

import fcntl

import pytest

from netapp.cli.find import find_appliance
from netapp.native.image.build import Image, Wanted, build

BAKED = ("--address=10.99.0.3/24", "--", "-m", "32")


def memcached_image(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Image:
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # all of pytest-xdist's processes have it
    path = folder / "memcached.elf"
    with (folder / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return Image(path, path.stat().st_size, {})
        return build(Wanted(find_appliance("memcached"), BAKED), path)
