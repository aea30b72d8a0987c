"""What clients sent in a capture: the text of each TCP connection, piece by piece, in the order in which it came.

Raw frames cannot be sent again: sequence numbers, ports and addresses are others the next time. What is kept of a
client's segment is the text that is new and in order (what came out of order counts with what filled the hole), how
much of the server's text its acknowledgment covers, and SYN, FIN and RST.
"""

from __future__ import annotations

import pickle
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

OPEN, TEXT, CLOSE, RESET = range(4)  # as bench/recorded.pxd has them
_MODULUS = 1 << 32
_HALF = 1 << 31
_ETHERNET = 1
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16

Endpoint = tuple[bytes, int]


class BadRecording(click.ClickException):
    """Nothing can be replayed from it."""

    exit_code = 2


@dataclass(frozen=True)
class Step:
    connection: int
    kind: int
    text: bytes
    after: int  # bytes of the server's text that the client had acknowledged


@dataclass(frozen=True)
class Recording:
    path: str
    connections: int
    steps: list[Step]
    left_out: dict[str, int] = field(default_factory=dict)  # frames or connections, by reason

    @property
    def requests(self) -> int:
        """Pieces of text: what is sent in one piece counts once."""
        return sum(step.kind == TEXT for step in self.steps)

    @property
    def text_bytes(self) -> int:
        return sum(len(step.text) for step in self.steps)

    @contextmanager
    def saved(self) -> Iterator[str]:
        """The path of a file with it, for saved() of another process."""
        with tempfile.NamedTemporaryFile() as file:
            pickle.dump(self, file)
            file.flush()
            yield file.name


def saved(path: str) -> Recording:
    with open(path, "rb") as file:
        found: Recording = pickle.load(file)
    return found


class Stream:
    """A connection, from its SYN on; the client's side."""

    def __init__(self, server: Endpoint, initial: int) -> None:
        self.server = server
        self.initial = initial
        self.next = 1  # of the client's sequence numbers, from the initial one on
        self.waiting: dict[int, bytes] = {}
        self.end: int | None = None  # where its FIN is
        self.server_initial: int | None = None
        self.ended = False

    def place(self, number: int) -> int:
        """A sequence number that is at most 2^31 away, from the initial one on."""
        return self.next + (number - self.initial - self.next + _HALF) % _MODULUS - _HALF

    def in_order(self, at: int, text: bytes) -> bytes:
        """What can go up now that `text` is there."""
        if text:
            self.waiting[at] = max(self.waiting.get(at, b""), text, key=len)
        found = b""
        for start in sorted(self.waiting):
            if start > self.next:
                break
            piece = self.waiting.pop(start)[self.next - start :]
            found += piece
            self.next += len(piece)
        return found


def read(path: str) -> Recording:
    """Raises BadRecording."""
    streams: dict[tuple[Endpoint, Endpoint], Stream] = {}
    steps: list[tuple[Stream, int, bytes, int]] = []
    left_out: Counter[str] = Counter()
    for frame in _frames(path):
        packet, segment = _segment(frame, left_out)
        if segment is None:
            continue
        source, destination = (packet.src, segment.sport), (packet.dst, segment.dport)
        if segment.flags & (_SYN | _ACK) == _SYN:
            stream = streams.get((source, destination))
            if stream is None or stream.initial != segment.seq:  # else it came again
                streams[source, destination] = stream = Stream(destination, segment.seq)
                steps.append((stream, OPEN, b"", 0))
            # Text may come with it; its place is behind the SYN's.
        elif (stream := streams.get((destination, source))) is not None:
            if segment.flags & _SYN:
                stream.server_initial = segment.seq
            continue
        else:
            stream = streams.get((source, destination))
        if stream is None:
            left_out["segments of connections whose beginning is missing"] += 1
        else:
            steps += _steps(stream, segment)
    return _chosen(path, steps, left_out)


def _steps(stream: Stream, segment: Any) -> Iterator[tuple[Stream, int, bytes, int]]:
    """Of a segment of the client's."""
    if stream.ended:
        return
    after = 0
    if segment.flags & _ACK and stream.server_initial is not None:
        after = (segment.ack - stream.server_initial - 1) % _MODULUS
    if segment.flags & _RST:
        stream.ended = True
        yield stream, RESET, b"", after
        return
    at = stream.place(segment.seq) + bool(segment.flags & _SYN)
    if segment.flags & _FIN:
        stream.end = at + len(segment.data)
    text = stream.in_order(at, bytes(segment.data))
    if text:
        yield stream, TEXT, text, after
    if stream.end is not None and stream.next >= stream.end:
        stream.ended = True
        yield stream, CLOSE, b"", after


def _chosen(path: str, steps: list[tuple[Stream, int, bytes, int]], left_out: Counter[str]) -> Recording:
    """Of the server that most connections are to."""
    servers = Counter(stream.server for stream, kind, _, _ in steps if kind == OPEN)
    if not servers:
        raise BadRecording(f"{path}: no TCP connection begins in it: capture from before the first SYN on")
    (server, _), *others = servers.most_common()
    for _, count in others:
        left_out["connections to other servers"] += count
    numbers: dict[int, int] = {}
    chosen = [
        Step(numbers.setdefault(id(stream), len(numbers)), kind, text, after)
        for stream, kind, text, after in steps
        if stream.server == server
    ]
    if not any(step.kind == TEXT for step in chosen):
        raise BadRecording(f"{path}: no client of it sent anything over TCP")
    return Recording(path, len(numbers), chosen, dict(left_out))


def _segment(frame: bytes, left_out: Counter[str]) -> tuple[Any, Any]:
    """(IP packet, TCP segment) of it, or None twice."""
    import dpkt

    try:
        packet = dpkt.ethernet.Ethernet(frame).data
        if isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.tcp.TCP):
            if packet.len > len(bytes(packet)):
                left_out["frames cut short"] += 1
                return None, None
            return packet, packet.data
    except (dpkt.UnpackError, ValueError, IndexError, struct.error):
        pass
    left_out["frames without a TCP segment"] += 1
    return None, None


def _frames(path: str) -> Iterator[bytes]:
    try:
        import dpkt
    except ImportError:
        raise click.ClickException("reading a capture takes the package dpkt: make deps installs it") from None
    count = 0
    try:
        with Path(path).open("rb") as file:
            reader = dpkt.pcap.UniversalReader(file)
            if reader.datalink() != _ETHERNET:
                raise BadRecording(f"{path}: captured on no Ethernet: link type {reader.datalink()}")
            for _, frame in reader:
                count += 1
                yield bytes(frame)
    except OSError as error:
        raise BadRecording(f"{path}: {error.strerror}") from None
    except (dpkt.UnpackError, ValueError, IndexError, struct.error):
        why = f"broken after {count} frames" if count else "no capture: pcapng or pcap is wanted"
        raise BadRecording(f"{path}: {why}") from None
