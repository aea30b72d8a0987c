"""Our stack alone, on every build: whatever the segments, nothing raises and nothing is left."""

import pytest

from tests.differential.generate import sequence
from tests.differential.ours import ours
from tests.differential.sides import run


def give(first: int, count: int) -> set[str]:
    states = set()
    for seed in range(first, first + count):
        with ours(30_000, 7, 40_000, (0xFFFFFF00, 1000)[seed % 2]) as side:
            states |= {result.state for result in run(side, sequence(seed))}
    return states


def test_2000_sequences():
    states = give(100_000, 2000)
    assert len(states) == 10, states


@pytest.mark.soak
@pytest.mark.parametrize("first", range(200_000, 300_000, 10_000))
def test_10000_sequences(first):
    give(first, 10_000)
