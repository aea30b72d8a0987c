"""What waits pins little more than its bytes, however small the pieces are that it came in (design: "Memory")."""

import random
from collections.abc import Callable

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import Recorder, Stack, connection_of, frame, stack

WINDOW = 1 << 20
SIZES: dict[str, Callable[[int], int]] = {
    "1": lambda i: 1,
    "100": lambda i: 100,
    "700": lambda i: 700,
    "1025": lambda i: 1025,
    "1100": lambda i: 1100,
    "1400": lambda i: 1400,
    "1460": lambda i: 1460,
    "1 and 1460": lambda i: 1 if i % 2 else 1460,
    "600 and 1460": lambda i: 600 if i % 2 else 1460,
    "any": lambda i: random.Random(i).randrange(1, 1461),
}


def pinned(s: Stack) -> int:
    """By what TCP holds, the ring's own slots apart."""
    places = s.core.pool.pinned()
    return int(places["device"] + places["tcp"] + places["wire"] + places["network"])


def send(s: Stack, seq: int, text: bytes, ack: int) -> None:
    assert s.end.send(frame(40000, seq % 2**32, ack, 0x10, text))
    s.core.events.turn()
    s.core.events.turn()


@pytest.mark.parametrize("size", SIZES)
def test_data_that_waits_for_its_handler(size: str) -> None:
    with stack(TcpConfig(receive_window=WINDOW)) as s:
        made = s.listen()
        peer = s.peer().open(scale=7)
        made[0].pause()
        before, held = pinned(s), 0
        for i in range(400):
            text = bytes([i & 255]) * SIZES[size](i)
            send(s, peer.seq + held, text, peer.ack)
            held += len(text)
        s.end.receive()
        assert pinned(s) - before <= 1.45 * held + 8192, (pinned(s) - before) / held
        made[0].resume()
        s.frames()
        assert made[0].data == b"".join(bytes([i & 255]) * SIZES[size](i) for i in range(400))


@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled", "two streams"])
@pytest.mark.parametrize("size", SIZES)
def test_data_that_waits_for_what_lies_before_it(size: str, order: str) -> None:
    """Backwards, every piece lies before all that is kept."""
    pieces, at = [], 1
    for i in range(400):
        text = bytes([i & 255]) * SIZES[size](i)
        if at + len(text) > 65_000:  # the window of a SYN
            break
        pieces.append((at, text))
        at += len(text)
    whole = b"".join(text for _, text in pieces)
    if order == "backwards":
        pieces.reverse()
    elif order == "two streams":
        pieces = [piece for pair in zip(pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]) for piece in pair]
        whole = b"".join(text for _, text in sorted(pieces))
    elif order == "shuffled":  # within a distance that leaves few ranges
        pieces = [
            piece
            for i in range(0, len(pieces), 8)
            for piece in random.Random(i).sample(pieces[i : i + 8], len(pieces[i : i + 8]))
        ]
    with stack(TcpConfig(receive_window=WINDOW)) as s:
        made = s.listen()
        peer = s.peer().open(scale=7)
        before, held = pinned(s), 0
        for offset, text in pieces:
            send(s, peer.seq + offset, text, peer.ack)
            s.end.receive()
            held += len(text)
            if held > 4096:
                assert pinned(s) - before <= 1.5 * held + 16384, (held, (pinned(s) - before) / held)
        assert s.counters["dropped_reassembly"] == 0
        send(s, peer.seq, b"!", peer.ack)
        s.frames()
        assert made[0].data == b"!" + whole


@pytest.mark.parametrize("size", SIZES)
def test_what_a_peer_does_not_acknowledge(size: str) -> None:
    with stack(TcpConfig(receive_window=WINDOW, send_limit=200_000)) as s:
        made = s.listen(7, lambda: Recorder(receive=lambda self, data: self.send(data)))
        peer = s.peer(window=0).open(scale=7)
        before, sent = pinned(s), 0
        for i in range(1000):
            text = bytes([i & 255]) * SIZES[size](i)
            send(s, peer.seq + sent, text, peer.ack)
            s.end.receive()
            sent += len(text)
        held = connection_of(made[0]).queued
        assert held == sent or held >= 200_000
        assert pinned(s) - before <= 2 * min(sent, WINDOW) + (256 << 10), (held, (pinned(s) - before) / held)
