"""The collection: each script is a test, named after its file."""

import pytest

from tests.packets.collection import SCRIPTS, known_failures, scripts
from tests.packets.errors import Failed, Refused
from tests.packets.runner import run

_ALL = {str(path.relative_to(SCRIPTS)): path for path in scripts([SCRIPTS])}
_KNOWN = known_failures()


@pytest.mark.parametrize("name", _ALL)
def test_script(name: str) -> None:
    if name in _KNOWN:
        with pytest.raises(Failed):
            run(_ALL[name])
        pytest.xfail(_KNOWN[name])
    try:
        run(_ALL[name])
    except (Failed, Refused) as error:
        pytest.fail(error.report(str(_ALL[name])), pytrace=False)


def test_known_failures_name_scripts() -> None:
    assert not set(_KNOWN) - set(_ALL)


def test_every_script_cites_its_section() -> None:
    without = [name for name, path in _ALL.items() if "RFC" not in path.read_text().splitlines()[0]]
    assert not without, without
