"""Tests that need no files, threads or sockets, and yet end otherwise on the bare machine: why."""

from __future__ import annotations

import re

_REASONS = {  # by a regular expression for names
    r"test_int\.Int\w*DigitLimitsTests\.test_denial_of_service_prevented_\w+": (
        "it measures a conversion, and is skipped where that takes less than a fixed time"
    ),
}


def reason(name: str) -> str:
    """An empty one: there is none."""
    return next((why for names, why in _REASONS.items() if re.fullmatch(names, name)), "")
