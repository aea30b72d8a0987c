"""Servers that are away: told when all their connections have ended, and when all are back, as memaslap does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class Outages:
    def __init__(self, servers: Sequence[tuple[str, int]], connections: Sequence[int]) -> None:
        """`connections`: of each server."""
        self.servers = servers
        self.connections = connections
        self.since: dict[int, float] = {}

    def look(self, lost: Sequence[int], back: Sequence[int], now: float) -> Iterator[str]:
        """Lines about what has changed; `lost` and `back` count connections so far, by server."""
        for i, (host, port) in enumerate(self.servers):
            away = lost[i] - back[i]
            if i not in self.since and away >= self.connections[i]:
                self.since[i] = now
                yield f"Server {host}:{port} disconnect"
            elif i in self.since and not away:
                yield f"Server {host}:{port} reconnect after {now - self.since.pop(i):.0f}s"
