"""How a callback that a class defines is found once a class, not once a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class made by a class statement, not a compiled one


def python_method(handler_class: type, name: str) -> Callable[..., Any] | None:
    """The function that a Python class gives for `name`, to be called with the handler; None: a compiled class does."""
    for origin in handler_class.__mro__:
        if name in origin.__dict__:
            return getattr(handler_class, name) if origin.__flags__ & _HEAP_TYPE else None
    return None
