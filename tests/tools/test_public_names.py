"""The lazy names of the package."""

import subprocess
import sys

import pytest

import netapp


@pytest.mark.parametrize("name", netapp.__all__)
def test_is_where_the_table_says(name: str) -> None:
    assert getattr(netapp, name).__name__ == name
    assert name in dir(netapp)


def test_unknown_name() -> None:
    assert not hasattr(netapp, "Nonsense")


def test_import_stays_cheap() -> None:
    program = "import netapp, sys; print(*(m for m in sys.modules if m.startswith('netapp.')))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
