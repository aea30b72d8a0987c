"""What a user is told in a line."""

import errno

import pytest

from netapp.node.console import reason


@pytest.mark.parametrize(
    "error, line",
    [
        (OSError(errno.EPERM, "Operation not permitted"), "Operation not permitted"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (ValueError("a line,\n  and another"), "a line, and another"),
        (MemoryError(), "too little memory"),
        (MemoryError("a table of 4 GiB"), "a table of 4 GiB"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_reason_is_a_line(error: Exception, line: str) -> None:
    assert reason(error) == line
