"""What a frame costs in the driver: received and sent back, 32 in a turn."""

import pytest

from bench.driver import QUEUES, per_frame

pytestmark = pytest.mark.system


@pytest.mark.parametrize("queue, most", [("split", 194), ("packed", 200)])
def test_a_frame_takes_few_instructions_no_allocation_and_no_copy(queue: str, most: int) -> None:
    """Nothing runs but the driver, and who sends the frame back: no malloc, no memcpy, no Python; and no slot is taken
    from the pool or goes back to it."""
    found = per_frame(QUEUES[queue])
    if found is None:
        pytest.skip("valgrind is not installed")
    assert found["driver"] <= most
    assert (found["else"], found["pool and chains"]) == (0, 0)
