"""memcached's scripts are answered as by Debian's memcached, wherever ours runs."""

import pytest

from tests.everywhere import scripts
from tests.everywhere.servers import Both

pytestmark = pytest.mark.system


def test_all_that_is_written_by_hand(both: Both) -> None:
    scripts.all_written_by_hand(both)


def test_generated_commands(both: Both) -> None:
    scripts.generated(both, range(70_001, 70_151))


def test_generated_datagrams(both: Both) -> None:
    scripts.datagrams(both, range(80_001, 80_101))


def test_large_values(both: Both) -> None:
    scripts.large_values(both, (1_000, 30_000, 1_000_000))


def test_many_connections(both: Both) -> None:
    scripts.many_connections(both)
