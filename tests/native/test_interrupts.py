"""A virtual machine takes no interrupt of its network card while nothing comes, and none at full load."""

from pathlib import Path

import pytest

from bench.boot.__main__ import CACHE, MEMORY
from bench.boot.guests import ours
from bench.boot.interrupts import measured
from bench.boot.measure import laboratory
from netapp.native.image.build import Image

pytestmark = pytest.mark.system


def test_idle_and_at_full_load(image: Image) -> None:
    with laboratory() as bed, bed.boot("q35", ours(Path(image.path), CACHE), MEMORY) as guest:
        idle, full = measured(bed, guest, bed.where, (), 1.0)
    # But for what the clients' kernel may say unasked.
    assert idle["devices"] <= idle["frames_in"] <= 2 and idle["switches"] == 2 * idle["devices"]
    assert full["frames_in"] > 100 and full["devices"] == 0
