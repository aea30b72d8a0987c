"""Everything that commands with their flags can answer is reached, and ours answers it as Debian's memcached does."""

import pytest

from tests.memcached.cells import CELLS, Cell
from tests.memcached.runs import Start, differences
from tests.memcached.table import Table

pytestmark = pytest.mark.system
# What ours does not tell of; tests/memcached/test_stats.py has the reports that it does.
TODO: set[Cell] = {
    *(("stats", f"detail {word}", reply) for word, reply in (("on", "OK"), ("off", "OK"))),
    *(("stats", "detail dump", reply) for reply in ("PREFIX", "END")),
    *(cell for cell in CELLS if cell[:2] == ("stats", "cachedump") and not cell[2].endswith("not allowed")),
}


def test_every_reply_of_every_command(start: Start) -> None:
    table = Table()
    for commands, expected, got in differences(start, table):
        assert got == expected, commands
    untouched, unlisted = set(table.untouched) - TODO, table.unlisted
    assert not untouched and not unlisted, f"never reached: {sorted(untouched)}, not in the list: {unlisted}\n{table}"
