"""Frames of a host that is none but what scapy makes, to memcached wherever it runs."""

import pytest

from tests.everywhere.frames import Frames
from tests.everywhere.packets import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_packets(frames: Frames, check: Check) -> None:
    check(frames)
