import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netapp.ebb.core import EVENT_MANAGER, TIMER, EbbNamespace
from netapp.event.contracts import InterruptFunction
from netapp.event.manager import FLUSH, EndOfTurnFunction, EventManager, PollerFunction, event_manager
from netapp.event.timer import TimerWheel, timer_wheel
from netapp.hosted.platform import EpollInterrupts, MonotonicClock, RealWallClock, SystemEntropy
from netapp.hosted.signals import Signals


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def interrupts() -> Iterator[EpollInterrupts]:
    before = descriptors()
    made = EpollInterrupts()
    yield made
    made.close()
    made.close()
    assert descriptors() == before


@contextmanager
def running(interrupts: EpollInterrupts) -> Iterator[Any]:
    namespace = EbbNamespace()
    namespace.install(EVENT_MANAGER, lambda core, _: EventManager(MonotonicClock(), interrupts))
    namespace.install(TIMER, lambda core, _: TimerWheel())
    with namespace.cores[0]:
        yield event_manager()
    namespace.destroy(EVENT_MANAGER)
    namespace.destroy(TIMER)


def after(nanoseconds: int, function: Any) -> Any:
    return timer_wheel().call_at(time.clock_gettime_ns(time.CLOCK_MONOTONIC) + nanoseconds, function)


def test_an_interrupt_ends_the_sleep(interrupts: EpollInterrupts) -> None:
    reader, writer = os.pipe()
    ran: list[bytes] = []
    try:
        with running(interrupts) as events:
            interrupts.attach(reader, InterruptFunction(lambda: (ran.append(os.read(reader, 100)), events.stop())))  # type: ignore[func-returns-value]
            after(1_000_000, lambda: os.write(writer, b"data"))
            events.run()
            assert ran == [b"data"]
            assert events.counters()["interrupts"] == 1
            interrupts.detach(reader)
            interrupts.detach(reader)
            os.write(writer, b"unseen")
            events.turn()
            assert ran == [b"data"]
    finally:
        os.close(reader)
        os.close(writer)


def test_an_interrupt_lasts_until_what_is_there_was_read(interrupts: EpollInterrupts) -> None:
    reader, writer = os.pipe()
    told: list[int] = []
    try:
        os.write(writer, b"before it was attached")
        with running(interrupts) as events:
            interrupts.attach(reader, InterruptFunction(lambda: told.append(1)))
            with pytest.raises(ValueError, match="attached already"):
                interrupts.attach(reader, InterruptFunction(print))
            for _ in range(3):
                events.turn()
            assert len(told) == 3
            os.read(reader, 10)
            events.turn()
            assert len(told) == 4
            os.read(reader, 100)
            events.turn()
            assert len(told) == 4
            interrupts.detach(reader)
    finally:
        os.close(reader)
        os.close(writer)


def test_an_error_that_nobody_can_read_is_told_once(interrupts: EpollInterrupts) -> None:
    reader, writer = os.pipe()
    told: list[bytes] = []
    os.write(writer, b"last")
    os.close(writer)
    try:
        with running(interrupts) as events:
            interrupts.attach(reader, InterruptFunction(lambda: told.append(os.read(reader, 100))))
            for _ in range(4):
                events.turn()
            assert told == [b"last", b""]
            interrupts.detach(reader)
    finally:
        os.close(reader)


def test_sources_with_fileno_and_more_of_them_than_one_look_fetches(interrupts: EpollInterrupts) -> None:
    pipes = [os.pipe() for _ in range(150)]
    files = [os.fdopen(reader, "rb", buffering=0) for reader, _ in pipes]
    ran: list[int] = []
    try:
        with running(interrupts) as events:
            for number, file in enumerate(files):
                interrupts.attach(file, InterruptFunction(lambda n=number, f=file: (ran.append(n), f.read(1))))  # type: ignore[func-returns-value]
            for _, writer in pipes:
                os.write(writer, b"x")
            for _ in range(3):
                events.turn()
            assert sorted(ran) == list(range(150))
            for file in files:
                interrupts.detach(file)
    finally:
        for file, (_, writer) in zip(files, pipes):
            file.close()
            os.close(writer)


def test_detached_after_the_look_does_not_run(interrupts: EpollInterrupts) -> None:
    pipes = [os.pipe() for _ in range(2)]
    ran: list[int] = []
    try:
        with running(interrupts) as events:
            for number in (0, 1):
                own, other = pipes[number][0], pipes[1 - number][0]
                interrupts.attach(
                    own,
                    InterruptFunction(lambda n=own, o=other: (ran.append(n), os.read(n, 1), interrupts.detach(o))),  # type: ignore[func-returns-value]
                )
                os.write(pipes[number][1], b"x")
            events.turn()
            events.turn()
            assert len(ran) == 1
    finally:
        for ends in pipes:
            for end in ends:
                os.close(end)


def test_what_cannot_be_attached_says_so(interrupts: EpollInterrupts, tmp_path: Any) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(PermissionError):
        interrupts.attach(file, InterruptFunction(print))
    with pytest.raises(OSError):
        interrupts.attach(1_000_000, InterruptFunction(print))


def test_an_exception_leaves_the_others(interrupts: EpollInterrupts, caplog: pytest.LogCaptureFixture) -> None:
    pipes = [os.pipe() for _ in range(2)]
    ran: list[str] = []

    def fail() -> None:
        ran.append("fail")
        raise ValueError("deliberate")

    try:
        with running(interrupts) as events:
            for (reader, writer), function in zip(pipes, (fail, lambda: ran.append("other"))):
                interrupts.attach(reader, InterruptFunction(function))
                os.write(writer, b"x")
            events.turn()
            assert sorted(ran) == ["fail", "other"]
            assert events.counters()["exceptions"] == 1
            assert "fail" in caplog.text
    finally:
        for ends in pipes:
            for end in ends:
                os.close(end)


def test_timers_fire_never_early_and_not_rounded_to_milliseconds(interrupts: EpollInterrupts) -> None:
    late: list[int] = []
    with running(interrupts) as events:

        def arm(left: int) -> None:
            deadline = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 100_000
            timer_wheel().call_at(deadline, lambda: fired(deadline, left))

        def fired(deadline: int, left: int) -> None:
            late.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - deadline)
            if left:
                arm(left - 1)
            else:
                events.stop()

        arm(40)
        events.run()
        assert events.counters()["sleeps"] >= 30
    assert min(late) >= 0
    # Rounded up to milliseconds, every one of them would be 900 µs late.
    assert min(late) < 800_000


def test_deadlines_that_move_on_end_few_sleeps(interrupts: EpollInterrupts) -> None:
    """As those of retransmissions do with every acknowledgment."""
    reader, writer = os.pipe()
    step, fired = 1_000_000, []

    def feed() -> None:
        for _ in range(30):
            time.sleep(step / 1e9)
            os.write(writer, b"x")

    try:
        with running(interrupts) as events:
            timer = after(10 * step, lambda: pytest.fail("it was cancelled"))

            def put_off() -> None:
                nonlocal timer
                os.read(reader, 1)
                timer.cancel()
                timer = after(10 * step, lambda: (fired.append(time.monotonic_ns()), events.stop()))  # type: ignore[func-returns-value]

            interrupts.attach(reader, InterruptFunction(put_off))
            thread = threading.Thread(target=feed)
            thread.start()
            events.run()
            thread.join()
            assert fired[0] >= timer.deadline
            assert 10 < events.counters()["interrupts"] <= 30
            assert events.counters()["sleeps"] <= events.counters()["interrupts"] + 12
            interrupts.detach(reader)
    finally:
        os.close(reader)
        os.close(writer)


def test_an_earlier_deadline_ends_the_sleep(interrupts: EpollInterrupts) -> None:
    with running(interrupts) as events:
        far = after(20 * 10**9, lambda: pytest.fail("the sleep was too long"))
        after(1_000_000, lambda: after(1_000_000, events.stop))
        begun = time.monotonic()
        events.run()
        assert time.monotonic() - begun < 10
        far.cancel()


def test_wake_from_another_thread(interrupts: EpollInterrupts) -> None:
    with running(interrupts) as events:
        thread = threading.Thread(target=events.stop)
        after(10**6, thread.start)
        after(20 * 10**9, lambda: events.spawn(lambda: pytest.fail("nothing woke it")))
        begun = time.monotonic()
        events.run()
        thread.join()
        assert time.monotonic() - begun < 15


def test_wakes_before_the_sleep_are_kept(interrupts: EpollInterrupts) -> None:
    with running(interrupts) as events:

        def last_moment() -> None:
            if events.counters()["sleeps"] < 3:
                interrupts.wake()
            else:
                events.stop()

        events.at_end_of_turn(EndOfTurnFunction(last_moment), FLUSH)
        after(20 * 10**9, lambda: None)
        begun = time.monotonic()
        events.run()
        assert time.monotonic() - begun < 15


def test_a_polling_loop_lets_other_threads_run(interrupts: EpollInterrupts) -> None:
    with running(interrupts) as events:
        events.start_polling(PollerFunction(lambda budget: 0))
        thread = threading.Thread(target=events.stop)
        thread.start()
        events.run()
        thread.join()


def test_interrupts_are_seen_while_the_loop_polls(interrupts: EpollInterrupts) -> None:
    reader, writer = os.pipe()
    turns: list[int] = []
    try:
        with running(interrupts) as events:
            interrupts.attach(reader, InterruptFunction(events.stop))
            poller = PollerFunction(lambda budget: os.write(writer, b"x") if len(turns) == 20 else turns.append(1) or 0)  # type: ignore[func-returns-value]
            events.start_polling(poller)
            events.run()
            events.stop_polling(poller)
            interrupts.detach(reader)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_sleep(interrupts: EpollInterrupts, number: int) -> None:
    before = signal.getsignal(number)
    with running(interrupts) as events, Signals(interrupts, events.stop):
        after(1_000_000, lambda: os.kill(os.getpid(), number))
        events.run()
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_before_the_sleep_ends_it(interrupts: EpollInterrupts) -> None:
    received: list[int] = []
    with running(interrupts) as events, Signals(interrupts, lambda: received.append(1), [signal.SIGUSR1]):

        def last_moment() -> None:
            if received:
                events.stop()
            else:
                os.kill(os.getpid(), signal.SIGUSR1)

        events.at_end_of_turn(EndOfTurnFunction(last_moment), FLUSH)
        after(20 * 10**9, lambda: None)
        begun = time.monotonic()
        events.run()
        assert received == [1]
        assert time.monotonic() - begun < 15


def test_keyboard_interrupt_without_handlers_ends_run(interrupts: EpollInterrupts) -> None:
    with running(interrupts) as events:
        after(1_000_000, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            events.run()


def test_an_idle_loop_uses_no_cpu(interrupts: EpollInterrupts) -> None:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return usage.ru_utime + usage.ru_stime

    with running(interrupts) as events:
        events.turn()
        after(300_000_000, events.stop)
        before = used()
        events.run()
        assert used() - before < 0.1  # it slept for 0.3 s; starting and stopping the collector is in it
        assert events.counters()["sleeps"] < 20
        assert events.counters()["turns"] < 25


def test_clocks_and_entropy() -> None:
    wall = RealWallClock()
    assert abs(wall.nanoseconds() - time.time_ns()) < 60 * 10**9
    entropy = SystemEntropy()
    assert len(entropy.random_bytes(33)) == 33
    assert entropy.random_bytes(16) != entropy.random_bytes(16)
    with running(EpollInterrupts()) as events:
        first = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        events.turn()
        assert first <= events.now <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
