"""The servers that are compared, and a running one of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from bench.compare.namespaces import PREFIX, SERVER, Namespace
from bench.debian import NotFetched, environment, fetched

PORT = 11211
BASELINE = "memcached"
MEMORY = ("-m", "1024")  # nothing is ever evicted
# Of servers and generator alike. Not a real-time one: a server that never sleeps would be throttled.
PRIORITY = -20
_START = 30.0  # s
_STOP = 5.0
_ANSWER = 30.0  # however much else it is asked for


@dataclass(frozen=True)
class Server:
    name: str
    title: str
    description: str
    address: str
    port: int = PORT
    on_tap: bool = False  # it runs where its clients are, and has a network of its own
    arguments: tuple[str, ...] = ()  # of `netapp run`, behind the tap's

    def command(self, options: Sequence[str], breakdown: bool) -> tuple[list[str], dict[str, str]]:
        """And its environment. `options` are memcached's, which all of them take."""
        options = [*MEMORY, *options]
        if self.name == BASELINE:
            try:
                program = str(fetched())
            except NotFetched as error:
                raise click.ClickException(str(error)) from None
            where = ["-t", "1", "-u", "root", "-l", self.address, "-p", str(self.port)]
            return [program, *where, *options], environment()
        if not self.on_tap:
            module = ["-m", "bench.compare.asyncio_server", "-l", self.address, "-p", str(self.port)]
            return [sys.executable, *module, *options], dict(os.environ)
        network = self.address.rpartition(".")[0]
        tap = ["--tap", f"bench-{self.name[:9]}", "--address", f"{self.address}/{PREFIX}"]
        host = ["--host-address", f"{network}.1/{PREFIX}"]
        ours = [*self.arguments, "--breakdown", "json"] if breakdown else self.arguments
        run = ["-m", "netapp.cli.main", "run", "memcached", *tap, *host, *ours, "--"]
        return [sys.executable, *run, *options], dict(os.environ)


SERVERS = {
    server.name: server
    for server in (
        Server(
            BASELINE,
            "memcached",
            "Debian's package, one thread (`-t 1`), on the kernel's TCP over a veth pair",
            SERVER,
        ),
        Server(
            "rw",
            "netapp --io rw",
            "`netapp run memcached --io rw`: our TCP/IP in the process, on a tap device, a system call a frame",
            "10.99.1.2",
            on_tap=True,
            arguments=("--io", "rw"),
        ),
        Server(
            "uring",
            "netapp --io uring",
            "the same with `--io uring`: a system call for many frames",
            "10.99.2.2",
            on_tap=True,
            arguments=("--io", "uring"),
        ),
        Server(
            "uncompiled",
            "netapp --uncompiled",
            "`netapp run memcached --uncompiled`: memcached's `.py` files as Python takes them, the stack compiled",
            "10.99.3.2",
            on_tap=True,
            arguments=("--uncompiled",),
        ),
        Server(
            "asyncio",
            "asyncio",
            "those `.py` files behind an `asyncio.Protocol`: same sessions, parser and store, the kernel's TCP",
            SERVER,
            PORT + 1,
        ),
    )
}
OURS = ("uring", "rw")  # the first that runs is what the comparison is about


class NotStarted(Exception):
    """It said why, in a line."""


class Running:
    """A server that answers, and a connection to it for its own counters."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes], control: socket.socket, output: int) -> None:
        self.server = server
        self.process = process
        self._control = control
        self._output = output
        self._read = 0

    def pause(self) -> None:
        """Until resume(): some wake now and then without being asked, which the others' requests would wait for."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stats(self) -> dict[str, str]:
        received = b""
        try:
            self._control.sendall(b"stats\r\n")
            while not received.endswith(b"END\r\n"):
                piece = self._control.recv(1 << 16)
                if not piece:
                    raise ConnectionError("it closed the connection")
                received += piece
        except OSError as error:
            raise click.ClickException(f"{self.server.title} does not answer any more: {error}") from None
        lines = (line.split(" ", 2) for line in received.decode().splitlines()[:-1])
        return {name: value for _, name, value in lines}

    def gets(self) -> int:
        return int(self.stats()["cmd_get"])

    def requests(self) -> int:
        stats = self.stats()
        return int(stats["cmd_get"]) + int(stats["cmd_set"])

    def breakdown(self) -> dict[str, Any]:
        """Where the time went since the last call; it runs with `--breakdown json`."""
        self.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + _STOP
        while time.monotonic() < end:
            # The file's position is the server's.
            lines = os.pread(self._output, 1 << 20, self._read).split(b"\n")
            for line in lines[:-1]:
                self._read += len(line) + 1
                if line.startswith(b"{"):
                    found: dict[str, Any] = json.loads(line)
                    return found
            time.sleep(0.001)
        raise click.ClickException(f"{self.server.title} does not say where its time went")


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """On one core, not longer than this process, and before what else the machine does."""
    as_asked = ["nice", "-n", str(PRIORITY), "taskset", "-c", str(core), *command]
    # A parent that ended before the signal was asked for is not told of any more.
    unless_alone = 'parent=$1; shift; test "$PPID" = "$parent" && exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", unless_alone, "sh", str(os.getpid()), *as_asked]


@contextmanager
def started(
    server: Server,
    namespaces: tuple[Namespace, Namespace],
    core: int,
    options: Sequence[str] = (),
    breakdown: bool = False,
) -> Iterator[Running]:
    """`namespaces`: the server's and the clients'. Raises NotStarted."""
    command, variables = server.command(options, breakdown)
    own, clients = namespaces[1 if server.on_tap else 0], namespaces[1]
    with tempfile.TemporaryFile() as output:
        with own:
            process = subprocess.Popen(
                pinned(core, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                start_new_session=True,  # Ctrl-C is for this process, which then ends the others
            )
        try:
            control = _connected(server, process, clients)
            if control is None:
                output.seek(0)
                said = output.read().decode(errors="replace").strip().splitlines()
                raise NotStarted(said[-1] if said else f"{server.title} does not answer")
            with control:
                yield Running(server, process, control, output.fileno())
        finally:
            _end(process)


def _connected(server: Server, process: subprocess.Popen[bytes], clients: Namespace) -> socket.socket | None:
    end = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < end:
        try:
            with clients:
                control = socket.create_connection((server.address, server.port), timeout=_START)
        except OSError:
            time.sleep(0.02)
            continue
        control.settimeout(_ANSWER)
        return control
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
