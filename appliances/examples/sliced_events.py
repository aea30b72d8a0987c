"""An event manager that does not let queued events keep the network waiting."""

from netapp.event.manager import EventManager


class SlicedEvents(EventManager):
    """In a turn, queued events run until `slice` ns are used up, at least one; the others wait until timers and the
    devices have had their turn. The plain one runs all that were queued when the turn began."""

    def __init__(self, clock: object, interrupts: object, handler_limit: int = 100_000_000) -> None:
        self.slice = 200_000

    def goes_on(self, spent: int) -> bool:
        return spent < self.slice
