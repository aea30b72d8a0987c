"""The event manager and the timer wheel are replaced while they run: nothing that was due is lost or done twice."""

import random
from typing import Any

import pytest

from netapp.ebb.core import EVENT_MANAGER, TIMER, EbbError, EbbRef
from netapp.event.future import Future, sleep
from netapp.event.manager import OUTPUT, EndOfTurnFunction, EventManager, PollerFunction, event_manager
from netapp.event.timer import TimerWheel, timer_wheel
from netapp.event.virtual import VirtualClock, VirtualInterrupts


class Own(EventManager):
    """Runs an event a turn."""

    def goes_on(self, spent: int) -> bool:
        return False


def own(simulated: Any) -> Any:
    return lambda core, ebb_id: Own(simulated.clock, simulated.interrupts[core.index])


def test_what_is_queued_started_and_hooked_goes_on(simulated: Any) -> None:
    old = simulated.manager()
    order: list[Any] = []
    old.turn()
    old.start_polling(poller := PollerFunction(lambda budget: order.append("poll") or 0))  # type: ignore[func-returns-value]
    old.at_end_of_turn(hook := EndOfTurnFunction(lambda: order.append("hook")), OUTPUT)
    for i in range(3):
        old.spawn(lambda i=i: order.append(i))
    old.call_rcu(lambda: order.append("rcu"))
    simulated.interrupts[0].attach("device", object_handler(order))
    simulated.interrupts[0].raise_interrupt("device")
    before = old.counters()
    assert simulated.namespace.rebind(EVENT_MANAGER, own(simulated))
    new = simulated.manager()
    assert type(new) is Own and new is not old and old.core is None and old.successor is new
    assert new.counters() == before, "counts go on"
    new.turn()
    assert order == ["interrupt", 0, "poll", "hook"]
    new.turn()
    new.turn()
    assert order == ["interrupt", 0, "poll", "hook", 1, "poll", "hook", 2, "poll", "hook"]
    new.turn()
    assert order[10:] == ["rcu", "poll", "hook"]
    new.stop_polling(poller)
    new.remove_end_of_turn(hook)
    assert not new.turn() and len(order) == 13
    for lost in (
        lambda: old.spawn(lambda: None),
        lambda: old.start_polling(poller),
        lambda: old.at_end_of_turn(hook, OUTPUT),
        lambda: old.call_rcu(lambda: None),
        old.turn,
        old.stop,
    ):
        with pytest.raises(RuntimeError, match="through its Ebb"):
            lost()


def object_handler(order: list[Any]) -> Any:
    from netapp.event.contracts import InterruptFunction

    return InterruptFunction(lambda: order.append("interrupt"))


def test_from_an_event_it_happens_when_the_turn_has_ended(simulated: Any) -> None:
    old = simulated.manager()
    seen: list[Any] = []

    def replace() -> None:
        assert not simulated.namespace.rebind(EVENT_MANAGER, own(simulated))
        seen.append(event_manager())
        event_manager().spawn(lambda: seen.append(event_manager()))

    old.spawn(replace)
    old.spawn(lambda: seen.append(event_manager()))
    old.at_end_of_turn(EndOfTurnFunction(lambda: seen.append(event_manager())), OUTPUT)
    assert old.turn()
    assert seen == [old, old, old]
    new = simulated.manager()
    assert type(new) is Own
    new.turn()
    assert seen[3:] == [new, new]


def test_futures_tasks_and_timers_that_wait(simulated: Any) -> None:
    done: list[Any] = []

    async def waiter(future: Future[int]) -> None:
        await sleep(1000)
        done.append("slept")
        done.append(await future)

    value: Future[int] = Future()
    simulated.manager().spawn(waiter(value))
    late = Future[int]().deadline(after=5000)
    late.on_done(lambda future: done.append(type(future.exception()).__name__))
    timer = timer_wheel().call_at(7000, lambda: done.append("never"))
    simulated.settle()
    assert simulated.namespace.rebind(EVENT_MANAGER, own(simulated))
    assert simulated.namespace.rebind(TIMER, lambda core, ebb_id: TimerWheel())
    simulated.run_for(2000)
    value.set_result(7)
    simulated.run_for(4000)
    assert done == ["slept", 7, "DeadlineExceeded"]
    assert timer.pending
    timer.cancel()
    simulated.run_for(10_000)
    assert len(done) == 3
    assert simulated.manager().idle_time() == -1


def test_a_running_loop_goes_on_under_the_new_one(simulated: Any) -> None:
    seen: list[str] = []

    def replace() -> None:
        simulated.namespace.rebind(EVENT_MANAGER, own(simulated))
        timer_wheel().call_at(2000, again)

    def again() -> None:
        seen.append(type(event_manager()).__name__)
        simulated.namespace.rebind(EVENT_MANAGER, lambda core, _: EventManager(simulated.clock, core_interrupts))
        timer_wheel().call_at(3000, end)

    def end() -> None:
        seen.append(type(event_manager()).__name__)
        event_manager().stop()

    core_interrupts = simulated.interrupts[0]
    simulated.manager().spawn(replace)
    simulated.manager().run()
    assert seen == ["Own", "EventManager"] and simulated.clock.time == 3000
    # stop() in the event that replaces it is not lost.
    events = simulated.manager()
    events.spawn(lambda: (simulated.namespace.rebind(EVENT_MANAGER, own(simulated)), event_manager().stop()))
    events.run()
    assert type(simulated.manager()) is Own


@pytest.mark.parametrize("what", ["take_over", "after the base's", "fault handler", "clock", "interrupts"])
def test_what_fails_leaves_the_old_one_working(simulated: Any, what: str, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(EventManager):
        def take_over(self, old: object) -> None:
            if what == "after the base's":
                EventManager.take_over(self, old)
            raise ValueError("as asked")

    def make(core: Any, ebb_id: int) -> EventManager:
        clock, interrupts = simulated.clock, simulated.interrupts[0]
        if what == "fault handler":
            raise ValueError("as asked")
        if what == "clock":
            return EventManager(VirtualClock(), interrupts)
        if what == "interrupts":
            return EventManager(clock, VirtualInterrupts(clock))
        return Failing(clock, interrupts)

    events = simulated.manager()
    ran: list[int] = []
    events.spawn(lambda: ran.append(1))
    timer_wheel().call_at(50, lambda: ran.append(3))
    with pytest.raises((ValueError, EbbError)):
        simulated.namespace.rebind(EVENT_MANAGER, make)
    events.spawn(lambda: ran.append(2))
    events.spawn(lambda: simulated.namespace.rebind(EVENT_MANAGER, make))
    events.turn()
    assert simulated.manager() is events and ran == [1, 2]
    assert "the rebinding of Ebb 1, which goes on as it was" in caplog.text
    assert events.counters()["exceptions"] == 1
    simulated.run_for(100)
    assert ran == [1, 2, 3]


def test_each_core_replaces_its_own_in_its_own_turn(two_cores: Any) -> None:
    first, second = two_cores.manager(0), two_cores.manager(1)
    for each in (first, second):
        each.turn()
    first.spawn(lambda: two_cores.namespace.rebind(EVENT_MANAGER, own(two_cores)))
    waiting: list[int] = []
    with two_cores.cores[1]:
        second.call_rcu(lambda: waiting.append(1))
    first.turn()
    assert type(two_cores.manager(0)) is Own and two_cores.manager(1) is second
    assert second.idle_time() == 0, "it is to have a turn"
    second.turn()
    assert type(two_cores.manager(1)) is Own
    two_cores.settle()
    assert waiting == [1]


def test_a_message_reaches_the_new_one_and_wakes_it(two_cores: Any) -> None:
    for index in (0, 1):
        two_cores.manager(index).turn()
    with two_cores.cores[1]:
        two_cores.namespace.rebind(EVENT_MANAGER, own(two_cores))
    got: list[bytes] = []

    class Receiver:
        def receive(self, message: bytes) -> None:
            got.append(message)

    receiver = two_cores.namespace.create(lambda core, ebb_id: Receiver())
    two_cores.manager(0).spawn_remote(1, receiver, "receive", b"hello")
    two_cores.settle()
    assert got == [b"hello"]


@pytest.mark.parametrize("seed", range(5))
def test_timers_of_all_levels_move_and_keep_their_order(simulated: Any, seed: int) -> None:
    choose = random.Random(seed)
    fired: list[tuple[int, int]] = []
    expected: list[tuple[int, int]] = []
    cancelled = []
    for number in range(500):
        deadline = choose.choice([choose.randrange(1 << choose.randrange(11, 40)), 5_000_000])
        timer = timer_wheel().call_at(deadline, lambda d=deadline, n=number: fired.append((d, n)))
        if number % 7 == 0:
            cancelled.append(timer)
        else:
            expected.append((deadline, number))
    simulated.run_for(3000)
    for _ in range(3):
        assert simulated.namespace.rebind(TIMER, lambda core, ebb_id: TimerWheel())
        simulated.run_for(choose.randrange(1_000_000))
    for timer in cancelled:
        timer.cancel()
    simulated.run_for(1 << 40)
    fired = [entry for entry in fired if entry[1] % 7]
    assert sorted(fired) == sorted(expected)
    at_once = [number for deadline, number in fired if deadline == 5_000_000]
    assert at_once == sorted(at_once), "set in this order"
    assert EbbRef(TIMER)().next_deadline() == 2**64 - 1


def test_a_wheel_with_timers_of_its_own_does_not_take_over(simulated: Any) -> None:
    timer_wheel()
    wheel = TimerWheel()
    wheel.call_at(5, lambda: None)
    with pytest.raises(EbbError, match="of its own"):
        simulated.namespace.rebind(TIMER, lambda core, ebb_id: wheel)
    wheel.destroy()
