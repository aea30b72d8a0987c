"""A virtual machine takes no interrupt of its network card while nothing comes, and hardly one at full load."""

from pathlib import Path

import pytest

from bench.boot.__main__ import CACHE, MEMORY
from bench.boot.guests import ours
from bench.boot.interrupts import HIGHEST, measured
from bench.boot.measure import laboratory
from netapp.native.image.build import Image

pytestmark = pytest.mark.system


def test_idle_and_at_full_load(image: Image) -> None:
    name, load = list(HIGHEST.items())[-1]
    with laboratory() as bed, bed.boot("microvm", ours(Path(image.path), CACHE), MEMORY) as guest:
        idle, full = measured(bed, guest, bed.where, 1.0, {name: load})
    assert idle["devices"] == idle["polls"] == idle["switches"] == 0
    # Some come where the machine's other work keeps the clients from asking.
    assert full["frames_in"] > 500 and full["devices"] < full["frames_in"] / 50
