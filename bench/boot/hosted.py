"""Our memcached as a Linux process, from its start to its first reply."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bench.boot.qemu import answer, first_reply
from bench.compare.namespaces import CLIENT, PREFIX, SERVER, Namespace, namespace
from bench.compare.servers import pinned

_PATIENCE = 30.0


class Hosted:
    """One that has answered, in a namespace of its own."""

    def __init__(self, process: subprocess.Popen[bytes], where: Namespace, seconds: float, output: Path) -> None:
        self.process = process
        self.where = where
        self.seconds = seconds  # from its start to the first reply
        self._output = output

    def status(self) -> str:
        """What it says of itself. Raises click.ClickException."""
        return answer(self._output, lambda: self.process.send_signal(signal.SIGUSR1))


@contextmanager
def hosted(core: int) -> Iterator[Hosted]:
    addresses = ["--address", f"{SERVER}/{PREFIX}", "--host-address", f"{CLIENT}/{PREFIX}"]
    with namespace() as where, where, tempfile.NamedTemporaryFile(prefix="hosted-") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            pinned(core, [sys.executable, "-m", "netapp.cli.main", "run", "memcached", *addresses]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not (when := first_reply()):
                if process.poll() is not None or time.monotonic() - begin > _PATIENCE:
                    raise click.ClickException("netapp run memcached: no reply")
            yield Hosted(process, where, when - begin, Path(output.name))
        finally:
            process.terminate()
            process.wait()
