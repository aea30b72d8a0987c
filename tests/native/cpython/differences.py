"""Tests that need no files, threads or sockets, and yet end otherwise on the bare machine: why."""

from __future__ import annotations

import re

_REASONS = {  # by a regular expression for names
    r"test_int\.Int\w*DigitLimitsTests\.test_denial_of_service_prevented_\w+": (
        "it measures a conversion, and is skipped where that takes less than a fixed time"
    ),
    r"test_signal\.(ItimerTest\.test_(set)?itimer_\w+|StressTest\.test_stress_delivery_(dependent|simultaneous))": (
        "no timer sends signals there; setitimer() ends the machine and says so"
    ),
    r"test_uuid\.\w+\.test_(arp|lanscan|netstat)_getnode": "it is skipped with other words where a system is not Linux",
}


def reason(name: str) -> str:
    """An empty one: there is none."""
    return next((why for names, why in _REASONS.items() if re.fullmatch(names, name)), "")
