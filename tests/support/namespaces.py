"""A network namespace of its own for a test; needs root."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000


@contextmanager
def network_namespace() -> Iterator[None]:
    """This thread, and what it starts, has a network of only a loopback interface, which goes with its last user."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET) failed: this needs root")
        try:
            ip("link set lo up")
            yield
        finally:
            if libc.setns(before, 0):
                raise OSError(ctypes.get_errno(), "setns failed")
    finally:
        os.close(before)


def ip(arguments: str) -> str:
    """The output of iproute2's ip, in this thread's namespace."""
    return subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=True).stdout
