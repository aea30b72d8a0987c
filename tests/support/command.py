"""A command, such as `netapp run`, in a process of its own, in this thread's network namespace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.support.namespaces import ip


def wait_for(condition: Any, what: str, seconds: float = 15) -> None:
    """Of another process: there is nothing to be told by."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.01)


class Running:
    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self.output = output

    def said(self) -> str:
        return self.output.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)

    def ticks(self) -> int:
        """CPU time used, in clock ticks."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@contextmanager
def program(tmp_path: Path, *words: str, ready: str = "ends it") -> Iterator[Running]:
    """`ready`: what it says when it has started; empty: that is not waited for."""
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            words,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    running = Running(process, output)
    try:
        if ready:
            wait_for(lambda: ready in running.said() or process.poll() is not None, "the banner", 60)
            assert process.poll() is None, running.said()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def netapp(tmp_path: Path, *arguments: str, ready: bool = True) -> AbstractContextManager[Running]:
    words = (sys.executable, "-m", "netapp.cli.main", "run", *arguments)
    return program(tmp_path, *words, ready="ends it" if ready else "")


def links() -> set[str]:
    return {link["ifname"] for link in json.loads(ip("-json link"))}
