"""Where a request's time goes: the parts of a node's way, measured while it runs.

    breakdown = Breakdown(clock)
    node = Node(platform, breakdown.device(device), appliance, config)
    node.start()
    breakdown.install(node)
    …
    print(table(breakdown.report()))

Without it nothing is measured and nothing is paid. With it a border between two parts costs a reading of the clock,
whose time is taken out of the parts and shown by itself; the calls around it, some ns a border, stay in. A processor
that runs ahead of a reading blurs a border by some tens of instructions; what preempts the process is in the part that
it preempts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from netapp.ebb.core import EVENT_MANAGER, TCP
from netapp.event.manager import EventManager
from netapp.node.stopwatch import NAMES, Stopwatch, TimedDevice, TimedTcp, time_sockets, timed_events
from netapp.tcp.manager import TcpManager

if TYPE_CHECKING:
    from netapp.drivers.device import Device
    from netapp.event.contracts import Clock
    from netapp.node.node import Node

WAITING = ("idle", "sleep", "outside")  # no part of a request
PARTS = tuple(name for name in NAMES if name not in WAITING)


class Breakdown:
    def __init__(self, clock: Clock) -> None:
        """`clock`: read at every border."""
        self.watch = Stopwatch(clock)
        self._cpu = time.process_time_ns()

    def device(self, inner: Device) -> Device:
        """For Node, instead of `inner`."""
        return TimedDevice(inner, self.watch)

    def install(self, node: Node) -> None:
        """After start(). ValueError: the appliance brought an event manager or a TCP of its own, which stay."""
        events, tcp, watch = node.events, node.tcp, self.watch
        if type(events) is not EventManager or type(tcp) is not TcpManager:
            other = type(tcp if type(events) is EventManager else events).__name__
            raise ValueError(f"the appliance runs on a {other} of its own, which cannot be measured")
        platform, config = node.platform, node.config
        with node.core:
            node.rebind(
                EVENT_MANAGER,
                lambda core, ebb_id: timed_events(watch, platform.clock, platform.interrupts, config.handler_limit),
            )
            node.rebind(TCP, lambda core, ebb_id: TimedTcp(config.tcp, platform.entropy, watch))
            time_sockets(watch, node.udp)
        self.restart()

    def restart(self) -> None:
        """Forgets what was measured so far."""
        self._cpu = time.process_time_ns()
        self.watch.restart()

    def report(self) -> dict[str, Any]:
        """Since install() or restart(). Times are ns; `requests` are calls of handlers' receive()."""
        watch = self.watch
        cpu = time.process_time_ns() - self._cpu
        shares = watch.shares()
        whole = shares.pop("all")
        net = {name: max(0.0, spent - intervals * watch.cost) for name, (spent, intervals) in shares.items()}
        busy = sum(net[name] for name in PARTS)
        requests = watch.requests
        parts = {
            name: {
                "ns": round(net[name]),
                "ns_per_request": net[name] / requests if requests else None,
                "share": net[name] / busy if busy else 0.0,
                "intervals": shares[name][1],
            }
            for name in PARTS
        }
        return {
            "requests": requests,
            "frames_in": watch.frames_in,
            "frames_out": watch.frames_out,
            "turns": watch.turns,
            "idle_turns": watch.idle_turns,
            "ns": whole,
            "busy_ns": round(busy),
            "busy_ns_per_request": busy / requests if requests else None,
            "measuring_ns": round(sum(spent for spent, _ in shares.values()) - sum(net.values())),
            "reading_ns": watch.cost,
            "clock": type(watch.clock).__name__,
            "cpu_ns": cpu,
            "parts": parts,
            **{f"{name}_ns": round(net[name]) for name in WAITING},
        }


def table(report: dict[str, Any]) -> str:
    """Of a report, for people."""
    requests, whole = report["requests"], report["ns"] or 1

    def row(name: str, nanoseconds: float, share: str, more: str = "") -> str:
        each = f"{nanoseconds / requests:,.0f}" if requests else "-"
        return f"  {name:<14}{each:>10}{share:>9}{more}".rstrip()

    lines = [f"where the time of {requests:,} requests (calls of receive()) went", f"  {'':<14}{'ns each':>10}{'':>9}"]
    for name, part in report["parts"].items():
        times = f"{part['intervals'] / requests:>9.2f} times" if requests else ""
        lines.append(row(name.replace("_", " "), part["ns"], f"{part['share']:.1%}", times))
    lines.append(row("all of these", report["busy_ns"], "100.0%"))
    lines.append(f"  and of the {report['ns'] / 1e9:,.3f} s in all")
    for title, key in (
        ("busy", "busy_ns"),
        ("found nothing", "idle_ns"),
        ("asleep", "sleep_ns"),
        ("outside turns", "outside_ns"),
        ("measuring", "measuring_ns"),
    ):
        if report[key] or key == "busy_ns":
            lines.append(row(title, report[key], f"{report[key] / whole:.1%}"))
    lines.append(
        f"  frames {report['frames_in']:,} in, {report['frames_out']:,} out; turns {report['turns']:,}, and"
        f" {report['idle_turns']:,} that found nothing; CPU time {report['cpu_ns'] / 1e9:,.3f} s;"
        f" {report['clock']}, {report['reading_ns']:.1f} ns a reading"
    )
    return "\n".join(lines)
