"""The steps of a sequence: segments that the peer sends, and calls of the program. Numbers are symbolic, so that one
sequence suits two stacks that choose their own."""

from dataclasses import dataclass

MSS_1000 = b"\x02\x04\x03\xe8"


@dataclass(frozen=True)
class Segment:
    """`seq` and `ack` are a place and a distance from it.

    Places of `seq`: "nxt", what the stack acknowledged last (RCV.NXT), "edge", the right edge of its window, "isn", the
    peer's initial number. Of `ack`: "nxt", behind all that the stack sent (SND.NXT), "una", what the peer acknowledged
    last, "iss".
    """

    flags: str
    seq: tuple[str, int] = ("nxt", 0)
    ack: tuple[str, int] = ("nxt", 0)
    length: int = 0
    window: int = 60000
    options: bytes = b""
    other_text: bool = False  # not what stands in the peer's stream at these numbers
    wrong: str = ""  # "checksum", "offset"

    def __str__(self) -> str:
        said = [f"< {self.flags or '-'} seq {_place(self.seq)}"]
        if "A" in self.flags:
            said.append(f"ack {_place(self.ack)}")
        if self.length:
            said.append(f"{self.length} bytes{' of another text' if self.other_text else ''}")
        said.append(f"win {self.window}")
        if self.options:
            said.append(f"options {self.options.hex()}")
        if self.wrong:
            said.append(f"wrong {self.wrong}")
        return ", ".join(said)


@dataclass(frozen=True)
class Call:
    name: str  # listen, connect, write, close, abort, pause, resume
    length: int = 0

    def __str__(self) -> str:
        return f"{self.name}({self.length or ''})"


Step = Segment | Call


def _place(place: tuple[str, int]) -> str:
    name, distance = place
    return f"{name}{distance:+}" if distance else name
