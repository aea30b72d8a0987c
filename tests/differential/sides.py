"""What is compared: a stack with a program on it, and what a sequence of steps makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tests.differential.peer import NOWHERE, Peer, Place, Sent
from tests.differential.steps import Call, Segment, Step


@dataclass(frozen=True)
class Seen:
    """What the program has seen of one connection."""

    data: bytes
    ended: bool  # the peer closed its side
    error: str  # "", "reset", "refused", "aborted", …

    def __str__(self) -> str:
        said = [f"{len(self.data)} bytes"] + ["end"] * self.ended + [self.error] * bool(self.error)
        return "/".join(said)


@dataclass(frozen=True)
class Result:
    """Of one step."""

    sent: tuple[Sent, ...]
    programs: tuple[Seen, ...]
    state: str
    answer: str  # of a call: "", or why not
    place: Place = field(compare=False)  # of a segment

    def __str__(self) -> str:
        sent = "; ".join(map(str, self.sent)) or "nothing"
        programs = " ".join(map(str, self.programs))
        return (
            f"{self.state:12} {sent}" + f"   [{programs}]" * bool(programs) + f"   ({self.answer})" * bool(self.answer)
        )


class Side(Protocol):
    """One stack for one sequence; the program's calls go to the last connection it has."""

    @property
    def peer(self) -> Peer: ...
    def deliver(self, packet: bytes) -> None: ...
    def call(self, name: str, data: int) -> str: ...
    def sent(self) -> list[bytes]: ...
    def programs(self) -> tuple[Seen, ...]: ...
    def state(self) -> str: ...


def run(side: Side, steps: list[Step]) -> Iterator[Result]:
    for step in steps:
        answer, place = "", NOWHERE
        if isinstance(step, Segment):
            side.deliver(side.peer.packet(step))
            place = side.peer.place
        else:
            assert isinstance(step, Call)
            answer = side.call(step.name, step.length)
        sent = side.peer.follow(side.sent())
        yield Result(sent, side.programs(), side.state(), answer, place)
