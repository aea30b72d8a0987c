"""What went wrong in a handler, in the log; and letting go of what an exception keeps alive.

The collector is off on the path: an exception that is kept (by a log record, by a future) would keep the locals of
every frame that it passed, and the IOBufs in them.
"""

import functools
import gc
import logging
from collections.abc import Iterator
from types import FrameType

_logger = logging.getLogger("netapp.event")


def describe(handler: object) -> str:
    """The name of a function, a bound method, a partial; of any other object, its type's."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    owner = getattr(handler, "__self__", None)
    for candidate in (handler, owner):
        name = getattr(candidate, "handler_name", None)
        if isinstance(name, str):
            return name
    if isinstance(handler, str):
        return handler
    name = getattr(handler, "__qualname__", None)
    if not isinstance(name, str):
        return type(handler).__qualname__
    if owner is not None and "." not in name:
        return f"{type(owner).__qualname__}.{name}"
    return name


def report_exception(handler: object, exception: BaseException) -> None:
    """Logs what a handler raised, then lets go of it."""
    _logger.error("exception in %s", describe(handler), exc_info=exception)
    let_go(exception)


def report_long(handler: object, nanoseconds: int) -> None:
    _logger.warning("%s held the loop for %.1f ms", describe(handler), nanoseconds / 1e6)


def is_finished(frame: FrameType) -> bool:
    """Whether it neither runs nor is suspended: it then owns its locals, which is what the collector sees."""
    return any(referent is frame.f_code for referent in gc.get_referents(frame))


def _chain(exception: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [exception]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [e for e in (one.__cause__, one.__context__) if e is not None]
            if isinstance(one, BaseExceptionGroup):
                waiting += one.exceptions


def let_go(exception: BaseException) -> None:
    """Drops the tracebacks, those of causes and contexts included, and clears the locals of their frames.

    Unlike traceback.clear_frames it leaves suspended coroutines alone, which before Python 3.13 would be closed.
    """
    for one in _chain(exception):
        traceback, one.__traceback__ = one.__traceback__, None
        while traceback is not None:
            if is_finished(traceback.tb_frame):
                traceback.tb_frame.clear()
            traceback = traceback.tb_next


def keep(exception: BaseException) -> None:
    """Makes an exception fit to be kept: its traceback becomes a note. A frame would keep its callers' frames (f_back),
    and so, once they returned, all their locals: often the very future that keeps the exception."""
    for one in _chain(exception):
        places = []
        traceback = one.__traceback__
        while traceback is not None:
            code = traceback.tb_frame.f_code
            places.append(f'\n  File "{code.co_filename}", line {traceback.tb_lineno}, in {code.co_qualname}')
            traceback = traceback.tb_next
        if places:
            one.add_note(f"Raised at:{''.join(places)}")
    let_go(exception)
