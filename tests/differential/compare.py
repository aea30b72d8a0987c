"""One sequence given to both stacks, and the first difference that no decision explains."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random

from tests.differential.decisions import Decision, Moment, explained
from tests.differential.kernel import Kernel, kernel, theirs
from tests.differential.ours import ours
from tests.differential.sides import Result, run
from tests.differential.steps import Call, Segment, Step

_SLOW = 0.4  # s; a kernel that was held up longer may have retransmitted a SYN
_PORTS = 50000


@dataclass(frozen=True)
class Outcome:
    """`different`: at the step of this number; None: alike, or explained."""

    results: list[tuple[Step, Result, Result]]
    decisions: list[Decision]
    different: int | None

    def __str__(self) -> str:
        lines = []
        for number, (step, our, their) in enumerate(self.results):
            lines.append(f"{number:3}  {step}")
            lines.append(f"       both    {our}" if our == their else f"       ours    {our}\n       kernel  {their}")
        return "\n".join(lines)


class Comparison:
    def __init__(self, made: Kernel) -> None:
        self.kernel = made
        self.number = Random().randrange(_PORTS)
        self.window = 60_000
        self.window = self._window()
        self.decided: Counter[Decision] = Counter()
        self.states: Counter[str] = Counter()
        self.steps = 0

    def _ports(self) -> tuple[int, int]:
        """Of the stack and of the peer: never the same again."""
        self.number += 1
        return 10_000 + self.number % _PORTS, 1024 + self.number // _PORTS + self.number * 7 % 60_000

    def _window(self) -> int:
        """What the kernel's connections offer: ours offer the same."""
        port, peer_port = self._ports()
        with theirs(self.kernel, port, peer_port, 1000) as side:
            for _ in run(side, [Call("listen"), Segment("S"), Segment("A")]):
                pass
            return side.peer.edge - side.peer.rcv_nxt

    def once(self, steps: list[Step], isn: int) -> Outcome:
        for _ in range(5):
            begun = time.monotonic()
            outcome = self._once(steps, isn)
            if time.monotonic() - begun < _SLOW:
                break
        return outcome

    def _once(self, steps: list[Step], isn: int) -> Outcome:
        port, peer_port = self._ports()
        results: list[tuple[Step, Result, Result]] = []
        decisions: list[Decision] = []
        with ours(self.window, port, peer_port, isn) as own, theirs(self.kernel, port, peer_port, isn) as other:
            for step, our, their in zip(steps, run(own, steps), run(other, steps)):
                state = results[-1][1].state if results else "CLOSED"
                results.append((step, our, their))
                if our != their:
                    decision = explained(Moment(step, state, our, their, results[:-1]))
                    if decision is None:
                        return Outcome(results, decisions, len(results) - 1)
                    decisions.append(decision)
                    if (our.state, our.programs, our.answer) != (their.state, their.programs, their.answer):
                        break
                    if own.peer.progress() != other.peer.progress():
                        break
        return Outcome(results, decisions, None)

    def sequence(self, steps: list[Step], seed: int) -> Outcome:
        """Counts what it saw; one that differs is shrunken."""
        isn = Random(seed).choice([1000, 0xFFFFFF00, 0x7FFFFF00, 0])
        outcome = self.once(steps, isn)
        self.decided.update(set(outcome.decisions))
        self.steps += len(outcome.results)
        self.states.update(our.state for _, our, _ in outcome.results)
        if outcome.different is None:
            return outcome
        return self.shrunken(steps[: outcome.different + 1], isn, outcome)

    def shrunken(self, steps: list[Step], isn: int, outcome: Outcome) -> Outcome:
        """Steps are left out, and made simpler, as long as the last one still makes the same difference."""
        last = outcome.results[-1]

        def same(candidate: list[Step]) -> Outcome | None:
            again = self.once(candidate, isn)
            if again.different != len(candidate) - 1:
                return None
            return again if _kind(again.results[-1]) == _kind(last) else None

        smaller = True
        while smaller:
            smaller = False
            for candidate in _smaller(steps):
                again = same(candidate)
                if again is not None:
                    steps, outcome, smaller = candidate, again, True
                    break
        return outcome


def _kind(difference: tuple[Step, Result, Result]) -> object:
    """What must stay when steps are left out."""
    _, our, their = difference
    return (
        [sent.flags for sent in our.sent],
        [sent.flags for sent in their.sent],
        our.state,
        their.state,
    )


def _smaller(steps: list[Step]) -> Iterator[list[Step]]:
    for at in range(len(steps) - 1):
        yield steps[:at] + steps[at + 1 :]
    plain: list[Callable[[Segment], Segment]] = [
        lambda segment: replace(segment, options=b""),
        lambda segment: replace(segment, other_text=False),
        lambda segment: replace(segment, window=60000),
        lambda segment: replace(segment, length=0),
        lambda segment: replace(segment, seq=("nxt", 0)),
        lambda segment: replace(segment, ack=("nxt", 0)),
        lambda segment: replace(segment, flags=segment.flags.replace("P", "").replace("U", "")),
    ]
    for at, step in enumerate(steps):
        if isinstance(step, Segment):
            for change in plain:
                changed = change(step)
                if changed != step:
                    yield [*steps[:at], changed, *steps[at + 1 :]]


@contextmanager
def comparison() -> Iterator[Comparison]:
    with kernel() as made:
        yield Comparison(made)
