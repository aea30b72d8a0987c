"""Our memcached as a Linux process, from its start to its first reply."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bench.boot.qemu import first_reply
from bench.compare.namespaces import CLIENT, PREFIX, SERVER, Namespace, namespace
from bench.compare.servers import pinned

_PATIENCE = 30.0


@contextmanager
def hosted(core: int) -> Iterator[tuple[Namespace, float]]:
    """In a namespace of its own, and how many seconds that took."""
    addresses = ["--address", f"{SERVER}/{PREFIX}", "--host-address", f"{CLIENT}/{PREFIX}"]
    with namespace() as where, where:
        begin = time.monotonic()
        process = subprocess.Popen(
            pinned(core, [sys.executable, "-m", "netapp.cli.main", "run", "memcached", *addresses]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not (when := first_reply()):
                if process.poll() is not None or time.monotonic() - begin > _PATIENCE:
                    raise click.ClickException("netapp run memcached: no reply")
            yield where, when - begin
        finally:
            process.terminate()
            process.wait()
