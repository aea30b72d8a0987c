import gc
import logging
import weakref
from typing import Any

import pytest

from netapp.ebb.core import EVENT_MANAGER, TIMER, EbbError, EbbNamespace, running_core
from netapp.event.contracts import Clock, Entropy, InterruptFunction, Interrupts, WallClock
from netapp.event.manager import (
    FLUSH,
    FREE,
    OUTPUT,
    EndOfTurn,
    EndOfTurnFunction,
    EventManager,
    Poller,
    PollerFunction,
    event_manager,
)
from netapp.event.timer import TimerWheel, timer_wheel
from netapp.event.virtual import VirtualClock, VirtualEntropy, VirtualInterrupts, VirtualWallClock


class Receiver:
    """An Ebb that is sent messages."""

    def __init__(self, order: list[str]) -> None:
        self.order = order

    def receive(self, message: bytes) -> None:
        self.order.append(message.decode())


def test_order_of_a_turn(simulated: Any) -> None:
    events = simulated.manager()
    order: list[str] = []
    for stage, name in ((FLUSH, "flush"), (OUTPUT, "output"), (FREE, "free")):
        events.at_end_of_turn(EndOfTurnFunction(lambda name=name: order.append(name)), stage)
    events.start_polling(PollerFunction(lambda budget: order.append(f"poll {budget}") or 0))  # type: ignore[func-returns-value]
    timer_wheel().call_at(100, lambda: order.append("timer"))
    events.spawn(lambda: order.append("event"))
    receiver = simulated.namespace.create(lambda core, _: Receiver(order))
    simulated.cores[0].post(receiver, "receive", b"message")
    simulated.interrupts[0].attach("device", InterruptFunction(lambda: order.append("interrupt")))
    simulated.interrupts[0].raise_interrupt("device")
    simulated.clock.advance(100)
    assert events.turn()
    assert order == ["interrupt", "message", "event", "timer", "poll 64", "output", "free", "flush"]
    order.clear()
    assert not events.turn()
    assert order == ["poll 64", "output", "free", "flush"]
    counters = events.counters()
    assert {name: value for name, value in counters.items() if value} == {
        "turns": 2,
        "events": 1,
        "timers_fired": 1,
        "interrupts": 1,
        "polls": 2,
        "polls_empty": 2,
        "messages": 1,
    }


def test_clock_is_read_once_a_turn(simulated: Any) -> None:
    events = simulated.manager()
    seen: list[int] = []

    def look() -> None:
        simulated.clock.advance(7)
        seen.append(events.now)

    events.spawn(look)
    events.spawn(look)
    events.turn()
    assert seen == [0, 0]
    events.spawn(look)
    events.turn()
    assert seen[2] == 14


def test_time_never_goes_back(simulated: Any) -> None:
    events = simulated.manager()
    simulated.clock.time = 1000
    events.turn()
    simulated.clock.time = 500
    events.turn()
    assert events.now == 1000


def test_an_event_queued_in_a_turn_runs_in_the_next(simulated: Any) -> None:
    events = simulated.manager()
    turns: list[int] = []

    def again() -> None:
        turns.append(events.counters()["turns"])
        if len(turns) < 3:
            events.spawn(again)

    events.spawn(again)
    assert events.turn() and events.turn() and events.turn()
    assert turns == [0, 1, 2]
    assert not events.turn()
    assert events.idle_time() == -1


def test_idle_time(simulated: Any) -> None:
    events = simulated.manager()
    assert events.idle_time() == -1
    timer = timer_wheel().call_at(5_000, lambda: None)
    assert events.idle_time() == 5_000
    simulated.clock.time = 6_000
    assert events.idle_time() == 0
    timer.cancel()
    assert events.idle_time() == -1
    poller = PollerFunction(lambda budget: 0)
    events.start_polling(poller)
    assert events.idle_time() == 0
    events.stop_polling(poller)
    assert events.idle_time() == -1
    events.spawn(lambda: None)
    assert events.idle_time() == 0


def test_pollers_stop_and_start_each_other(simulated: Any) -> None:
    events = simulated.manager()
    order: list[str] = []

    def first(budget: int) -> int:
        order.append("first")
        events.stop_polling(pollers[0])
        events.stop_polling(pollers[1])
        events.start_polling(pollers[2])
        return 1

    def second(budget: int) -> int:
        order.append("second")
        return 0

    def third(budget: int) -> int:
        order.append("third")
        events.stop_polling(pollers[2])
        return 0

    pollers = [PollerFunction(function) for function in (first, second, third)]
    events.start_polling(pollers[0])
    events.start_polling(pollers[0])  # once is enough
    events.start_polling(pollers[1])
    assert events.turn()  # what was started in the walk waits for the next one
    assert order == ["first"]
    assert not events.turn()
    assert order == ["first", "third"]
    assert events.idle_time() == -1


def test_a_poller_that_stops_and_starts_itself_polls_on(simulated: Any) -> None:
    events = simulated.manager()
    polled: list[int] = []

    def poll(budget: int) -> int:
        polled.append(budget)
        events.stop_polling(poller)
        events.start_polling(poller)
        return 0

    poller = PollerFunction(poll)
    events.start_polling(poller)
    events.turn()
    events.turn()
    assert len(polled) == 2


def test_hooks_come_and_go_within_the_end_of_a_turn(simulated: Any) -> None:
    events = simulated.manager()
    order: list[str] = []
    late = EndOfTurnFunction(lambda: order.append("late"))
    removed = EndOfTurnFunction(lambda: order.append("removed"))

    def first() -> None:
        order.append("first")
        events.at_end_of_turn(late, FLUSH)
        events.remove_end_of_turn(removed)

    hook = EndOfTurnFunction(first)
    events.at_end_of_turn(hook, OUTPUT)
    events.at_end_of_turn(removed, FREE)
    events.turn()
    assert order == ["first", "late"]
    events.remove_end_of_turn(hook)
    events.turn()
    assert order == ["first", "late", "late"]


def test_exceptions_are_counted_and_everything_else_goes_on(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    events = simulated.manager()
    order: list[str] = []

    def fail(*args: Any) -> None:
        raise ValueError("deliberate")

    for source in ("a", "b"):
        simulated.interrupts[0].attach(source, InterruptFunction(fail if source == "a" else lambda: order.append("b")))
        simulated.interrupts[0].raise_interrupt(source)
    simulated.cores[0].post(TIMER, "missing", b"")
    events.spawn(fail)
    events.spawn(lambda: order.append("event"))
    poller = PollerFunction(fail)
    events.start_polling(poller)
    events.start_polling(PollerFunction(lambda budget: order.append("poller") or 0))  # type: ignore[func-returns-value]
    events.at_end_of_turn(EndOfTurnFunction(fail), OUTPUT)
    events.at_end_of_turn(EndOfTurnFunction(lambda: order.append("hook")), OUTPUT)
    with caplog.at_level(logging.ERROR, "netapp.event"):
        events.turn()
    assert order == ["b", "event", "poller", "hook"]
    assert events.counters()["exceptions"] == 5
    assert len(caplog.records) == 5
    assert all("fail" in record.getMessage() or "missing" in record.getMessage() for record in caplog.records)
    caplog.clear()
    events.turn()
    assert caplog.records == [], "a second has to pass until a poller that fails in every turn is logged again"
    assert order.count("poller") == 2  # the poller that failed is kept, and so is the one after it
    assert events.counters()["exceptions"] == 7


def test_a_logged_exception_lets_go_of_its_frames(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Held:
        pass

    def fail() -> None:
        held = Held()
        references.append(weakref.ref(held))
        try:
            raise ValueError("first")
        except ValueError as error:
            raise RuntimeError("second") from error

    references: list[Any] = []
    gc.disable()
    try:
        events = simulated.manager()
        events.spawn(fail)
        events.turn()
        assert caplog.records[0].exc_info is not None
        assert references[0]() is None
    finally:
        gc.enable()


def test_keyboard_interrupt_passes_and_loses_no_event(simulated: Any) -> None:
    events = simulated.manager()
    order: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    for function in (lambda: order.append("before"), interrupt, lambda: order.append("after")):
        events.spawn(function)
    with pytest.raises(KeyboardInterrupt):
        events.turn()
    events.spawn(lambda: order.append("last"))
    events.turn()
    assert order == ["before", "after", "last"]


def test_long_handlers_are_reported_by_name(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    events = simulated.manager()

    def slow_event() -> None:
        simulated.clock.advance(100_000_001)

    def slow_timer() -> None:
        simulated.clock.advance(200_000_000)

    def slow_interrupt() -> None:
        simulated.clock.advance(300_000_000)

    events.spawn(lambda: simulated.clock.advance(100_000_000))  # the limit itself is allowed
    events.spawn(slow_event)
    timer_wheel().call_at(0, slow_timer)
    simulated.interrupts[0].attach("device", InterruptFunction(slow_interrupt))
    simulated.interrupts[0].raise_interrupt("device")
    events.turn()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert "slow_interrupt" in messages[0] and "300.0 ms" in messages[0]
    assert "slow_event" in messages[1] and "100.0 ms" in messages[1]
    assert "slow_timer" in messages[2] and "200.0 ms" in messages[2]
    assert events.counters()["long_handlers"] + timer_wheel().counters()["long_handlers"] == 3


def test_a_poller_that_holds_the_running_loop_is_reported(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    events = simulated.manager()
    calls: list[int] = []

    def slow_poll(budget: int) -> int:
        calls.append(budget)
        if len(calls) == 2:
            simulated.clock.advance(500_000_000)
        if len(calls) == 4:
            events.stop()
        return 0

    events.start_polling(PollerFunction(slow_poll))
    events.run()
    assert [record.getMessage() for record in caplog.records if "slow_poll" in record.getMessage()]
    assert events.counters()["long_handlers"] == 1


def test_turn_within_a_turn_is_refused(simulated: Any) -> None:
    events = simulated.manager()
    refused: list[Exception] = []

    def nested() -> None:
        try:
            events.turn()
        except RuntimeError as error:
            refused.append(error)

    events.spawn(nested)
    events.turn()
    assert len(refused) == 1


def test_turns_of_several_cores_leave_the_running_core_alone(two_cores: Any) -> None:
    first, second = two_cores.manager(0), two_cores.manager(1)
    seen: list[Any] = []
    first.spawn(lambda: seen.append(running_core()))
    second.spawn(lambda: seen.append(running_core()))
    with two_cores.cores[0]:
        second.turn()
        assert running_core() is two_cores.cores[0]
        first.turn()
    assert running_core() is None
    first.turn()
    assert running_core() is None
    assert seen == [two_cores.cores[1], two_cores.cores[0]]


def test_manager_on_no_core_says_so() -> None:
    events = EventManager(VirtualClock(), VirtualInterrupts())
    with pytest.raises(RuntimeError, match="Ebb"):
        events.turn()
    with pytest.raises(RuntimeError, match="Ebb"):
        events.idle_time()


def test_call_rcu_runs_after_a_turn_of_every_core(two_cores: Any) -> None:
    first, second = two_cores.manager(0), two_cores.manager(1)
    order: list[str] = []

    def retire() -> None:
        first.call_rcu(lambda: order.append("freed"))
        order.append("retired")
        first.spawn(lambda: order.append("next turn"))

    first.at_end_of_turn(EndOfTurnFunction(lambda: order.append("end")), FLUSH)
    first.spawn(retire)
    first.turn()
    assert order == ["retired", "end"]
    assert first.idle_time() == 0  # it does not sleep on it
    first.turn()
    assert order == ["retired", "end", "next turn", "freed", "end"]
    assert first.idle_time() == -1
    assert second.idle_time() == -1


def test_call_rcu_waits_for_a_core_that_is_in_a_turn(two_cores: Any) -> None:
    first, second = two_cores.manager(0), two_cores.manager(1)
    freed: list[str] = []

    def event_of_second() -> None:  # runs turns of the first core meanwhile, as a core beside it would
        first.call_rcu(lambda: freed.append("freed"))
        first.turn()
        first.turn()
        assert freed == []
        assert first.idle_time() == 0

    second.spawn(event_of_second)
    second.turn()
    first.turn()
    first.turn()
    assert freed == ["freed"]


def test_spawn_remote(two_cores: Any) -> None:
    class Store:
        def __init__(self) -> None:
            self.got: list[tuple[int, bytes]] = []

        def put(self, message: bytes) -> None:
            self.got.append((running_core().index, message))

    ebb_id = two_cores.namespace.create(lambda core, _: Store())
    first, second = two_cores.manager(0), two_cores.manager(1)
    with two_cores.cores[0]:
        first.spawn_remote(1, ebb_id, "put", b"hello")
        first.spawn_remote(1, ebb_id, "put", b"again")
    first.turn()
    assert two_cores.namespace.representatives(ebb_id) == {}
    assert second.idle_time() == 0
    second.turn()
    stores = two_cores.namespace.representatives(ebb_id)
    assert stores[1].got == [(1, b"hello"), (1, b"again")]
    assert second.counters()["messages"] == 2


def test_a_message_ends_the_sleep_of_its_core(two_cores: Any) -> None:
    class Stopper:
        def receive(self, message: bytes) -> None:
            second.stop()

    ebb_id = two_cores.namespace.create(lambda core, _: Stopper())
    first, second = two_cores.manager(0), two_cores.manager(1)

    def last_moment() -> None:  # after this turn looked for messages, before it sleeps
        if second.counters()["turns"] == 0:
            first.spawn_remote(1, ebb_id, "receive", b"")

    second.at_end_of_turn(EndOfTurnFunction(last_moment), FLUSH)
    with two_cores.cores[1]:
        timer_wheel().call_at(10**9, lambda: None)
    second.run()
    assert two_cores.clock.time == 0
    assert second.counters()["messages"] == 1


def test_a_message_to_no_ebb_is_refused(two_cores: Any) -> None:
    with pytest.raises(EbbError, match="99"):
        two_cores.manager(0).spawn_remote(1, 99, "receive", b"")


def test_run_sleeps_until_the_next_timer_and_stops(simulated: Any) -> None:
    events = simulated.manager()
    fired: list[int] = []
    for deadline in (3_000, 10**9, 3600 * 10**9):
        timer_wheel().call_at(deadline, lambda: fired.append(events.now))
    timer_wheel().call_at(3600 * 10**9, events.stop)
    events.run()
    assert fired == [3_000, 10**9, 3600 * 10**9]
    assert events.counters()["sleeps"] < 20


def test_stop_before_run_is_not_lost(simulated: Any) -> None:
    events = simulated.manager()
    events.stop()
    events.run()
    assert events.counters()["turns"] == 0
    events.spawn(events.stop)
    events.run()
    assert events.counters()["turns"] == 1


def test_a_simulation_that_would_sleep_for_ever_says_so(simulated: Any) -> None:
    with pytest.raises(RuntimeError, match="for ever"):
        simulated.manager().run()


def test_run_restores_the_collector(simulated: Any) -> None:
    events = simulated.manager()
    states: list[bool] = []
    events.spawn(lambda: states.append(gc.isenabled()))
    events.spawn(events.stop)
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    events.run()
    assert states == [False]
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_an_idle_loop_collects_cycles(simulated: Any) -> None:
    class Node:
        pass

    events = simulated.manager()
    references: list[Any] = []

    def make_cycles() -> None:
        for _ in range(5_000):
            node = Node()
            node.itself = node  # type: ignore[attr-defined]
        references.append(weakref.ref(node))

    events.spawn(make_cycles)
    timer_wheel().call_at(2 * 10**9, events.stop)
    events.run()
    assert references[0]() is None


def test_spawn_refuses_what_cannot_run(simulated: Any) -> None:
    with pytest.raises(TypeError):
        simulated.manager().spawn(42)


def test_destroy_forgets_everything(simulated: Any) -> None:
    class Function:
        def __call__(self, *args: Any) -> int:
            return 0

    events = simulated.manager()
    functions = [Function() for _ in range(4)]
    references = [weakref.ref(function) for function in functions]
    events.spawn(functions[0])
    events.call_rcu(functions[1])
    events.start_polling(PollerFunction(functions[2]))
    events.at_end_of_turn(EndOfTurnFunction(functions[3]), FLUSH)
    del functions
    simulated.namespace.destroy(EVENT_MANAGER)
    assert [reference() for reference in references] == [None] * 4
    assert simulated.cores[0].wake is None


def test_contracts_refuse_to_run() -> None:
    with pytest.raises(TypeError):
        Clock()
    for call in (
        lambda: WallClock().nanoseconds(),
        lambda: Entropy().random_bytes(1),
        lambda: Interrupts().attach(1, InterruptFunction(print)),
        lambda: Interrupts().detach(1),
        lambda: Interrupts().wake(),
    ):
        with pytest.raises(NotImplementedError):
            call()


def test_abstract_poller_and_hook_are_reported(simulated: Any) -> None:
    events = simulated.manager()
    events.start_polling(Poller())
    events.at_end_of_turn(EndOfTurn(), OUTPUT)
    events.turn()
    assert events.counters()["exceptions"] == 2


def test_virtual_interrupts() -> None:
    clock = VirtualClock(5)
    interrupts = VirtualInterrupts(clock)
    namespace = EbbNamespace()
    namespace.install(EVENT_MANAGER, lambda core, _: EventManager(clock, interrupts))
    namespace.install(TIMER, lambda core, _: TimerWheel())
    ran: list[str] = []
    interrupts.raise_interrupt("early")  # nobody is attached: no edge is kept
    interrupts.attach("early", InterruptFunction(lambda: ran.append("early")))
    interrupts.attach("self", InterruptFunction(lambda: ran.append("self") or interrupts.raise_interrupt("self")))  # type: ignore[func-returns-value]
    with pytest.raises(ValueError, match="attached"):
        interrupts.attach("self", InterruptFunction(print))
    with namespace.cores[0]:
        events = event_manager()
        assert not events.turn()
        interrupts.raise_interrupt("self")
        interrupts.raise_interrupt("self")
        assert events.turn()
        assert ran == ["self"]
        interrupts.detach("self")
        interrupts.detach("self")
        assert not events.turn()


def test_virtual_entropy_and_wall_clock() -> None:
    assert VirtualEntropy(7).random_bytes(20) == VirtualEntropy(7).random_bytes(20)
    assert VirtualEntropy(7).random_bytes(20) != VirtualEntropy(8).random_bytes(20)
    clock = VirtualClock()
    wall = VirtualWallClock(clock, 1_700_000_000_000_000_000)
    clock.advance(25)
    assert wall.nanoseconds() == 1_700_000_000_000_000_025
