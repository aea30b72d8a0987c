"""CPython's own tests on the bare machine end as they do on Linux."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.native.cpython.comparison import UNKNOWN, compare
from tests.native.cpython.differences import reason
from tests.native.cpython.modules import LEFT_OUT, MODULES, SHORT
from tests.native.cpython.report import text
from tests.native.cpython.suite import NotFetched, build_image, fetched

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def tests() -> Path:
    try:
        return fetched()
    except NotFetched as error:
        pytest.skip(str(error))


def end_alike(folder: Path, modules: Sequence[str]) -> int:
    """How many were compared."""
    image = folder / "cpython.elf"
    build_image(modules, image)
    found = compare(image, modules)
    print(text(found))
    assert [name for name in found.names if found.needs(name) == UNKNOWN] == []
    assert [found.line(name) for name in found.different() if not reason(name)] == []
    return len(found.compared())


def test_those_of_what_appliances_do_most(tests: Path, tmp_path: Path) -> None:
    assert end_alike(tmp_path, SHORT) > 900


@pytest.mark.soak
def test_all(tests: Path, tmp_path: Path) -> None:
    assert end_alike(tmp_path, MODULES) >= 19_527


def test_every_module_is_run_or_there_is_a_reason(tests: Path) -> None:
    there = {path.stem for path in tests.glob("test_*") if path.suffix in ("", ".py")}
    left_out = [name for names in LEFT_OUT.values() for name in names.split()]
    run = {name.partition(".")[0] for name in MODULES}
    assert sorted([*run, *left_out]) == sorted(there)
    assert set(SHORT) <= set(MODULES)
