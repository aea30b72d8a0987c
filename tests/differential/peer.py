"""The peer of one connection: makes frames out of steps, follows what the stack sends, and says it in numbers that two
stacks have in common."""

import struct
from dataclasses import dataclass, replace

from tests.differential.steps import Segment

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
LETTERS = "FSRPAU"
M32 = 0xFFFFFFFF
# Where the stack's numbers begin before it has sent a SYN.
NO_ISS = 0x50000000
_PERIOD = 1 << 16  # so that it goes on when numbers wrap
_TEXT = 2 * bytes((7 * i + i // 251) % 256 for i in range(_PERIOD))


def behind(a: int, b: int) -> int:
    """a - b as a signed number."""
    difference = (a - b) & M32
    return difference - (1 << 32) if difference >> 31 else difference


def text(at: int, length: int, other: bool = False) -> bytes:
    """The peer's stream, `at` bytes from its initial number; `other`: something else."""
    at %= _PERIOD
    found = _TEXT[at : at + length]
    return bytes(byte ^ 0xFF for byte in found) if other else found


@dataclass(frozen=True)
class Sent:
    """What the stack sent, relative to the initial numbers. Segments that follow each other are one."""

    flags: str  # without PSH and URG
    seq: int
    length: int
    ack: int | None
    window: str  # "zero", "open"; "" in a RST

    def __str__(self) -> str:
        said = [f"> {self.flags} seq {self.seq}"]
        if self.length:
            said.append(f"{self.length} bytes")
        if self.ack is not None:
            said.append(f"ack {self.ack}")
        if self.window == "zero":
            said.append("win 0")
        return ", ".join(said)


@dataclass(frozen=True)
class Place:
    """Where a segment lies."""

    seq: int  # from RCV.NXT
    edge: int  # the window's, from RCV.NXT
    ack: int  # from SND.UNA
    flight: int  # SND.NXT, from SND.UNA


NOWHERE = Place(0, 0, 0, 0)


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Peer:
    """`address` and `port` are the peer's, `to` and `to_port` the stack's."""

    def __init__(self, address: bytes, port: int, to: bytes, to_port: int, isn: int) -> None:
        self.address, self.port = address, port
        self.to, self.to_port = to, to_port
        self.isn = isn
        self.rcv_nxt = isn  # of the stack, as far as it said
        self.edge = (isn + 1000) & M32
        self.iss = self.snd_nxt = self.una = NO_ISS
        self.place = NOWHERE  # of the last segment
        self.end = isn  # behind it
        self.offers_scale = False
        self.scale = 0

    def progress(self) -> tuple[int, int, int]:
        """How far the numbers have come, both ways."""
        return behind(self.rcv_nxt, self.isn), behind(self.snd_nxt, self.iss), behind(self.una, self.iss)

    def packet(self, step: Segment) -> bytes:
        """The IP packet."""
        place, distance = step.seq
        seq = ({"nxt": self.rcv_nxt, "edge": self.edge, "isn": self.isn}[place] + distance) & M32
        place, distance = step.ack
        ack = ({"nxt": self.snd_nxt, "una": self.una, "iss": self.iss}[place] + distance) & M32
        self.place = Place(
            behind(seq, self.rcv_nxt),
            behind(self.edge, self.rcv_nxt),
            behind(ack, self.una),
            behind(self.snd_nxt, self.una),
        )
        flags = sum(1 << LETTERS.index(letter) for letter in step.flags)
        if not flags & ACK:
            ack = 0
        elif behind(ack, self.una) > 0 and behind(ack, self.snd_nxt) <= 0:
            self.una = ack
        if flags & SYN:
            self.offers_scale = step.options[-4:-1] == b"\x01\x03\x03"
        self.end = (seq + step.length + ("S" in step.flags) + ("F" in step.flags)) & M32
        options = step.options + b"\0" * (-len(step.options) % 4)
        # RFC 9293, 3.4: a SYN stands before the text of its segment.
        payload = text(seq - self.isn + ("S" in step.flags), step.length, step.other_text)
        offset = 4 if step.wrong == "offset" else 5 + len(options) // 4
        header = struct.pack(
            "!HHIIBBHHH", self.port, self.to_port, seq, ack, offset << 4, flags, step.window, 0, 3 if flags & 32 else 0
        )
        segment = header + options + payload
        pseudo = self.address + self.to + struct.pack("!HH", 6, len(segment))
        check = checksum(pseudo + segment) ^ (0x0101 if step.wrong == "checksum" else 0)
        segment = segment[:16] + check.to_bytes(2, "big") + segment[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + self.address + self.to
        return ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:] + segment

    def follow(self, packets: list[bytes]) -> tuple[Sent, ...]:
        """What the stack sent in one step."""
        found: list[Sent] = []
        for packet in packets:
            source, destination, seq, ack, offset, flags, window = struct.unpack("!HHIIBBH", packet[20:36])
            if (source, destination) == (self.to_port, self.port):
                found.append(self._one(packet[20:], seq, ack, offset >> 4, flags, window))
        return _cumulative(found)

    def _one(self, segment: bytes, seq: int, ack: int, offset: int, flags: int, window: int) -> Sent:
        length = len(segment) - 4 * offset
        if flags & SYN:
            self.iss = self.una = seq
            self.snd_nxt = (seq + 1) & M32
            self.scale = _window_scale(segment[20 : 4 * offset]) if self.offers_scale else 0
        elif not flags & RST:
            end = (seq + length + (flags & FIN)) & M32
            if behind(end, self.snd_nxt) > 0:
                self.snd_nxt = end
        if flags & ACK and not flags & RST:
            self.rcv_nxt = ack
            self.edge = (ack + (window << (0 if flags & SYN else self.scale))) & M32
        assert segment[4 * offset :] == sent_text(behind(seq, self.iss) - 1, length), "the stack sent another text"
        return Sent(
            "".join(letter for bit, letter in enumerate(LETTERS[:5]) if flags & 1 << bit and letter != "P"),
            0 if flags & RST and seq == 0 else behind(seq, self.iss),
            length,
            self._acknowledged(flags, seq, ack),
            "" if flags & RST else "open" if window else "zero",
        )

    def _acknowledged(self, flags: int, seq: int, ack: int) -> int | None:
        if not flags & ACK:
            return None
        # Where there is no connection, a RST acknowledges what it answers.
        return behind(ack, self.end if flags & RST and seq == 0 else self.isn)


def sent_text(at: int, length: int) -> bytes:
    """The program's stream."""
    return _TEXT[at : at + length] if length else b""


def _window_scale(options: bytes) -> int:
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 3:
            return options[at + 2]
        at += 1 if options[at] == 1 else options[at + 1]
    return 0


def _cumulative(sent: list[Sent]) -> tuple[Sent, ...]:
    """However the stack cut its text, and in whichever segments its last acknowledgment is."""
    found: list[Sent] = []
    for one in sent:
        last = found[-1] if found else None
        if last and last.flags in ("A", "FA") and one.flags in ("A", "FA") and last.ack is not None:
            end = last.seq + last.length + (last.flags == "FA")
            bare = one.flags == "A" and not one.length
            if last.flags == "A" and not last.length and not bare and last.ack == one.ack:
                found.pop()
            elif end > last.seq and end == one.seq and (not bare or one.ack != last.ack):
                one = replace(one, flags=max(last.flags, one.flags), seq=last.seq, length=last.length + one.length)
                found.pop()
        found.append(one)
    return tuple(found)
