import functools
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netapp.event.future import (
    CancelledError,
    DeadlineExceeded,
    Future,
    FutureError,
    Task,
    sleep,
    when_all,
    when_any,
)
from netapp.event.timer import NEVER, timer_wheel


@pytest.fixture(autouse=True)
def nothing_stays(no_collector: None, simulated: Any) -> Iterator[None]:
    yield
    simulated.settle()


class Held:
    """Something that a frame holds."""


def failure(call: Callable[[], object]) -> str:
    """What it raises; without an exception that is kept."""
    try:
        call()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_result_and_its_states(simulated: Any) -> None:
    future: Future[int] = Future()
    assert not future.done()
    assert failure(future.result).startswith("FutureError")
    assert failure(future.exception).startswith("FutureError")
    assert future.set_result(5)
    assert future.done() and future.result() == 5 and future.exception() is None
    assert failure(lambda: future.set_result(6)).startswith("FutureError")
    assert not future.cancel()
    assert issubclass(FutureError, RuntimeError)


def test_then_chains_and_flattens(simulated: Any) -> None:
    future: Future[int] = Future()
    inner: Future[str] = Future()
    outer = future.then(lambda value: value + 1).then(lambda value: inner).then(lambda text: text + "!")
    future.set_result(1)
    simulated.settle()
    assert not outer.done()
    inner.set_result("there")
    simulated.settle()
    assert outer.result() == "there!"


def test_then_on_a_future_that_is_done_runs_as_an_event(simulated: Any) -> None:
    future: Future[int] = Future()
    future.set_result(1)
    seen: list[int] = []
    future.then(seen.append)
    assert seen == []
    simulated.settle()
    assert seen == [1]


def test_a_failure_passes_every_then(simulated: Any) -> None:
    future: Future[int] = Future()
    calls: list[int] = []
    last: Future[None] = future.then(calls.append).then(lambda _: calls.append(2))
    future.set_exception(ValueError("no"))
    simulated.settle()
    assert calls == []
    assert failure(last.result) == "ValueError: no"


def test_a_function_that_raises_fails_its_future(simulated: Any) -> None:
    future: Future[int] = Future()
    last = future.then(lambda value: value / 0)
    future.set_result(1)
    simulated.settle()
    assert isinstance(last.exception(), ZeroDivisionError)


def test_on_done_tells_of_every_end(simulated: Any) -> None:
    ends: list[str] = []
    futures: list[Future[int]] = [Future() for _ in range(3)]
    for future in futures:
        future.on_done(lambda done: ends.append(failure(done.result)))
    futures[0].set_result(1)
    futures[1].set_exception(OSError("failed"))
    futures[2].cancel()
    simulated.settle()
    assert ends == ["", "OSError: failed", "CancelledError: "]


@pytest.mark.parametrize("end", ["result", "exception", "cancel", "drop"])
def test_deep_chains_neither_recurse_nor_stay(simulated: Any, end: str) -> None:
    first: Future[int] = Future()
    last = first
    for _ in range(50_000):
        last = last.then(lambda value: value + 1)
    gone = weakref.ref(last)
    if end == "result":
        first.set_result(0)
        simulated.settle()
        assert last.result() == 50_000
    elif end == "exception":
        first.set_exception(ValueError("deep"))
        simulated.settle()
        assert failure(last.result) == "ValueError: deep"
    elif end == "cancel":
        last.cancel()
        simulated.settle()
        assert first.cancelled()
    del first, last
    simulated.settle()
    assert gone() is None


def test_await(simulated: Any) -> None:
    order: list[Any] = []

    async def inner(value: int) -> int:
        await sleep(1_000)
        order.append(simulated.clock.time)
        return value + 1

    async def outer() -> str:
        order.append(await inner(1))
        task = events.spawn(inner(2))
        order.append(await task)
        return "end"

    events = simulated.manager()
    task = events.spawn(outer())
    assert isinstance(task, Task)
    simulated.run_for(10_000)
    assert order == [1_000, 2, 2_000, 3]
    assert task.result() == "end"


def test_an_awaited_failure_can_be_handled(simulated: Any) -> None:
    seen: list[str] = []

    async def fail() -> None:
        held = Held()
        references.append(weakref.ref(held))
        await sleep(1)
        raise ValueError("inside")

    async def handle() -> None:
        task = events.spawn(fail())
        held = Held()
        references.append(weakref.ref(held))
        try:
            await task
        except ValueError as error:
            seen.append(str(error))
            await sleep(1)  # the traceback has this frame, which goes on
            seen.append("after")
        assert held is not None

    references: list[Any] = []
    events = simulated.manager()
    task = events.spawn(handle())
    simulated.run_for(100)
    assert seen == ["inside", "after"]
    assert task.exception() is None
    assert [reference() for reference in references] == [None, None]


def test_a_failed_future_keeps_no_frame_but_says_where(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def culprit() -> None:
        held = Held()
        references.append(weakref.ref(held))
        await sleep(1)
        raise ValueError("lost")

    references: list[Any] = []
    task = simulated.manager().spawn(culprit())
    simulated.run_for(10)
    assert references[0]() is None
    with caplog.at_level(logging.ERROR, "netapp.event"):
        assert task.done()
        del task
    for part in ("culprit", "Raised at", "line", "nobody asked"):
        assert part in caplog.text
    caplog.clear()


@pytest.mark.parametrize("asked", [True, False])
def test_unretrieved_exceptions_are_logged(simulated: Any, caplog: pytest.LogCaptureFixture, asked: bool) -> None:
    future: Future[int] = Future()
    future.set_exception(ValueError("unheard"))
    if asked:
        future.exception()
    del future
    assert ("unheard" in caplog.text) is not asked
    caplog.clear()


def test_an_exception_of_a_passed_failure_is_logged_once(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    future: Future[int] = Future()
    last = future.then(lambda value: value).then(lambda value: value)
    future.set_exception(ValueError("unheard"))
    del future
    simulated.settle()
    del last
    assert len(caplog.records) == 1
    caplog.clear()


def test_cancel_tells_the_maker_and_those_who_wait(simulated: Any) -> None:
    told: list[str] = []
    future: Future[int] = Future(lambda: told.append("maker"))
    last = future.then(lambda value: value)
    assert future.cancel() and not future.cancel()
    assert told == ["maker"]
    assert not future.set_result(1), "what comes too late is dropped"
    simulated.settle()
    assert last.cancelled()
    assert failure(last.result).startswith("CancelledError")


def test_cancel_reaches_what_it_alone_waited_for(simulated: Any) -> None:
    shared: Future[int] = Future()
    one, other = shared.then(lambda value: value), shared.then(lambda value: value)
    one.cancel()
    simulated.settle()
    assert not shared.cancelled()
    other.cancel()
    simulated.settle()
    assert shared.cancelled()


def test_cancelled_task_can_clean_up(simulated: Any) -> None:
    order: list[str] = []

    async def work() -> None:
        try:
            await sleep(10**12)
        except CancelledError:
            order.append("cancelled")
            await sleep(5)
            order.append("cleaned")
            raise

    task = simulated.manager().spawn(work())
    simulated.settle()
    assert task.cancel()
    simulated.run_for(100)
    assert order == ["cancelled", "cleaned"]
    assert task.cancelled()
    assert timer_wheel().next_deadline() == NEVER, "the timer of the sleep went with it"


def test_cancel_before_the_first_step(simulated: Any) -> None:
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    task = simulated.manager().spawn(work())
    task.cancel()
    simulated.settle()
    assert task.cancelled() and ran == []


def test_a_task_may_cancel_itself(simulated: Any) -> None:
    tasks: list[Task[Any]] = []
    order: list[str] = []

    async def work() -> None:
        tasks[0].cancel()
        order.append("until it waits")
        await sleep(100)
        order.append("never")

    tasks.append(simulated.manager().spawn(work()))
    simulated.run_for(1_000)
    assert order == ["until it waits"]
    assert tasks[0].cancelled()


def test_cancel_between_the_result_and_its_notice(simulated: Any) -> None:
    future: Future[int] = Future()

    async def work() -> int:
        return await future

    events = simulated.manager()
    task = events.spawn(work())
    events.turn()
    future.set_result(1)
    task.cancel()
    simulated.settle()
    assert task.cancelled()


def test_awaiting_something_else_fails(simulated: Any) -> None:
    class Foreign:
        def __await__(self) -> Any:
            yield "something"

    async def work() -> None:
        await Foreign()

    task = simulated.manager().spawn(work())
    simulated.settle()
    assert "only another Future" in str(task.exception())


def test_deadline(simulated: Any) -> None:
    late: Future[int] = Future()
    early: Future[int] = Future()
    limited, met = late.deadline(after=1_000), early.deadline(at=1_000)
    simulated.run_for(999)
    early.set_result(7)
    assert not limited.done()
    simulated.run_for(1)
    assert failure(limited.result).startswith("DeadlineExceeded")
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert late.cancelled(), "nobody else waited"
    assert met.result() == 7
    assert timer_wheel().next_deadline() == NEVER
    with pytest.raises(ValueError):
        early.deadline()
    with pytest.raises(ValueError):
        early.deadline(1, after=2)


def test_deadline_of_an_awaited_sleep(simulated: Any) -> None:
    async def work() -> str:
        try:
            await sleep(10_000).deadline(after=10)
        except DeadlineExceeded:
            return f"gave up at {simulated.clock.time}"
        return "slept"

    task = simulated.manager().spawn(work())
    simulated.run_for(100)
    assert task.result() == "gave up at 10"
    assert timer_wheel().next_deadline() == NEVER


def test_done_in_the_turn_of_its_deadline_is_in_time(simulated: Any) -> None:
    future: Future[int] = Future()
    limited = future.deadline(at=100)
    simulated.clock.advance(100)
    simulated.manager().spawn(lambda: future.set_result(1))
    simulated.settle()
    assert limited.result() == 1


def test_when_all(simulated: Any) -> None:
    futures: list[Future[int]] = [Future() for _ in range(3)]
    everything = when_all(futures)
    for number in (2, 0, 1):
        simulated.settle()
        assert not everything.done()
        futures[number].set_result(number * 10)
    simulated.settle()
    assert everything.result() == [0, 10, 20]
    assert when_all([]).result() == []


def test_when_all_fails_as_the_first_that_fails(simulated: Any) -> None:
    futures: list[Future[int]] = [Future() for _ in range(3)]
    everything = when_all(futures)
    futures[1].set_exception(ValueError("second"))
    simulated.settle()
    assert failure(everything.result) == "ValueError: second"
    assert not futures[0].done() and not futures[2].done()


def test_when_any(simulated: Any) -> None:
    futures: list[Future[str]] = [Future() for _ in range(3)]
    first = when_any(futures)
    futures[2].set_result("won")
    futures[0].set_result("lost")
    simulated.settle()
    assert first.result() == (2, "won")
    assert not futures[1].done()
    failing: Future[str] = Future()
    second = when_any([futures[1], failing])
    failing.set_exception(ValueError("first"))
    simulated.settle()
    assert failure(second.result) == "ValueError: first"
    with pytest.raises(ValueError):
        when_any([])


def test_when_any_leaves_nothing_on_what_lives_longer(simulated: Any) -> None:
    lasting: Future[int] = Future()
    references = []
    for _ in range(10):
        soon: Future[int] = Future()
        references.append(weakref.ref(when_any([lasting, soon])))
        soon.set_result(1)
        simulated.settle()
    assert [reference() for reference in references] == [None] * 10


def test_cancelled_combinations_cancel_what_they_alone_waited_for(simulated: Any) -> None:
    async def forever() -> None:
        await sleep(10**15)

    events = simulated.manager()
    tasks = [events.spawn(forever()) for _ in range(4)]
    both, either = when_all(tasks[:2]), when_any(tasks[2:])
    simulated.settle()
    both.cancel()
    either.cancel()
    simulated.settle()
    assert all(task.cancelled() for task in tasks)
    assert timer_wheel().next_deadline() == NEVER


def test_an_exception_of_a_callback_is_counted(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    future: Future[int] = Future()
    future.on_done(lambda done: done.result() / 0)
    future.set_result(1)
    simulated.settle()
    assert simulated.manager().counters()["exceptions"] == 1
    assert "test_an_exception_of_a_callback" in caplog.text
    caplog.clear()


def test_logging_an_exception_leaves_suspended_coroutines_alone(
    simulated: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Clearing the frame of a suspended coroutine would close it: an exception may have passed one that goes on."""
    order: list[str] = []

    def fail_another() -> None:
        another: Future[int] = Future()
        try:
            raise RuntimeError("second")  # its context is the first, whose traceback has the coroutine's frame
        except RuntimeError as error:
            another.set_exception(error)

    async def work() -> None:
        try:
            raise ValueError("first")
        except ValueError:
            fail_another()
            await sleep(10)
            order.append("still here")

    task = simulated.manager().spawn(work())
    simulated.settle()
    assert "second" in caplog.text
    simulated.run_for(100)
    assert order == ["still here"]
    assert task.done()
    caplog.clear()


def test_tasks_by_the_thousand_leave_nothing(simulated: Any) -> None:
    references: list[Any] = []

    async def work(number: int) -> int:
        held = Held()
        references.append(weakref.ref(held))
        await sleep(number % 7)
        if number % 3 == 0:
            raise ValueError(number)
        return number

    async def parent(number: int) -> None:
        task = events.spawn(work(number))
        try:
            await task.deadline(after=5)
        except (ValueError, DeadlineExceeded):
            pass

    events = simulated.manager()
    tasks = [events.spawn(parent(number)) for number in range(1_000)]
    references += [weakref.ref(task) for task in tasks]
    everything = when_all(tasks)
    del tasks
    simulated.run_for(1_000)
    assert everything.done()
    del everything
    simulated.settle()
    assert len(references) == 2_000
    assert [reference() for reference in references if reference() is not None] == []


def test_the_log_names_what_a_partial_calls(simulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    def named(value: int) -> None:
        raise ValueError(value)

    simulated.manager().spawn(functools.partial(named, 1))
    simulated.settle()
    assert "named" in caplog.records[0].getMessage()
    caplog.clear()
