"""Congestion control that an appliance brings: which of its methods is called when."""

from typing import Any

import pytest

from netapp.ebb.core import CONGESTION_CONTROL
from netapp.tcp.congestion.control import CongestionControl
from tests.support.stack import SECOND, Peer, Stack, stack

MSS = 1460


class Told(CongestionControl):
    """Writes down what it is told, and holds the window at ten segments."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def _told(self, c: Any, what: str) -> None:
        self.calls.append(what)
        c.cwnd = 10 * MSS
        c.ssthresh = 1 << 30

    def start(self, c: Any) -> None:
        self._told(c, "start")

    def acknowledged(self, c: Any, acked: int) -> None:
        self._told(c, f"acknowledged {acked // MSS}")

    def loss_detected(self, c: Any) -> None:
        self._told(c, "loss_detected")

    def duplicate(self, c: Any) -> None:
        self._told(c, "duplicate")

    def partial(self, c: Any, acked: int) -> None:
        self._told(c, f"partial {acked // MSS}")

    def recovered(self, c: Any) -> None:
        self._told(c, "recovered")

    def timed_out(self, c: Any) -> None:
        self._told(c, "timed_out")

    def idle(self, c: Any) -> None:
        self._told(c, "idle")


def scenario(s: Stack, handler: Any, peer: Peer) -> None:
    """Ten segments of which the first and the fourth get lost; then a time-out; then a pause."""
    handler.send(bytes(10 * MSS))
    first = peer.get()[0].seq
    for _ in range(4):
        peer.acknowledge(ack=first)
    peer.acknowledge(ack=first + 3 * MSS)
    peer.acknowledge(ack=first + 10 * MSS)
    peer.get()
    handler.send(bytes(MSS))
    s.advance(2 * SECOND)
    peer.acknowledge(ack=first + 11 * MSS)
    s.advance(10 * SECOND)
    handler.send(bytes(MSS))
    assert peer.get()


def test_each_method_is_called_in_its_time() -> None:
    with stack() as s:
        made = s.listen()
        told = Told()
        s.core.namespace.rebind(CONGESTION_CONTROL, lambda core, ebb_id: told)
        peer = s.peer().open()
        scenario(s, made[0], peer)
        assert [call for call in told.calls if call != "timed_out"] == [
            "start",
            "idle",  # nothing was sent yet
            "loss_detected",
            "duplicate",
            "partial 3",
            "recovered",
            "idle",
        ]
        assert "timed_out" in told.calls


@pytest.mark.parametrize("control", [CongestionControl, type("Plain", (CongestionControl,), {})])
def test_a_control_without_methods_leaves_the_window_to_the_peer(control: type[CongestionControl]) -> None:
    with stack() as s:
        made = s.listen()
        s.core.namespace.rebind(CONGESTION_CONTROL, lambda core, ebb_id: control())
        peer = s.peer().open()
        made[0].send(bytes(40 * MSS))
        assert len(peer.get()) == 40, "the whole window, at once"
        peer.acknowledge()
        scenario(s, made[0], peer)
