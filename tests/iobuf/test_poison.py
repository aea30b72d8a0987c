"""The debug build reports what AddressSanitizer cannot see by itself: errors inside the pool's one region."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.environ.get("NETAPP_VARIANT") != "debug", reason="only the debug build poisons")

PROGRAM = """
import ctypes
from tests.support.pools import core_with_pool
from netapp.iobuf.chain import Chain

class Buffer(ctypes.Structure):
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object)] + [("rest", ctypes.c_char * 200)]

def address(iobuf):
    buffer = Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(iobuf), ctypes.byref(buffer), 0)
    return buffer.buf

def released(chain):
    # The address of a slot that is free again.
    buffer = Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(next(iter(chain))), ctypes.byref(buffer), 0)
    where = buffer.buf
    chain.clear()
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return where

with core_with_pool():
    first = Chain()
    first.write(b"w" * 2048)
    chain = Chain()
    chain.write(b"x" * 2048)      # the whole of a slot
    at = address(next(iter(chain)))
    ctypes.memset(at, 1, 2048)    # inside: allowed
    {action}
"""


def run(action: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(action=action)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*os.environ["PYTHONPATH"].split(os.pathsep), os.getcwd()])},
        check=False,
    )


def test_an_overrun_by_one_byte_is_reported():
    done = run("ctypes.memset(at + 2048, 1, 1)")
    assert done.returncode != 0 and "use-after-poison" in done.stderr


def test_an_underrun_by_one_byte_is_reported():
    done = run("ctypes.memset(at - 1, 1, 1)")
    assert done.returncode != 0 and "use-after-poison" in done.stderr


def test_a_use_after_free_is_reported():
    done = run("other = Chain(); other.write(b'y' * 2048); ctypes.memset(released(other), 1, 1)")
    assert done.returncode != 0 and "use-after-poison" in done.stderr


def test_memory_in_use_is_not():
    done = run("chain.clear(); ctypes.memset(at, 1, 2048)")  # the exported buffer keeps the slot
    assert "use-after-poison" not in done.stderr
