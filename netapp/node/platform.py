"""What a node needs of the machine that it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netapp.event.contracts import Clock, Entropy, Interrupts, WallClock


@dataclass(frozen=True)
class Platform:
    """Of one core. `netapp.hosted` makes it of Linux, `netapp.node.simulation` of nothing."""

    clock: Clock
    wall_clock: WallClock
    entropy: Entropy
    interrupts: Interrupts
