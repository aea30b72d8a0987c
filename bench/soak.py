"""A full cache over many requests, on the memory wire: what memory it takes, what it hits, and how long requests take.

    python -m bench.soak [--requests 10000000] [--keys 2000000] [-m 256] [--json]
    python -m bench.soak --port 11311 [...]    the same gets from the memcached that listens there on the loopback

64 clients get keys, one request each at a time, and set what was not there. Keys are chosen by Zipf's law (exponent
0.99); a key has 20 to 45 bytes and always the same value, of a size that is log-normally distributed: 1 KiB on the
average, 1 MiB at most. Every byte of every answer is compared.

Memory is what the process's resident memory grew by since the clients had connected, less what the clients' own pool
holds; it is looked at a hundred times, from the first eviction on. It is compared with -m.

A request's time is that of the node's turns from when it was sent to when all of its answer had come, and of what the
node would have waited for a timer; a turn serves all clients. Of those above 5 ms, it was the machine where the thread
ran for less than that. Any other may still be the machine's (pages, a hypervisor), so the whole is then run again: the
node does exactly the same, and only a request that is above 5 ms of CPU time each time is the node's own.
"""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
from typing import Any

import click

from bench.aside import Aside
from bench.bed import CLIENT, OUTSIDE_BYTES, SERVER, Bed, packed, resident
from bench.latency import Stopwatch
from bench.trace import Pipeline, Trace
from netapp.cli.find import find_appliance
from netapp.cli.run import appliance_options

MIB = 1 << 20
CLIENTS = 64
PACE = 500_000  # ns a turn, as a round trip between machines; timers come due as they would
LIMIT = 5_000_000  # ns
LOOKS = 100
RUNS = 3
PARTS = (50, 90, 99, 99.9, 99.99)
SHOWN = 5


class Soak(Bed[Aside]):
    """A memcached node on one end of a memory wire, connected clients on the other."""

    def __init__(self, trace: Trace, memory: int) -> None:
        """`memory`: MiB."""
        found = find_appliance("memcached")
        super().__init__(found(appliance_options(found, ["-m", str(memory)])), capacity=4096)
        self.memory = memory
        self.meter = self.watch = Stopwatch(self.clock, PACE, LIMIT)
        self.clients = Aside(
            self.outside,
            self.wire.b,
            self.wire.a.mac,
            packed(CLIENT),
            packed(SERVER),
            11211,
            CLIENTS,
            trace,
            self.watch,
        )
        self.introduce()
        self.clients.connect(0, CLIENTS)
        self.run()
        self.before = self._resident()

    def store(self) -> Any:
        with self.node.core:
            return self.node.appliance.worker.store()  # type: ignore[union-attr]

    def _resident(self) -> int:
        """Of the process, less the clients' pool."""
        units, _, free = self.outside_pool.classes()[-1]
        return resident() - (OUTSIDE_BYTES - self.outside_pool.free_bytes() + units * free)

    def soak(self, gets: int) -> dict[str, Any]:
        store, looks = self.store(), []
        begun = 0
        for look in range(1, LOOKS + 1):
            self.clients.go_on(gets * look // LOOKS - begun)
            self.run(measured=True, pace=PACE)
            begun = gets * look // LOOKS
            if store.evictions:
                looks.append(self._resident() - self.before)
        return {
            "gets": gets,
            "hits": self.clients.hits,
            "sets": self.clients.sets,
            "hit_ratio": self.clients.hits / gets,
            "memory": {
                "limit": self.memory * MIB,
                "grown": looks[-1] if looks else 0,
                "least": min(looks, default=0),
                "most": max(looks, default=0),
                "process": resident(),
                "counted": store.used,
                "table": store.items.memory,
                "pinned": self.node.pool.pinned()["store"],
            },
            "items": len(store),
            "evictions": store.evictions,
            "latency": {
                **{f"p{part}": self.watch.percentile(part) for part in PARTS},
                "longest": self.watch.most,
                "outliers": self.watch.outliers,
            },
        }


def replay(trace: Trace, port: int, gets: int) -> dict[str, Any]:
    """The same gets from a server on the loopback, as many of them in a batch as there are clients otherwise."""
    pipeline = Pipeline(trace, CLIENTS)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            asked = pipeline.ask(gets - pipeline.gets)
            if not asked:
                break
            connection.sendall(asked)
            while not pipeline.take(connection.recv(MIB)):
                pass
    return {"gets": gets, "hits": pipeline.hits, "hit_ratio": pipeline.hits / gets}


def own(outlier: dict[str, int]) -> bool:
    return outlier["cpu"] + outlier["idle"] > LIMIT


def measure(gets: int, keys: int, memory: int) -> dict[str, Any]:
    """Each run in a process of its own. The report is the first one's; its outliers that are the node's own are those
    of every run."""
    arguments = ["--requests", str(gets), "--keys", str(keys), "-m", str(memory)]
    report: dict[str, Any] = {}
    for run in range(1, RUNS + 1):
        done = subprocess.run(
            [sys.executable, "-m", "bench.soak", "--child", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise click.ClickException((done.stderr.strip().splitlines() or ["no output"])[-1])
        found = json.loads(done.stdout)
        its = {outlier["request"] for outlier in found["latency"]["outliers"] if own(outlier)}
        if not report:
            report, left = found, its
        elif (found["hits"], found["evictions"]) != (report["hits"], report["evictions"]):
            raise click.ClickException("a second run did something else than the first")
        left &= its
        report["latency"] |= {"own": sorted(left), "runs": run}
        if not left:
            break
    return report


def show(report: dict[str, Any]) -> str:
    memory, latency = report["memory"], report["latency"]

    def mib(name: str) -> str:
        return f"{memory[name] / MIB:,.1f} MiB ({memory[name] / memory['limit']:.3f} of -m)"

    lines = [
        f"{report['gets']:,} gets, {report['sets']:,} sets; {report['hit_ratio']:.2%} of the gets hit",
        f"{report['items']:,} items, {report['evictions']:,} evictions",
        f"the process grew by {mib('grown')}; while full by {mib('least')} to {mib('most')}",
        f"it has {memory['process'] / MIB:,.1f} MiB; counted {mib('counted')}, table {mib('table')}, "
        f"pinned {mib('pinned')}",
        "latency: " + ", ".join(f"p{part} {latency[f'p{part}'] / 1000:,.0f}" for part in PARTS) + " us",
        f"longest {latency['longest'] / 1000:,.0f} us; {len(latency['outliers'])} above {LIMIT // 1000:,} us, of which"
        f" {sum(not own(outlier) for outlier in latency['outliers'])} while the thread did not run;"
        f" {len(latency['own'])} in every one of {latency['runs']} runs",
    ]
    for outlier in sorted(latency["outliers"], key=lambda each: -each["ns"])[:SHOWN]:
        lines.append(
            f"  request {outlier['request']:,}: {outlier['ns'] / 1000:,.0f}, {outlier['cpu'] / 1000:,.0f} of these CPU"
            f" and {outlier['idle'] / 1000:,.0f} us waiting; {outlier['switches']} switches, {outlier['faults']} faults"
        )
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--requests", type=click.IntRange(CLIENTS), default=10_000_000, show_default=True, help="gets")
@click.option("--keys", type=click.IntRange(2), default=2_000_000, show_default=True)
@click.option("-m", "memory", type=click.IntRange(4), default=256, show_default=True, help="as memcached's, MiB")
@click.option("--port", type=click.IntRange(1, 65535), help="ask the server there instead")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--child", is_flag=True, hidden=True, help="run as the process that is measured")
def main(requests: int, keys: int, memory: int, port: int | None, as_json: bool, child: bool) -> None:
    if child:
        gc.disable()  # as in a running node
        click.echo(json.dumps(Soak(Trace(keys), memory).soak(requests)))
    elif port:
        found = replay(Trace(keys), port, requests)
        click.echo(json.dumps(found) if as_json else f"{found['gets']:,} gets; {found['hit_ratio']:.2%} of them hit")
    else:
        report = measure(requests, keys, memory)
        click.echo(json.dumps(report, indent=2) if as_json else show(report))


if __name__ == "__main__":
    main()
