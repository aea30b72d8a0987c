"""Congestion control written in plain Python. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from netapp.event.binding import python_method

_METHODS = ("start", "acknowledged", "loss_detected", "duplicate", "partial", "recovered", "timed_out", "idle")


class PythonCongestionControl:
    def start(self, c):
        if self.on_start is None:
            return self.control.start(c)
        self.on_start(self.control, c)
        return 0

    def acknowledged(self, c, acked):
        if self.on_acknowledged is None:
            return self.control.acknowledged(c, acked)
        self.on_acknowledged(self.control, c, acked)
        return 0

    def loss_detected(self, c):
        if self.on_loss_detected is None:
            return self.control.loss_detected(c)
        self.on_loss_detected(self.control, c)
        return 0

    def duplicate(self, c):
        if self.on_duplicate is None:
            return self.control.duplicate(c)
        self.on_duplicate(self.control, c)
        return 0

    def partial(self, c, acked):
        if self.on_partial is None:
            return self.control.partial(c, acked)
        self.on_partial(self.control, c, acked)
        return 0

    def recovered(self, c):
        if self.on_recovered is None:
            return self.control.recovered(c)
        self.on_recovered(self.control, c)
        return 0

    def timed_out(self, c):
        if self.on_timed_out is None:
            return self.control.timed_out(c)
        self.on_timed_out(self.control, c)
        return 0

    def idle(self, c):
        if self.on_idle is None:
            return self.control.idle(c)
        self.on_idle(self.control, c)
        return 0


def adapter_of(control: CongestionControl):
    """None: `control` is of a compiled class, or of one that changes nothing."""
    adapter: PythonCongestionControl = PythonCongestionControl.__new__(PythonCongestionControl)
    found: list = [python_method(type(control), name) for name in _METHODS]
    if not any(found):
        return None
    adapter.control = control
    (
        adapter.on_start,
        adapter.on_acknowledged,
        adapter.on_loss_detected,
        adapter.on_duplicate,
        adapter.on_partial,
        adapter.on_recovered,
        adapter.on_timed_out,
        adapter.on_idle,
    ) = found
    return adapter
