"""What a run of bench.compare would have stored."""

from typing import Any

from bench.compare.parts import LOADS, SHARES
from bench.compare.servers import SERVERS

# By server: CPU us a request and requests a second.
COSTS = {
    "memcached": (8.0, 100_000.0),
    "rw": (4.0, 200_000.0),
    "uring": (3.2, 250_000.0),
    "uncompiled": (16.0, 60_000.0),
    "asyncio": (64.0, 15_000.0),
}
STAGES = ("device_in", "network_in", "appliance", "network_out", "device_out", "timers", "loop")
MACHINE = {"CPU": "a processor", "CPUs": "2", "Linux": "6.1", "memcached": "1.6.18, Debian's package"}


def row(server: str, number: int, **others: Any) -> dict[str, Any]:
    """The rounds differ by 10 %; all of a round by as much, but for ours, whose CPU stays."""
    cpu, rate = COSTS[server]
    factor = 1 + number / 10
    return {
        "server": server,
        "round": number,
        "connections": 64,
        "value": None,
        "rate": None,
        "seconds": 1.0,
        "requests_per_second": rate / factor,
        "bytes_per_second": rate * 700,
        "p50_us": 64e6 / rate,
        "p99_us": 128e6 / rate,
        "p99_9_us": 256e6 / rate,
        "late": 0,
        "misses": 0,
        "cpu_us": cpu * (1 if server in ("rw", "uring") else factor),
        "process_us": cpu * 0.75,
        "non_idle": 1.0,
        "generator_non_idle": 0.9,
        "stolen": 0.0,
        "server_requests_per_second": rate / factor,
        **others,
    }


def part(rows: list[dict[str, Any]], limits: list[dict[str, Any]] | None = None, **others: Any) -> dict[str, Any]:
    made = {"date": "2026-01-31", "machine": MACHINE, "rounds": 3, "seconds": 1.0, "cores": [0, 1], "background": 0.001}
    return {**made, "rows": rows, "limits": limits or [], "failures": [], "absent": {}, **others}


def parts(servers: tuple[str, ...] = tuple(SERVERS)) -> dict[str, dict[str, Any]]:
    """All of them, three rounds each."""
    each = [(server, number) for server in servers for number in range(3)]
    ours = [(server, number) for server, number in each if SERVERS[server].on_tap]
    times = {"parts": {stage: {"ns_per_request": 500.0} for stage in STAGES}, "busy_ns_per_request": 3500.0}
    return {
        "loads": part([row(*one, load=load) for one in each for load in LOADS]),
        "connections": part([row(*one, connections=count) for one in each for count in (1, 64)]),
        "values": part([row(*one, value=size) for one in each for size in (16, 1 << 20)]),
        "latency": part(
            [
                row(*one, share=share, rate=share and share * COSTS[one[0]][1])
                for one in each
                for share in (None, *SHARES)
            ],
            [{"server": s, "round": n, "requests_per_second": COSTS[s][1] * 0.9} for s, n in each],
        ),
        "breakdown": part([row(*one, breakdown=times) for one in ours]),
    }
