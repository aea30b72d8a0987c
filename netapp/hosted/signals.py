"""Signals, delivered to a loop that may be asleep. They belong to core 0, which is the main thread."""

import signal
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any

from netapp.hosted.platform import EpollInterrupts


class Signals:
    """`with Signals(interrupts, stop):` calls stop() for each of `numbers`, on top of whatever the loop runs; at its
    end the handlers that were there before are back.

    The C handler writes into the wake pipe: a signal that comes between the last look and the sleep ends the sleep too.
    """

    def __init__(
        self,
        interrupts: EpollInterrupts,
        function: Callable[[], object],
        numbers: Iterable[int] = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        self._interrupts = interrupts
        self._function = function
        self._numbers = tuple(numbers)
        self._handlers: list[tuple[int, Any]] = []
        self._descriptor = -1

    def __enter__(self) -> "Signals":
        self._descriptor = signal.set_wakeup_fd(self._interrupts.wake_descriptor, warn_on_full_buffer=False)
        self._handlers = [(number, signal.signal(number, self._received)) for number in self._numbers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._descriptor)

    def _received(self, number: int, frame: FrameType | None) -> None:
        self._function()
