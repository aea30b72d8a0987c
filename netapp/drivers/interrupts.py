"""What drivers need from a platform to be interrupted. `netapp.native` implements it, and a model of a device."""

from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message-signalled interrupt (PCI 3.0, 6.8): a device that writes `data` to `address` raises `source`."""

    source: object
    """For Interrupts.attach() of netapp.event.contracts, and .detach()."""
    address: int
    data: int


class InterruptController(Protocol):
    """Gives out the interrupt sources of a core. Who attaches to one gives it up by detaching from it."""

    def message(self) -> Message:
        """A source of its own; OSError where none is left."""
        ...

    def line(self, number: int, edge: bool) -> object:
        """The source behind a wired interrupt, which is told by edges, or by its level."""
        ...
