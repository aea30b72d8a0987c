"""The contract of congestion control."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")


class CongestionControl:
    """Without control: the peer's window alone bounds what is sent. Base of those that control."""

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
