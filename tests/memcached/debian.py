"""Debian's memcached (bench/debian.py unpacks it), serving on the loopback."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.debian import environment, fetched

# Its thread that moves items refers to them meanwhile: a number that gets shorter is then not padded, now and then.
NO_MOVES = ("-o", "no_lru_maintainer")


@contextmanager
def debian(port: int, *options: str) -> Iterator[int]:
    """Serves on the loopback of this thread's network namespace until the end of the block."""
    command = [str(fetched()), "-u", "root", "-l", "127.0.0.1", "-p", str(port), *options]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.01)
        yield port
    finally:
        process.kill()  # it keeps nothing
        process.wait(20)
