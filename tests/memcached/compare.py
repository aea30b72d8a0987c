"""Two servers given the same sequences."""

import re
from collections import Counter
from typing import Protocol


class Peer(Protocol):
    def ask(self, script: bytes) -> bytes: ...


ALLOWED = (
    (re.compile(rb"(?<= )t\d+(?=[ \r])"), b"t#", "seconds left: the servers' clocks tick at different moments"),
    (re.compile(rb"(?<= )l\d+(?=[ \r])"), b"l#", "seconds since the last access, as above"),
)


def comparable(reply: bytes) -> bytes:
    for pattern, replacement, _ in ALLOWED:
        reply = pattern.sub(replacement, reply)
    return reply


def differ(expected: Peer, got: Peer, commands: list[bytes]) -> tuple[bytes, bytes] | None:
    replies = tuple(comparable(peer.ask(b"".join(commands))) for peer in (expected, got))
    return None if replies[0] == replies[1] else (replies[0], replies[1])


def reached(commands: list[bytes], reply: bytes, table: Counter[tuple[str, str]]) -> None:
    """Which replies sequences with which commands had."""
    kinds = {line.split(b" ")[0].decode("latin-1") for line in reply.split(b"\r\n") if re.match(rb"[A-Z]{2}", line)}
    for name in {command.split()[0].decode("latin-1") for command in commands}:
        table.update((name, kind) for kind in kinds)
