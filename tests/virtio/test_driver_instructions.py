"""What a frame costs in the driver: received and sent back, 32 in a turn."""

import pytest

from bench.bed import count_instructions
from tests.virtio.forward import BATCH, MEASURED

pytestmark = pytest.mark.system

MEASURED_TURN = "__pyx_f_5bench_9forwarder_9Forwarder_measured_turn"


@pytest.mark.parametrize(
    "offered, most",
    [
        ("VERSION_1 MAC CSUM GUEST_CSUM MRG_RXBUF EVENT_IDX INDIRECT_DESC", 220),
        ("VERSION_1 MAC CSUM GUEST_CSUM MRG_RXBUF EVENT_IDX INDIRECT_DESC RING_PACKED", 242.5),
    ],
)
def test_a_frame_takes_few_instructions(offered, most):
    found = count_instructions("-m", "tests.virtio.forward", offered, measured=MEASURED_TURN)
    if found is None:
        pytest.skip("valgrind is not installed")
    assert found[0] / (BATCH * MEASURED) < most
