"""Everything that commands with their flags can answer is reached, and ours answers it as Debian's memcached does."""

import pytest

from tests.memcached.cells import NOT_BUILT
from tests.memcached.runs import Start, differences
from tests.memcached.table import Table

pytestmark = pytest.mark.system


def test_every_reply_of_every_command(start: Start) -> None:
    table = Table()
    for commands, expected, got in differences(start, table):
        assert got == expected, commands
    untouched, unlisted = set(table.untouched) - NOT_BUILT, table.unlisted
    assert not untouched and not unlisted, f"never reached: {sorted(untouched)}, not in the list: {unlisted}\n{table}"
