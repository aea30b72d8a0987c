"""Futures: values that are there later. Everything that a future calls runs as an event of its own, never recursively.

Ownership: a future holds those that wait for it, they hold no reference back (but the frame of a coroutine does while
it waits). So what is done, failed or cancelled is in no cycle, and what nobody will ever finish goes with its maker.
A cancelled future cancels what it alone waited for, in the next turn.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, Generic, TypeVar, Union, cast, overload

from netapp.ebb.core import running_core
from netapp.event.manager import event_manager
from netapp.event.report import describe, keep, report_exception
from netapp.event.timer import timer_wheel

T = TypeVar("T")
U = TypeVar("U")
Waiter = Union[Callable[["Future[Any]"], object], "Future[Any]"]


class FutureError(RuntimeError):
    """It is not done yet; or it is done already."""


class CancelledError(BaseException):
    """Of a cancelled future. Raised in a task that is cancelled, where it waits; not an Exception, so that handlers of
    ordinary errors do not stop it."""


class DeadlineExceeded(TimeoutError):
    """The future was not done at its deadline."""


class Future(Generic[T]):
    """A value, or an exception, that its maker sets."""

    __slots__ = (
        "__weakref__",
        "_exception",
        "_on_cancel",
        "_retrieved",
        "_sources",
        "_state",
        "_value",
        "_waiters",
    )

    def __init__(self, on_cancel: Callable[[], object] | None = None) -> None:
        """`on_cancel` runs at once when the future is cancelled: the maker stops."""
        self._state = "pending"
        self._value: T | None = None
        self._exception: BaseException | None = None
        self._retrieved = False
        self._waiters: list[tuple[Waiter, int]] = []
        self._sources: tuple[weakref.ref[Future[Any]], ...] = ()
        self._on_cancel = on_cancel

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state}>"

    def __del__(self) -> None:
        if self._exception is not None and not self._retrieved and self._state != "cancelled":
            report_exception(f"{self.handler_name}, which nobody asked for its result", self._exception)

    @property
    def handler_name(self) -> str:
        """What the log calls it."""
        return type(self).__name__

    def done(self) -> bool:
        return self._state != "pending"

    def cancelled(self) -> bool:
        return self._state == "cancelled"

    def result(self) -> T:
        """The value; raises the exception; FutureError when it is not done."""
        exception = self.exception()
        if exception is None:
            return cast(T, self._value)
        if running_core() is not None:
            event_manager().spawn(self._drop_traceback)
        raise exception

    def exception(self) -> BaseException | None:
        """The exception, or None; FutureError when it is not done."""
        if self._state == "pending":
            raise FutureError(f"{self.handler_name} is not done")
        self._retrieved = True
        return self._exception

    # For the maker.

    def set_result(self, value: T) -> bool:
        """False: it was cancelled, the value is dropped."""
        return self._finish("done", value, None)

    def set_exception(self, exception: BaseException) -> bool:
        """The same. The exception's traceback becomes a note."""
        return self._finish("failed", None, exception)

    # For those who wait.

    def on_done(self, function: Callable[[Future[T]], object]) -> None:
        """Runs function(self) in an event once it is done, however it ends."""
        self._add(function, 0)

    @overload
    def then(self, function: Callable[[T], Future[U]]) -> Future[U]: ...

    @overload
    def then(self, function: Callable[[T], U]) -> Future[U]: ...

    def then(self, function: Callable[[T], Any]) -> Future[Any]:
        """What function(value) returns, when it is there; a Future that it returns is waited for. A failure passes."""
        return _Then(self, function)

    def deadline(self, at: int | None = None, *, after: int | None = None) -> Future[T]:
        """The same, but it fails with DeadlineExceeded at `at` ns of the manager's clock, or `after` ns from now."""
        if (at is None) == (after is None):
            raise ValueError("either a time (at) or a duration (after)")
        return _Deadline(self, at if at is not None else event_manager().now + cast(int, after))

    def cancel(self) -> bool:
        """False: it was done before."""
        if self._state != "pending":
            return False
        on_cancel, sources = self._on_cancel, self._sources
        self._finish("cancelled", None, CancelledError())
        for reference in sources:
            source = reference()
            if source is not None:
                source._leave(self)
        if on_cancel is not None:
            on_cancel()
        return True

    def __await__(self) -> Generator[Future[Any], None, T]:
        if self._state == "pending":
            yield self
        return self.result()

    # Between futures.

    def _finish(self, state: str, value: T | None, exception: BaseException | None) -> bool:
        if self._state == "cancelled":
            return False
        if self._state != "pending":
            raise FutureError(f"{self.handler_name} is done already")
        if exception is not None:
            keep(exception)
            self._exception = exception
            if isinstance(exception, CancelledError):
                state = "cancelled"
        self._state, self._value = state, value
        waiters, self._waiters = self._waiters, []
        self._sources = ()
        self._on_cancel = None
        for waiter, index in waiters:
            event_manager().spawn(_Notice(self, waiter, index))
        return True

    def _drop_traceback(self) -> None:
        """Raising it added the frames that it passed: their locals may hold this future, which would be a cycle."""
        if self._exception is not None:
            self._exception.__traceback__ = None

    def _take(self, source: Future[T]) -> None:
        """Ends as `source` did."""
        source._retrieved = True
        self._finish("done" if source._exception is None else "failed", source._value, source._exception)

    def _add(self, waiter: Waiter, index: int) -> None:
        if self._state == "pending":
            self._waiters.append((waiter, index))
        else:
            event_manager().spawn(_Notice(self, waiter, index))

    def _forget(self, waiter: Future[Any]) -> None:
        self._waiters = [(other, index) for other, index in self._waiters if other is not waiter]

    def _leave(self, waiter: Future[Any]) -> None:
        """`waiter` wants no value any more. If nobody else does by the next turn, nor need there be one."""
        if self._state == "pending":
            self._forget(waiter)
            if not self._waiters:
                event_manager().spawn(self._unwanted)

    def _unwanted(self) -> None:
        if not self._waiters:
            self.cancel()

    def _source_done(self, source: Future[Any], index: int) -> None:
        """Runs in an event after `source`, to which this was added with `index`, was done."""
        raise NotImplementedError


class _Notice:
    """The event that tells `waiter` of a future that is done."""

    __slots__ = ("_future", "_index", "_waiter")

    def __init__(self, future: Future[Any], waiter: Waiter, index: int) -> None:
        self._future = future
        self._waiter = waiter
        self._index = index

    @property
    def handler_name(self) -> str:
        return describe(self._waiter)

    def __call__(self) -> None:
        if isinstance(self._waiter, Future):
            self._waiter._source_done(self._future, self._index)
        else:
            self._waiter(self._future)


class _Then(Future[U]):
    __slots__ = ("_function",)

    def __init__(self, source: Future[Any], function: Callable[[Any], Future[U] | U]) -> None:
        super().__init__()
        self._function: Callable[[Any], Future[U] | U] | None = function
        self._sources = (weakref.ref(source),)
        source._add(self, 0)

    @property
    def handler_name(self) -> str:
        return "a future" if self._function is None else describe(self._function)

    def _finish(self, state: str, value: U | None, exception: BaseException | None) -> bool:
        self._function = None
        return super()._finish(state, value, exception)

    def _source_done(self, source: Future[Any], index: int) -> None:
        if self._state != "pending":
            return
        function = self._function
        if function is None or source._exception is not None:
            self._take(source)
            return
        try:
            value = function(source._value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exception:
            self._finish("failed", None, exception)
            return
        if isinstance(value, Future):
            self._function = None
            self._sources = (weakref.ref(value),)
            value._add(self, 0)
        else:
            self._finish("done", value, None)


class _Deadline(Future[T]):
    __slots__ = ("_timer",)

    def __init__(self, source: Future[T], at: int) -> None:
        super().__init__()
        self._timer = timer_wheel().call_at(at, self._exceeded)
        self._on_cancel = self._timer.cancel
        self._sources = (weakref.ref(source),)
        source._add(self, 0)

    def _exceeded(self) -> None:
        source = self._sources[0]()
        if source is not None and source.done():
            return  # in time: the notice is on its way
        self._finish("failed", None, DeadlineExceeded("not done at its deadline"))
        if source is not None:
            source._leave(self)

    def _source_done(self, source: Future[Any], index: int) -> None:
        if self._state == "pending":
            self._timer.cancel()
            self._take(source)


class _All(Future[list[Any]]):
    __slots__ = ("_missing", "_values")

    def __init__(self, futures: list[Future[Any]]) -> None:
        super().__init__()
        self._values: list[Any] = [None] * len(futures)
        self._missing = len(futures)
        self._sources = tuple(weakref.ref(future) for future in futures)
        for index, future in enumerate(futures):
            future._add(self, index)
        if not futures:
            self._finish("done", self._values, None)

    def _source_done(self, source: Future[Any], index: int) -> None:
        if self._state != "pending":
            return
        if source._exception is not None:
            _forget_all(self, self._sources)
            self._take(source)
            return
        self._values[index] = source._value
        self._missing -= 1
        if self._missing == 0:
            self._finish("done", self._values, None)


class _Any(Future[tuple[int, Any]]):
    __slots__ = ()

    def __init__(self, futures: list[Future[Any]]) -> None:
        super().__init__()
        if not futures:
            raise ValueError("none of no futures will ever be done")
        self._sources = tuple(weakref.ref(future) for future in futures)
        for index, future in enumerate(futures):
            future._add(self, index)

    def _source_done(self, source: Future[Any], index: int) -> None:
        if self._state != "pending":
            return
        _forget_all(self, self._sources)
        if source._exception is not None:
            self._take(source)
        else:
            self._finish("done", (index, source._value), None)


def _forget_all(waiter: Future[Any], sources: Iterable[weakref.ref[Future[Any]]]) -> None:
    for reference in sources:
        source = reference()
        if source is not None:
            source._forget(waiter)


def when_all(futures: Iterable[Future[Any]]) -> Future[list[Any]]:
    """Their values, in their order; fails as the first one that fails. The others go on then."""
    return _All(list(futures))


def when_any(futures: Iterable[Future[Any]]) -> Future[tuple[int, Any]]:
    """The index and value of the first one that is done; fails if that one failed. The others go on."""
    return _Any(list(futures))


def sleep(nanoseconds: int) -> Future[None]:
    """Done after so many ns, counted from the begin of this turn."""
    future: Future[None] = Future()
    timer = timer_wheel().call_at(event_manager().now + nanoseconds, functools.partial(future.set_result, None))
    future._on_cancel = timer.cancel
    return future


class Task(Future[T]):
    """A coroutine that runs, from await to await, in events. It may await futures of its own core, tasks among them."""

    __slots__ = ("_coroutine", "_throw", "_waiting")

    def __init__(self, coroutine: Coroutine[Future[Any], None, T]) -> None:
        super().__init__()
        if not isinstance(coroutine, Coroutine):
            raise TypeError(f"{coroutine!r} is neither callable nor a coroutine")
        self._coroutine: Coroutine[Future[Any], None, T] | None = coroutine
        self._throw: BaseException | None = None
        self._waiting: Future[Any] | None = None
        event_manager().spawn(self._step)

    @property
    def handler_name(self) -> str:
        return getattr(self._coroutine, "__qualname__", "a task")

    def cancel(self) -> bool:
        """Raises CancelledError where the coroutine waits, which it may handle; False: it was done before."""
        if self._state != "pending":
            return False
        self._throw = CancelledError()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:  # else a step is queued, or runs
            event_manager().spawn(self._step)
            waiting._leave(self)
        return True

    def _source_done(self, source: Future[Any], index: int) -> None:
        if self._waiting is source:
            self._step()

    def _step(self) -> None:
        coroutine = self._coroutine
        assert coroutine is not None
        self._waiting = None
        throw, self._throw = self._throw, None
        try:
            awaited = coroutine.send(None) if throw is None else coroutine.throw(throw)
        except StopIteration as stop:
            self._end("done", stop.value, None)
        except BaseException as exception:
            self._end("failed", None, exception)
            if isinstance(exception, (KeyboardInterrupt, SystemExit)):
                raise
        else:
            self._wait(awaited)
        finally:
            del throw  # its traceback has this frame

    def _end(self, state: str, value: T | None, exception: BaseException | None) -> None:
        self._finish(state, value, exception)
        self._coroutine = None

    def _wait(self, awaited: object) -> None:
        if isinstance(awaited, Future) and awaited is not self:
            if self._throw is None:
                self._waiting = awaited
                awaited._add(self, 0)
                return
            awaited._leave(self)  # cancelled while it ran: nor does it wait
        else:
            self._throw = TypeError(f"{self.handler_name} awaited {awaited!r}: only another Future can be awaited")
        event_manager().spawn(self._step)
