"""The platform's side of interrupts: gives sources to the driver, and takes what the model sends."""

from __future__ import annotations

from collections.abc import Callable

from netapp.drivers.interrupts import Message

_ADDRESS = 0xFEE00000


class Source:
    def __init__(self, name: str) -> None:
        self.name = name
        self.edge = True
        self.level = False
        self.raised = 0
        self.again = 0

    def __repr__(self) -> str:
        return f"<interrupt {self.name}>"


class ModelInterrupts:
    """An InterruptController (netapp.drivers.interrupts) over `raise_interrupt` of a platform's Interrupts."""

    def __init__(self, raise_interrupt: Callable[[object], object], messages: int = 64) -> None:
        self._raise = raise_interrupt
        self._left = messages
        self.messages: dict[tuple[int, int], Source] = {}
        self.lines: dict[int, Source] = {}

    # --- for the driver --------------------------------------------------------------------------------------------

    def message(self) -> Message:
        if self._left == 0:
            raise OSError("no interrupt vector is left")
        self._left -= 1
        data = 0x30 + len(self.messages)
        source = self.messages[_ADDRESS, data] = Source(f"vector {data:#x}")
        return Message(source, _ADDRESS, data)

    def line(self, number: int, edge: bool) -> object:
        source = self.lines.setdefault(number, Source(f"line {number}"))
        source.edge = edge
        return source

    # --- for the model ---------------------------------------------------------------------------------------------

    def deliver(self, address: int, data: int) -> bool:
        """A message; False: it goes nowhere."""
        source = self.messages.get((address, data))
        if source is not None:
            source.raised += 1
            self._raise(source)
        return source is not None

    def set_level(self, number: int, level: bool) -> None:
        source = self.lines.get(number)
        if source is None:
            return
        if level and (not source.level or not source.edge):
            source.raised += 1
            source.again = 0
            self._raise(source)
        source.level = level

    def still(self, number: int) -> int:
        """A level that stays is told again, each turn: how often it was."""
        source = self.lines.get(number)
        if source is None or not source.level or source.edge:
            return 0
        source.again += 1
        self._raise(source)
        return source.again
