"""What a script is made of, as the parser leaves it. Times are nanoseconds, numbers those of the script."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FLAG_LETTERS = "FSRP.UEW"  # bit 0 and up


@dataclass(frozen=True)
class Time:
    """When an event happens: `end` is the range's, where one is given. A relative time counts from the event before."""

    kind: Literal["absolute", "relative", "any"]
    start: int = 0
    end: int | None = None


# --- packets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A TCP option with its body; `kind` None: bytes that stand in the header as they are."""

    kind: int | None
    body: bytes = b""


@dataclass(frozen=True)
class Timestamp:
    value: int
    echo: int


@dataclass(frozen=True)
class Sack:
    blocks: tuple[tuple[int, int], ...]


TcpOption = Option | Timestamp | Sack


@dataclass(frozen=True)
class Tcp:
    flags: int
    seq: int
    length: int
    ack: int | None
    window: int | None  # None: not checked
    urgent: int
    options: tuple[TcpOption, ...] | None  # None: not checked
    text: bytes | None = None  # None: the stream's pattern


@dataclass(frozen=True)
class Udp:
    length: int
    text: bytes | None = None


@dataclass(frozen=True)
class Icmp:
    type: int
    code: int
    mtu: int | None = None
    id: int | None = None
    embedded: Tcp | Udp | None = None
    raw: int = 0  # bytes of payload, where no packet is embedded


@dataclass(frozen=True)
class Ip:
    """None: the default on the way in, not checked on the way out."""

    tos: int | None = None
    ecn: frozenset[int] | None = None
    ttl: int | None = None


@dataclass(frozen=True)
class Mutation:
    """What is done to an inbound packet: `field` becomes `value`; None for a checksum: made wrong."""

    field: str
    value: int | None


@dataclass(frozen=True)
class Packet:
    inbound: bool
    ip: Ip
    source_port: int  # 0: not given
    destination_port: int
    body: Tcp | Udp | Icmp
    mutations: tuple[Mutation, ...] = ()


# --- system calls ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    name: str


@dataclass(frozen=True)
class Anything:
    """`...`"""


@dataclass(frozen=True)
class Struct:
    """`{a = 1, b = 2}`; parts without a name are numbered, as in an iovec's `{..., 1000}`."""

    fields: dict[str, Expression]


@dataclass(frozen=True)
class Apply:
    """htons(8080), inet_addr("…")"""

    function: str
    argument: Expression


@dataclass(frozen=True)
class Either:
    """`A|B`"""

    parts: tuple[Expression, ...]


Expression = int | str | list["Expression"] | Word | Anything | Struct | Apply | Either


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple[Expression, ...]
    result: Expression
    errno: str | None
    end: int | None  # when a blocking call returns, counted as its event's time


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Command:
    text: str


@dataclass(frozen=True)
class Event:
    line: int
    time: Time
    action: Packet | Call | Code | Command


@dataclass(frozen=True)
class Script:
    path: Path
    options: tuple[tuple[int, str, str], ...] = ()  # line, name, value
    commands: tuple[tuple[int, str], ...] = ()  # before the first event
    events: tuple[Event, ...] = field(default=())
