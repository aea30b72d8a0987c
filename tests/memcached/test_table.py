"""Everything that commands with their flags can answer is reached, and ours answers it as Debian's memcached does."""

import pytest

from tests.memcached.cells import CELLS, Cell
from tests.memcached.runs import Start, differences
from tests.memcached.table import Table

pytestmark = pytest.mark.system
TODO: set[Cell] = {
    cell
    for cell in CELLS
    if cell[0] == "stats"
    and cell[1:]
    not in {
        ("sizes", "STAT"),
        ("reset", "RESET"),
        ("(unknown)", "ERROR"),
        ("detail", "CLIENT_ERROR usage: stats detail on|off|dump"),
    }
}


def test_every_reply_of_every_command(start: Start) -> None:
    table = Table()
    for commands, expected, got in differences(start, table):
        assert got == expected, commands
    untouched, unlisted = set(table.untouched) - TODO, table.unlisted
    assert not untouched and not unlisted, f"never reached: {sorted(untouched)}, not in the list: {unlisted}\n{table}"
