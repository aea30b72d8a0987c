import gc
import heapq
import logging
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from netapp.event.timer import NEVER, Timer, TimerWheel

# From ns, within one slot of the wheel, to beyond what 64 bits of ns hold.
SPANS = st.one_of(
    st.integers(0, 3_000),
    st.integers(0, 10**6),
    st.integers(0, 10**10),
    st.integers(0, 2**64 - 1),
)


class WheelAgainstHeap(RuleBasedStateMachine):
    """The wheel fires what a heap fires, when it does, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel = TimerWheel()
        self.now = 0
        self.count = 0
        self.heap: list[tuple[int, int]] = []  # deadline, number
        self.pending: dict[int, Timer] = {}
        self.fired: list[int] = []

    @rule(span=SPANS, past=st.booleans())
    def set(self, span: int, past: bool) -> None:
        deadline = max(self.now - span, 0) if past else min(self.now + span, NEVER - 1)
        number = self.count
        self.count += 1
        self.pending[number] = self.wheel.call_at(deadline, lambda: self.fired.append(number))
        heapq.heappush(self.heap, (deadline, number))

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.pending)))
        self.pending.pop(number).cancel()

    @rule(span=SPANS)
    def advance(self, span: int) -> None:
        self.advance_to(min(self.now + span, NEVER - 1))

    @rule()
    def advance_to_next(self) -> None:
        """A loop that sleeps until next_deadline() gets there, and not by small steps."""
        live = [deadline for deadline, number in self.heap if number in self.pending]
        if not live:
            return
        for _ in range(10):
            deadline = self.wheel.next_deadline()
            assert deadline <= max(min(live), self.now)
            if self.advance_to(max(deadline, self.now)):
                return
        raise AssertionError("more wake-ups than levels")

    def advance_to(self, now: int) -> int:
        self.now = now
        expected = []
        while self.heap and self.heap[0][0] <= now:
            number = heapq.heappop(self.heap)[1]
            if number in self.pending:
                del self.pending[number]
                expected.append(number)
        self.fired.clear()
        assert self.wheel.advance(now) == len(expected)
        assert self.fired == expected
        return len(expected)

    @invariant()
    def states_agree(self) -> None:
        assert all(timer.pending for timer in self.pending.values())
        if not self.pending:
            assert self.wheel.next_deadline() == NEVER


WheelAgainstHeap.TestCase.settings = settings(max_examples=60, stateful_step_count=60)
test_against_heap = WheelAgainstHeap.TestCase


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=300))
@settings(max_examples=50)
def test_fires_in_order_within_one_advance(deadlines: list[int]) -> None:
    wheel = TimerWheel()
    fired: list[int] = []
    for deadline in deadlines:
        wheel.call_at(deadline, lambda deadline=deadline: fired.append(deadline))
    assert wheel.advance(2_500) == sum(deadline <= 2_500 for deadline in deadlines)
    wheel.advance(5_000)
    assert fired == sorted(deadlines)


def test_not_early_by_a_nanosecond() -> None:
    wheel = TimerWheel()
    wheel.call_at(1_000_001, lambda: None)
    assert wheel.advance(1_000_000) == 0
    assert wheel.next_deadline() == 1_000_001
    assert wheel.advance(1_000_001) == 1


def test_set_while_firing_waits_for_the_next_advance() -> None:
    wheel = TimerWheel()
    fired: list[int] = []

    def again() -> None:
        fired.append(len(fired))
        wheel.call_at(0, again)  # long past

    wheel.call_at(5, again)
    assert wheel.advance(10) == 1
    assert wheel.next_deadline() <= 10
    assert wheel.advance(10) == 1
    assert fired == [0, 1]


def test_cancel_of_one_that_is_due_in_the_same_advance() -> None:
    wheel = TimerWheel()
    fired: list[str] = []
    timers: list[Timer] = []
    wheel.call_at(1, lambda: [timer.cancel() for timer in timers])  # type: ignore[func-returns-value]
    timers += [wheel.call_at(deadline, lambda: fired.append("cancelled")) for deadline in (2, 3, 70_000)]
    wheel.call_at(4, lambda: fired.append("last"))
    assert wheel.advance(100_000) == 2
    assert fired == ["last"]
    assert wheel.next_deadline() == NEVER


def test_cancel_is_idempotent_also_after_firing() -> None:
    wheel = TimerWheel()
    timer = wheel.call_at(1, lambda: None)
    assert timer.pending
    wheel.advance(1)
    assert not timer.pending
    timer.cancel()
    timer.cancel()


def test_exception_is_logged_and_counted_and_the_others_fire(caplog: pytest.LogCaptureFixture) -> None:
    class Held:
        pass

    wheel = TimerWheel()
    references: list[weakref.ref[Held]] = []
    fired: list[int] = []

    def fail() -> None:
        held = Held()
        references.append(weakref.ref(held))
        raise ValueError("in a timer")

    wheel.call_at(1, fail)
    wheel.call_at(2, lambda: fired.append(2))
    with caplog.at_level(logging.ERROR, "netapp.event"):
        assert wheel.advance(5) == 2
    assert fired == [2]
    assert wheel.counters()["exceptions"] == 1
    assert "fail" in caplog.text and "in a timer" in caplog.text
    assert caplog.records and references[0]() is None, "a record that is kept keeps no frame's locals"


def test_held_while_pending_and_then_released() -> None:
    class Function:
        def __call__(self) -> None:
            pass

    wheel = TimerWheel()
    gc.disable()
    try:
        references = []
        for deadline in (1, 10**9, 10**15):
            function = Function()
            references.append(weakref.ref(function))
            timer = wheel.call_at(deadline, function)
            del function
        del timer
        assert all(reference() is not None for reference in references)
        wheel.advance(1)
        assert references[0]() is None and references[1]() is not None
        wheel.destroy()
        assert all(reference() is None for reference in references)
        assert wheel.next_deadline() == NEVER
    finally:
        gc.enable()


def test_many_in_one_slot() -> None:
    wheel = TimerWheel()
    fired: list[int] = []
    for number in range(10_000):
        wheel.call_at(10**9 + number * 7919 % 1000, lambda number=number: fired.append(number * 7919 % 1000))
    assert wheel.advance(2 * 10**9) == 10_000
    assert fired == sorted(fired)
