"""A run: connections, threads, phases, and what came of it."""

from __future__ import annotations

import os
import random
import resource
import socket
import string
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.memaslap.configuration import VALUE_BYTES, Configuration, lengths
from bench.memaslap.options import Options
from bench.memaslap.report import Result
from bench.memaslap.series import Series
from bench.memaslap.worker import Worker

CONNECT_SECONDS = 5.0
OBJECT_BYTES = 32  # item_t
# Keys and values are runs of characters that begin at one of so many places: little enough to stay in a cache.
OFFSETS = 1 << 16
_LETTERS = (string.ascii_letters + string.digits + ".-").encode()
_NEVER = (1 << 64) - 1
_AHEAD = 5_000_000  # ns from when all threads are ready to the first request


class Failed(Exception):
    """The run, or what was to be measured."""


def _address(host: str, port: int, kind: socket.SocketKind) -> tuple[int, tuple[object, ...]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    except OSError as error:
        raise Failed(f"{host}:{port}: {error.strerror}") from None
    return family, address


def _connect(host: str, port: int, udp: bool) -> int:
    """The descriptor of a socket that is connected; the caller's."""
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    family, address = _address(host, port, kind)
    connection = socket.socket(family, kind)
    try:
        connection.settimeout(CONNECT_SECONDS)
        if not udp:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address)
    except TimeoutError:
        connection.close()
        raise Failed(f"{host}:{port}: no answer within {CONNECT_SECONDS:g} s") from None
    except OSError as error:
        connection.close()
        raise Failed(f"{host}:{port}: {error.strerror}") from None
    return connection.detach()


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard) if hard >= 0 else count, hard))
        except (OSError, ValueError):
            pass
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count:
            raise Failed(f"{count} open files are needed, {hard} are allowed: ulimit -n")


def _allow_memory(objects: int) -> None:
    needed, there = objects * OBJECT_BYTES, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    if needed > there // 2:
        raise Failed(f"{objects} objects take {needed >> 20} MiB of this machine's {there >> 20}: less -w or -c")


class Run:
    """Connected, not yet begun. `close()` ends the connections."""

    def __init__(self, options: Options, configuration: Configuration) -> None:
        self.options = options
        self.configuration = configuration
        self.workers: list[Worker] = []
        self.start = 0
        self.begin = 0
        self.reconnects = options.reconnect or options.rep_write > 0
        self.connections = [0] * len(options.servers)
        servers = options.servers
        each = options.conn_sock * (len(servers) if options.rep_write else 1) + options.facebook
        _allow_memory(options.concurrency * options.win_size)
        _allow_descriptors(options.concurrency * each + options.threads + 64)
        chance = random.Random()
        values = configuration.with_values_of(options.fixed_size).values if options.fixed_size else configuration.values
        keys_packed = lengths(configuration.keys, options.win_size, chance).tobytes()
        values_packed = lengths(values, options.win_size, chance).tobytes()
        letters = bytes(_LETTERS[i % len(_LETTERS)] for i in range(256))
        characters = os.urandom(OFFSETS + VALUE_BYTES[1]).translate(letters)
        rate = options.rate or options.tps
        try:
            for thread in range(options.threads):
                worker = Worker(
                    number=thread,
                    clients=options.concurrency // options.threads,
                    characters=characters,
                    offsets=OFFSETS,
                    window=options.win_size,
                    servers=len(servers),
                    seed=chance.getrandbits(63),
                    get_share=configuration.get,
                    set_share=configuration.set,
                    verify=options.verify,
                    overwrite=options.overwrite,
                    expiry=options.expiry if options.exp_verify else 0,
                    division=options.division,
                    writers=options.rep_write,
                    binary_protocol=options.binary,
                    facebook=options.facebook,
                    reconnect=self.reconnects,
                    verbose=options.verbose,
                    rate=rate / options.threads,
                    open_loop=options.rate > 0,
                )
                self.workers.append(worker)
                for _ in range(options.concurrency // options.threads):
                    sockets = list(self._sockets(thread))
                    for _, server, _ in sockets:
                        self.connections[server] += 1
                    requests = options.execute_number // options.concurrency or _NEVER
                    worker.add_client(keys_packed, values_packed, options.exp_verify, sockets, requests)
        except BaseException:
            self.close()
            raise

    def _sockets(self, thread: int) -> Iterator[tuple[int, int, bool]]:
        """Of a concurrency: (descriptor, server, is UDP)."""
        servers = self.options.servers
        mine = range(len(servers)) if self.options.rep_write else (thread % len(servers),)
        for _ in range(self.options.conn_sock):
            for number in mine:
                yield _connect(*servers[number], self.options.udp), number, self.options.udp
        if self.options.facebook:
            yield _connect(*servers[mine[0]], True), mine[0], True

    def close(self) -> None:
        for worker in self.workers:
            worker.close()

    @contextmanager
    def _threads(self, target: Callable[[Worker], object]) -> Iterator[list[threading.Thread]]:
        """A thread for each worker; at the end of the block they have ended, or are asked to."""
        threads = [threading.Thread(target=target, args=(worker,), daemon=True) for worker in self.workers]
        try:
            for thread in threads:
                thread.start()
            yield threads
        finally:
            for worker in self.workers:
                worker.stop = True
            for thread in threads:
                thread.join()

    def _wait(self, threads: Sequence[threading.Thread], pause: float, look: Callable[[], object]) -> None:
        """Until all have ended; looks now and then."""
        next_look = time.monotonic() + pause
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(max(min(next_look - time.monotonic(), 0.1), 0.0))
            if time.monotonic() >= next_look:
                next_look += pause
                look()

    def fill(self, look: Callable[[], object]) -> None:
        """Sets every object of the windows."""
        with self._threads(lambda worker: worker.fill()) as threads:
            self._wait(threads, 1.0, look)
        self._check()
        for worker in self.workers:
            worker.stop = False

    def measure(self, pause: float, look: Callable[[], object]) -> None:
        """The run itself; `look` is called every `pause` seconds."""
        barrier = threading.Barrier(len(self.workers), action=self._set_times)

        def run(worker: Worker) -> None:
            barrier.wait()
            # The threads' requests are due between each other's.
            apart = 1e9 / self.options.rate * self.workers.index(worker) if self.options.rate else 0.0
            worker.run(self.start + round(apart), self.begin, self.end)

        with self._threads(run) as threads:
            self._wait(threads, pause, look)

    def _set_times(self) -> None:
        self.start = time.monotonic_ns() + _AHEAD
        self.begin = self.start + round(self.options.warm_up * 1e9)
        self.end = _NEVER if self.options.execute_number else self.begin + round(self.options.time * 1e9)

    def result(self) -> Result:
        """So far; of what is being measured at this moment, roughly."""
        gets, sets, waited = Series(), Series(), Series()
        counters: dict[str, int] = {}
        for worker in self.workers:
            gets.add(worker.gets)
            sets.add(worker.sets)
            waited.add(worker.waited)
            for name, count in worker.counters.items():
                counters[name] = counters.get(name, 0) + count
        ended = max((worker.ended for worker in self.workers), default=0) or time.monotonic_ns()
        seconds = max(ended - self.begin, 0) / 1e9 if self.begin else 0.0
        unanswered = sum(worker.unanswered for worker in self.workers)
        cpu = sum(worker.cpu for worker in self.workers if worker.ended) / 1e9
        return Result(gets, sets, waited, counters, seconds, unanswered, cpu)

    def objects(self) -> int:
        """Set so far, while the windows are filled."""
        return sum(worker.filled for worker in self.workers)

    def lost(self) -> list[int]:
        """Connections that ended, by server."""
        return [sum(counts) for counts in zip(*(worker.lost for worker in self.workers))]

    def back(self) -> list[int]:
        return [sum(counts) for counts in zip(*(worker.back for worker in self.workers))]

    def _check(self) -> None:
        """Raises where what was to be measured has failed."""
        if any(worker.silence for worker in self.workers):
            raise Failed("no answer for 10 s")
        trouble = next((worker.trouble for worker in self.workers if worker.trouble), "")
        for (host, port), lost in zip(self.options.servers, self.lost()):
            if lost and not self.reconnects:
                raise Failed(
                    f"{host}:{port} ended {lost} connections" + (f", after it answered {trouble!r}" if trouble else "")
                )
        if trouble:
            errors = sum(worker.counters["errors"] for worker in self.workers)
            raise Failed(f"{errors or 'some'} requests failed, the first with {trouble!r}")

    def check(self, result: Result) -> None:
        self._check()
        if result.unanswered:
            raise Failed(f"{result.unanswered} requests were not answered when the run ended")
        for name, what in (
            ("verify_failed", "values were not what had been stored"),
            ("expired_get", "objects were there after they had expired"),
            ("unexpired_unget", "objects were gone before they expired"),
        ):
            if result.counters[name]:
                raise Failed(f"{result.counters[name]} {what}")
