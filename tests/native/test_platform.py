"""The native platform in a Linux process, where there is no kernel below it."""

import errno
from collections.abc import Callable

import pytest

from netapp.native import discovery, platform


def test_a_process_is_not_the_bare_machine() -> None:
    assert not platform.is_native()


@pytest.mark.parametrize(
    "make",
    [
        platform.NativeClock,
        platform.NativeWallClock,
        platform.NativeEntropy,
        platform.NativeInterrupts,
        platform.NativeInterruptController,
        lambda: platform.PciConfiguration(0, 0, 0),
        lambda: platform.device_registers(0xFEB00000, 512),
        platform.memory,
        platform.windows,
        platform.clock_name,
        platform.interrupts_taken,
        lambda: list(discovery.transports()),
    ],
)
def test_what_needs_the_kernel_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(OSError, match="this is a Linux process, not the bare machine") as raised:
        make()
    assert raised.value.errno == errno.ENODEV
