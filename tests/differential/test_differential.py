"""Sequences of segments to our stack and to the Linux kernel's: each difference is a bug, or a decision."""

import pytest

from tests.differential.__main__ import table
from tests.differential.compare import comparison
from tests.differential.decisions import DECISIONS
from tests.differential.generate import STATES, sequence
from tests.differential.steps import Call, Segment, Step

pytestmark = pytest.mark.system


def compare(first: int, count: int) -> None:
    with comparison() as compared:
        for seed in range(first, first + count):
            outcome = compared.sequence(sequence(seed), seed)
            assert outcome.different is None, f"seed {seed} differs:\n{outcome}"
        print(table(compared))
        assert not set(STATES) - {"LISTEN"} - set(compared.states)


def test_500_sequences():
    compare(1, 500)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(10_000, 60_000, 5_000))
def test_5000_sequences(first):
    compare(first, 5000)


def test_the_ways_into_the_states_lead_there():
    with comparison() as compared:
        for state, ways in STATES.items():
            for way in ways:
                results = compared.once(way, 1000).results
                assert len(results) == len(way)
                if way:
                    assert results[-1][1].state == results[-1][2].state == ("CLOSED" if state == "LISTEN" else state)


def test_a_difference_is_found_and_shrunken():
    """One that is a decision, without its entry."""
    steps: list[Step] = [
        Call("listen"),
        Segment("S", options=b"\x02\x04\x03\xe8"),
        Segment("A"),
        Segment("A", length=10),
        Call("write", 100),
        Segment("", seq=("nxt", -5)),
        Segment("FA"),
    ]
    with comparison() as compared:
        decided = compared.sequence(steps, 1)
        assert decided.different is None and len(decided.decisions) == 1
        DECISIONS.remove(decided.decisions[0])
        try:
            outcome = compared.sequence(steps, 1)
        finally:
            DECISIONS.extend(decided.decisions)
    shown = [str(step) for step, _, _ in outcome.results]
    assert shown == [
        "listen()",
        "< S seq nxt, win 60000",
        "< A seq nxt, ack nxt, win 60000",
        "< - seq nxt-5, win 60000",
    ]
