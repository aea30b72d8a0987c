"""A virtual machine whose network card offers what is optional, or not: the driver agrees, and all is as ever."""

from itertools import product
from pathlib import Path

import pytest

from tests.everywhere import packets, scripts
from tests.everywhere.conftest import Images
from tests.everywhere.guest import NAMES
from tests.everywhere.servers import debian_and, tap_frames
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

ALL = [dict(zip(NAMES, values, strict=True)) for values in product((False, True), repeat=len(NAMES))]
CASES = [*(("microvm", offered) for offered in ALL), *(("q35", ALL[i]) for i in (0, 3, 4, 7))]


@pytest.mark.parametrize(
    "machine, offered",
    CASES,
    ids=["-".join([machine, *(name for name in offered if offered[name])]) for machine, offered in CASES],
)
def test_each_combination(
    images: Images, debians: None, tmp_path: Path, machine: str, offered: dict[str, bool]
) -> None:
    with network_namespace(), debian_and(machine, images.path(machine), tmp_path, **offered) as both:
        assert both.agreed == offered
        scripts.generated(both, range(90_001, 90_021))
        scripts.datagrams(both, range(90_001, 90_006))
        scripts.large_values(both, (300_000,))
        with tap_frames() as frames:
            packets.echoes_in_fragments(frames)
            packets.text_in_any_order(frames)
            packets.a_large_value_both_ways(frames)
            packets.headers_that_do_not_fit(frames)
