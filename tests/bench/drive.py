"""A worker of the generator on pairs of sockets: nothing of the kernel's network is needed."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import Any

from bench.memaslap.configuration import Range, lengths
from bench.memaslap.worker import Worker
from tests.bench.server import Server

NEVER = (1 << 64) - 1
OFFSETS = 1 << 12


def packed(least: int, most: int, count: int) -> bytes:
    return lengths([Range(least, most, 1)], count, random.Random(1)).tobytes()


def worker_of(
    server: Server | Callable[[], Server],
    clients: int = 2,
    requests: int = NEVER,
    window: int = 64,
    keys: tuple[int, int] = (16, 250),
    values: tuple[int, int] = (1, 5000),
    expiring: float = 0.0,
    kinds: tuple[bool, ...] = (False,),
    **settings: Any,
) -> Worker:
    """`server`: or one for each socket. `kinds`: for each socket of a client whether it is for datagrams."""
    settings = {"get_share": 0.9, "set_share": 0.1, **settings}
    characters = bytes(random.Random(2).choices(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", k=OFFSETS + values[1]))
    worker = Worker(
        number=3,
        clients=clients,
        characters=characters,
        offsets=OFFSETS,
        window=window,
        servers=settings.pop("servers", 1),
        seed=5,
        **settings,
    )
    for _ in range(clients):
        ends = []
        for number, udp in enumerate(kinds):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
            (server if isinstance(server, Server) else server()).add(theirs)
            ends.append((ours.detach(), number if settings.get("writers") else 0, udp))
        worker.add_client(packed(*keys, window), packed(*values, window), expiring, ends, requests)
    return worker


def run(worker: Worker, seconds: float = 0.0) -> dict[str, int]:
    """To the last request, or so long; its counters."""
    now = time.monotonic_ns()
    worker.run(now, now, now + round(seconds * 1e9) if seconds else NEVER)
    worker.close()
    counters: dict[str, int] = worker.counters
    return counters


def pieces(size: int, reply: bytes) -> list[bytes]:
    return [reply[at : at + size] for at in range(0, len(reply), size)]
