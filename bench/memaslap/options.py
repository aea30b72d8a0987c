"""What the command line means, and what of it fits together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from bench.memaslap.configuration import UNIT, Configuration

DEFAULT_PORT = 11211
DEFAULT_SECONDS = 600.0
DATAGRAM_BYTES = 1400  # memcached's; what it is sent is no larger either
MOST_THREADS = 256
MOST_CONCURRENCY = 65536
MOST_KEYS = 1000  # of a get
MOST_RATE = 1e8
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Options:
    servers: tuple[tuple[str, int], ...]
    threads: int = 1
    concurrency: int = 16
    conn_sock: int = 1
    execute_number: int = 0
    time: float = DEFAULT_SECONDS
    cfg_cmd: Path | None = None
    win_size: int = 10 * UNIT
    fixed_size: int = 0
    verify: float = 0.0
    division: int = 1
    stat_freq: float = 0.0
    exp_verify: float = 0.0
    overwrite: float = 0.0
    reconnect: bool = False
    udp: bool = False
    facebook: bool = False
    binary: bool = False
    tps: int = 0
    rep_write: int = 0
    verbose: bool = False
    rate: float = 0.0
    warm_up: float = 0.0
    expiry: int = 60
    servers_text: str = field(default="", compare=False)

    def check(self, configuration: Configuration) -> str:
        """What is wrong with it; empty: nothing."""
        longest_key = max(r.most for r in configuration.keys)
        longest_value = max(r.most for r in configuration.values)
        command = longest_key + longest_value + (32 if self.binary else 30) + 8
        keys = (longest_key + (24 if self.binary else 1)) * self.division + 13
        wrong = {
            "the concurrency (-c) must be a multiple of the threads (-T)": self.concurrency % self.threads,
            f"{len(self.servers)} servers need as many threads (-T): each thread has one, but for -p": (
                len(self.servers) > self.threads and not self.rep_write
            ),
            "fewer requests (-x) than concurrency (-c): each does as many": 0 < self.execute_number < self.concurrency,
            "-a gets several keys at once: say how many with -d": self.facebook and self.division < 2,
            "-a uses both TCP and UDP: leave out -U": self.facebook and self.udp,
            "UDP has one socket for each concurrency: leave out -n or -U": self.udp and self.conn_sock > 1,
            "-p needs several servers": self.rep_write and len(self.servers) < 2,
            f"-p {self.rep_write}: there are {len(self.servers)} servers": self.rep_write > len(self.servers),
            "-p works with TCP only: leave out -U": self.rep_write and self.udp,
            "-a and -p exclude each other": self.rep_write and self.facebook,
            "-P is memaslap's closed loop, --rate an open one: choose one": self.tps and self.rate,
            f"a set of {longest_value} bytes does not fit into a datagram of {DATAGRAM_BYTES}": (
                self.udp and command > DATAGRAM_BYTES
            ),
            f"a get of {self.division} keys does not fit into a datagram of {DATAGRAM_BYTES}": (
                (self.udp or self.facebook) and keys > DATAGRAM_BYTES
            ),
        }
        return next((text for text, found in wrong.items() if found), "")


def seconds(text: str) -> float:
    """A time: 10s, 2m, 1h, 1d."""
    unit = _SECONDS.get(text[-1:].lower())
    try:
        found = float(text[:-1]) * (unit or 0)
    except ValueError:
        unit = None
    if not unit or not 0 < found < 1e7:
        raise ValueError(f"{text!r} is no time: a number and s, m, h or d, as in 10s")
    return found


def size(text: str) -> int:
    """A number, which k, m or g multiply by 1024, 1024² or 1024³ as in memaslap."""
    unit = _SIZES.get(text[-1:].lower())
    number = text[:-1] if unit else text
    found = int(number) * (unit or 1) if number.isdecimal() and number.isascii() else 0
    if not 0 < found < 1 << 40:
        raise ValueError(f"{text!r} is no size: a number, and k, m or g, as in 10k")
    return found


def proportion(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise ValueError(f"{text!r} is no proportion: more than 0, at most 1")
    return found


def rate(text: str) -> float:
    """Requests a second."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= MOST_RATE:
        raise ValueError(f"{text!r} is no rate: requests a second, at most {MOST_RATE:g}")
    return found


def servers(text: str) -> tuple[tuple[str, int], ...]:
    """host:port,host:port; [address]:port of IPv6; 11211 where no port is given."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        bracketed = re.fullmatch(r"\[([^]]+)\](?::(\d+))?", part)
        plain = re.fullmatch(r"([^:\[\]]+)(?::(\d+))?", part)
        address = re.fullmatch(r"([0-9a-fA-F:.]+:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)()", part)
        match = bracketed or plain or address
        port = int(match[2] or DEFAULT_PORT) if match else 0
        if not match or not 0 < port < 65536:
            raise ValueError(f"{part!r} is no server: host:port")
        found.append((match[1], port))
    return tuple(found)
