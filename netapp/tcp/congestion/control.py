"""The contract of congestion control."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from netapp.ebb.core import EbbError


class CongestionControl:
    """Without control: the peer's window alone bounds what is sent. Base of those that control."""

    def may_be_replaced(self, new):
        if not isinstance(new, CongestionControl):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: no CongestionControl")

    def take_over(self, old):
        """All that there is to know is the connections', and they stay with the old one."""

    def replaced(self, new):
        self.adapter = None

    def destroy(self):
        self.adapter = None

    def for_connections(self):
        if not self.adapted:
            from netapp.tcp.congestion.python import adapter_of

            self.adapted = True
            self.adapter = adapter_of(self)
        return self if self.adapter is None else self.adapter

    def start(self, c):
        c.cwnd = 0x7FFFFFFF
        c.ssthresh = 0x7FFFFFFF
        return 0

    def acknowledged(self, c, acked):
        return 0

    def loss_detected(self, c):
        return 0

    def duplicate(self, c):
        return 0

    def partial(self, c, acked):
        return 0

    def recovered(self, c):
        return 0

    def timed_out(self, c):
        return 0

    def idle(self, c):
        return 0
