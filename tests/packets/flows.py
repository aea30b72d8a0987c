"""Connections as the script sees them: whose sequence numbers are relative, and which ports a packet means.

The peer's numbers are those of the script. Ours begin anywhere: the first SYN that the stack sends shows where, and
from then on `offset` lies between a number of the script and one on the wire. Where no SYN was seen it is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.packets import names
from tests.packets.script import FLAG_LETTERS, Sack, TcpOption, Timestamp
from tests.packets.text import pattern
from tests.packets.wire import LiveTcp

MASK = 0xFFFFFFFF
FIRST_PEER_PORT = 40000
SYN, ACK = 2, 16


@dataclass
class Flow:
    peer_port: int
    our_port: int
    offset: int = 0  # live minus script, of our sequence numbers
    known: bool = False  # whether a SYN of ours showed it
    renewed: bool = False  # the peer began once more: our next SYN has new numbers
    peer_isn: int | None = None
    sent: bytearray | None = None  # all that the script wrote, where a socket belongs to it
    times: dict[int, int] = field(default_factory=dict)  # our time stamps: script to live

    def live(self, number: int) -> int:
        """One of our sequence numbers, as it stands on the wire."""
        return (number + self.offset) & MASK

    def of_script(self, number: int) -> int:
        return (number - self.offset) & MASK

    def begin_anew(self) -> None:
        """A connection takes this one's place."""
        self.renewed = True
        self.sent = None
        self.times = {}

    def peer_sends(self, flags: int, seq: int) -> None:
        if flags & SYN:
            if self.peer_isn is not None and seq != self.peer_isn and not flags & ACK:
                self.renewed = True
            self.peer_isn = seq

    def learn(self, script_seq: int, live: LiveTcp) -> None:
        """Of a SYN of ours."""
        if not self.known or (self.renewed and self.live(script_seq) != live.seq):
            self.offset = (live.seq - script_seq) & MASK
            self.known = True
            self.renewed = False

    def peer_text(self, seq: int, length: int) -> bytes:
        first = 0 if self.peer_isn is None else self.peer_isn + 1
        return pattern((seq - first) & MASK, length)

    # --- options -----------------------------------------------------------------------------------------------------

    def encode(self, options: tuple[TcpOption, ...]) -> bytes:
        """Of an inbound packet: what is ours in it, acknowledged ranges and echoed time stamps, becomes live."""
        return _encode(options, self.live, lambda stamp: (stamp.value, self.times.get(stamp.echo, stamp.echo)))

    def expected(self, options: tuple[TcpOption, ...], live: bytes) -> bytes:
        """Of an outbound packet: a time stamp's first use teaches what the script's value means."""
        at = live.find(b"\x08\x0a")
        value = int.from_bytes(live[at + 2 : at + 6], "big") if at >= 0 else 0

        def stamps(stamp: Timestamp) -> tuple[int, int]:
            return self.times.setdefault(stamp.value, value), stamp.echo

        return _encode(options, lambda number: number, stamps)


def _encode(
    options: tuple[TcpOption, ...],
    number: Callable[[int], int],
    stamps: Callable[[Timestamp], tuple[int, int]],
) -> bytes:
    made = b""
    for option in options:
        if isinstance(option, Timestamp):
            value, echo = stamps(option)
            made += bytes([names.TIMESTAMP, 10]) + value.to_bytes(4, "big") + echo.to_bytes(4, "big")
        elif isinstance(option, Sack):
            made += bytes([names.SACK, 2 + 8 * len(option.blocks)])
            made += b"".join(number(edge).to_bytes(4, "big") for block in option.blocks for edge in block)
        elif option.kind is None:
            made += option.body
        elif option.kind <= names.NOP:
            made += bytes([option.kind])
        else:
            made += bytes([option.kind, 2 + len(option.body)]) + option.body
    return made


class Flows:
    """All of a script; packets that name no ports belong to `default`."""

    def __init__(self, bind_port: int) -> None:
        self.all: list[Flow] = []
        self.listening_port = bind_port
        self.default: Flow | None = None

    def of_script(self, peer_port: int, our_port: int) -> Flow:
        """0 stands for a port that the script does not say; what is not known yet is made."""
        if not peer_port and not our_port:
            if self.default is None:
                self.default = self.of_ports(FIRST_PEER_PORT, self.listening_port)
            return self.default
        for flow in reversed(self.all):
            if peer_port in (0, flow.peer_port) and our_port in (0, flow.our_port):
                return flow
        return self.of_ports(peer_port or FIRST_PEER_PORT, our_port or self.listening_port)

    def of_packet(self, ports: tuple[int, int]) -> Flow | None:
        """Of what the stack sent, from and to these ports."""
        return next((flow for flow in self.all if (flow.our_port, flow.peer_port) == ports), None)

    def of_ports(self, peer_port: int, our_port: int) -> Flow:
        for flow in self.all:
            if (flow.peer_port, flow.our_port) == (peer_port, our_port):
                return flow
        self.all.append(Flow(peer_port, our_port))
        return self.all[-1]

    def connected(self, peer_port: int, our_port: int) -> Flow:
        """A connection that the script's connect() begins."""
        flow = self.of_ports(peer_port, our_port)
        flow.begin_anew()
        self.default = flow
        return flow


def flag_text(flags: int) -> str:
    letters = "".join(letter for bit, letter in enumerate(FLAG_LETTERS) if flags & 1 << bit and letter != ".")
    return (letters + "." if flags & ACK else letters) or "-"
