"""Cyclic garbage collection where it does not delay a packet: only before the loop sleeps, and not often."""

import gc

_INTERVAL = 1_000_000_000  # ns between looks whether the young generations are to be collected
_FULL_INTERVAL = 60_000_000_000  # and of the oldest, which takes time in proportion to what lives


class IdleCollector:
    """What is alive at enter() is never looked at. leave() restores the collector as it was."""

    def enter(self) -> None:
        self._was_enabled = gc.isenabled()
        self._freezes = gc.get_freeze_count() == 0
        self._next_full = 0
        gc.disable()
        if self._freezes:
            gc.freeze()

    def idle(self, now: int) -> int:
        """Collects if enough was allocated since: an idle loop does nothing. When to ask again."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        if counts[0] <= thresholds[0]:
            return now + _INTERVAL
        generation = 0
        if counts[1] > thresholds[1]:
            generation = 1
            if counts[2] > thresholds[2] and now >= self._next_full:
                generation = 2
                self._next_full = now + _FULL_INTERVAL
        gc.collect(generation)
        return now + _INTERVAL

    def leave(self) -> None:
        if self._freezes:
            gc.unfreeze()
        if self._was_enabled:
            gc.enable()
