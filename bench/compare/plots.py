"""The pictures: medians as lines or bars, ranges over the rounds around them. Each as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter

from bench.boot.chart import COUNTED, by_machine, per_second
from bench.boot.chart import title as machine_title
from bench.boot.report import by_case
from bench.boot.report import title as guest_title
from bench.compare.parts import P99_LIMIT_US, SHARES
from bench.compare.spread import Row, Spread, spread
from bench.compare.summary import stages, summarised
from bench.compare.tables import number, title

# Distinguishable without colours seen as others see them (Okabe and Ito); a marker besides.
LOOKS = {
    "memcached": ("#000000", "s"),
    "rw": ("#0072b2", "o"),
    "uring": ("#009e73", "^"),
    "uncompiled": ("#e69f00", "D"),
    "asyncio": ("#d55e00", "v"),
}
STAGES = {
    "device_in": ("device in", "#56b4e9"),
    "network_in": ("network in", "#0072b2"),
    "appliance": ("appliance", "#e69f00"),
    "network_out": ("network out", "#009e73"),
    "device_out": ("device out", "#cc79a7"),
    "timers": ("timers", "#999999"),
    "loop": ("loop", "#555555"),
}
GUESTS = {"linux": "#000000", "netapp": "#009e73", "hosted": "#0072b2"}
COUNTED_LOOKS = {
    "devices": ("#d55e00", "o"),
    "timers": ("#999999", "s"),
    "polls": ("#0072b2", "^"),
    "switches": ("#009e73", "D"),
}
WIDTH = 8.6  # inches; at 100 a README's width
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "netapp",
    "figure.constrained_layout.use": True,
}


def draw(parts: dict[str, dict[str, Any]], folder: Path) -> list[str]:
    """Names of the pictures, without suffix, that the parts are enough for."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with pyplot.rc_context(STYLE):
        for name, picture in PICTURES.items():
            if parts.get(name, {}).get("rows"):
                _save(picture(parts[name]), folder, name)
                made.append(name)
    return made


def draw_boot(found: dict[str, Any], folder: Path) -> None:
    """Of `bench.boot`."""
    with pyplot.rc_context(STYLE):
        _save(boot(found), folder, "boot")


def draw_interrupts(found: dict[str, Any], folder: Path) -> None:
    """Of `bench.boot.interrupts`."""
    with pyplot.rc_context(STYLE):
        _save(interrupts(found), folder, "interrupts")


def _save(figure: Any, folder: Path, name: str) -> None:
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", dpi=150)
    pyplot.close(figure)


def connections(part: dict[str, Any]) -> Any:
    figure, axes = pyplot.subplots(figsize=(WIDTH, 4.2))
    rows = summarised("connections", part)
    _lines(axes, rows, "requests_per_second", 1e-3)
    _powers_of_two(axes, sorted({row["point"] for row in rows}), lambda value: f"{value:g}")
    axes.set(xlabel="connections", ylabel="thousand requests/s", title="Throughput against connections", ylim=(0, None))
    axes.legend()
    return figure


def values(part: dict[str, Any]) -> Any:
    figure, (requests, bytes_) = pyplot.subplots(1, 2, figsize=(WIDTH, 4.0))
    rows = summarised("values", part)
    _lines(requests, rows, "requests_per_second", 1)
    _lines(bytes_, rows, "bytes_per_second", 1e-9)
    for axes in (requests, bytes_):
        _powers_of_two(axes, sorted({row["point"] for row in rows}), _size)
        axes.set(xlabel="bytes of a value")
    requests.set(ylabel="requests/s", title="Throughput against value size", yscale="log")
    bytes_.set(ylabel="GB/s, both ways", title="The same in bytes", ylim=(0, None))
    requests.legend(fontsize=8)
    return figure


def latency(part: dict[str, Any]) -> Any:
    figure, panels = pyplot.subplots(1, 3, figsize=(WIDTH, 4.0), sharey=True)
    rows = [row for row in summarised("latency", part) if row["point"] in SHARES]
    for axes, (figure_name, shown) in zip(panels, (("p50_us", "p50"), ("p99_us", "p99"), ("p99_9_us", "p99.9"))):
        for server, own in _by_server(rows).items():
            colour, marker = LOOKS[server]
            own = sorted(own, key=lambda row: row["point"])
            at = [row["rate"].median * 1e-3 for row in own]
            _line(axes, at, [row[figure_name] for row in own], 1, colour, marker, title(server))
        axes.set(title=shown, xlabel="thousand requests due a second", yscale="log", xlim=(0, None))
    panels[1].axhline(P99_LIMIT_US, color="#999999", linestyle="--", linewidth=1)
    panels[0].set(ylabel="µs from when a request was due")
    panels[0].legend(fontsize=8)
    figure.suptitle("Latency against load, open loop")
    return figure


def breakdown(part: dict[str, Any]) -> Any:
    found = stages(part)
    servers = [server for server in LOOKS if server in found]
    figure, axes = pyplot.subplots(figsize=(WIDTH, 1.6 + 0.7 * len(servers)))
    widest = max(found[server]["busy"].median for server in servers)
    for place, server in enumerate(servers):
        times = found[server]
        left = 0.0
        for stage, (_, colour) in STAGES.items():
            if stage not in times:
                continue
            ns = times[stage].median
            axes.barh(place, ns, left=left, color=colour, height=0.6)
            if ns > widest / 16:
                axes.text(left + ns / 2, place, f"{ns:,.0f}", ha="center", va="center", fontsize=8)
            left += ns
        whole = times["busy"]
        beyond = [[max(left - whole.least, 0)], [max(whole.most - left, 0)]]
        axes.errorbar(left, place, xerr=beyond, color="#000000", capsize=3)
    axes.set_yticks(range(len(servers)), [title(server) for server in servers])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="ns a request", title="Where a request's time goes", xlim=(0, None))
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for _, colour in STAGES.values()]
    names = [shown for shown, _ in STAGES.values()]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=8)
    return figure


def boot(found: dict[str, Any]) -> Any:
    cases = list(by_case(found).items())
    figure, panels = pyplot.subplots(1, 2, figsize=(WIDTH, 1.2 + 0.45 * len(cases)), sharey=True)
    for axes, figure_name, factor, name in (
        (panels[0], "first_reply", 1.0, "s to the first reply"),
        (panels[1], "rate", 1e-3, "thousand requests/s, 64 connections"),
    ):
        for place, ((guest, _), own) in enumerate(cases):
            values = spread(row[figure_name] * factor for row in own)
            assert isinstance(values, Spread)
            beyond = [[values.median - values.least], [values.most - values.median]]
            axes.barh(place, values.median, xerr=beyond, color=GUESTS[guest], height=0.6, capsize=3, ecolor="#999999")
            axes.annotate(f" {number(values.median)}", (values.most, place), va="center", fontsize=8)
        axes.set(xlabel=name)
        axes.margins(x=0.15)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(cases)), [guest_title(found, own[0]) for _, own in cases])
    panels[0].invert_yaxis()
    figure.suptitle("A boot image beside a Linux guest, in the same emulator")
    return figure


def interrupts(found: dict[str, Any]) -> Any:
    machines = by_machine(found)
    figure, panels = pyplot.subplots(1, len(machines), figsize=(WIDTH, 3.8), sharey=True, squeeze=False)
    for axes, (machine, rows) in zip(panels[0], machines.items()):
        for name, (colour, marker) in COUNTED_LOOKS.items():
            values = [per_second(row, name) for row in rows]
            if None not in values:
                axes.plot(range(len(rows)), values, color=colour, marker=marker, markersize=4, label=COUNTED[name])
        axes.set_xticks(range(len(rows)), [row["load"] for row in rows], rotation=60)
        axes.set_yscale("symlog", linthresh=1)
        axes.set(title=machine_title(machine), xlabel="load")
        axes.title.set_fontsize(9)
    panels[0][0].set(ylabel="a second", ylim=(-0.2, None))  # of all panels
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=8)
    figure.suptitle("Interrupts, polls and switches against load")
    return figure


PICTURES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "connections": connections,
    "values": values,
    "latency": latency,
    "breakdown": breakdown,
}


def _by_server(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {
        server: [row for row in rows if row["server"] == server]
        for server in LOOKS
        if any(row["server"] == server for row in rows)
    }


def _lines(axes: Any, rows: Sequence[Row], figure_name: str, factor: float) -> None:
    for server, own in _by_server(rows).items():
        colour, marker = LOOKS[server]
        own = sorted(own, key=lambda row: row["point"])
        found = [row[figure_name] for row in own]
        _line(axes, [row["point"] for row in own], found, factor, colour, marker, title(server))


def _line(
    axes: Any, at: Sequence[float], found: Sequence[Spread], factor: float, colour: str, marker: str, label: str
) -> None:
    axes.plot(at, [one.median * factor for one in found], color=colour, marker=marker, markersize=4, label=label)
    least, most = [one.least * factor for one in found], [one.most * factor for one in found]
    axes.fill_between(at, least, most, color=colour, alpha=0.18, linewidth=0)


def _powers_of_two(axes: Any, points: Sequence[float], shown: Callable[[float], str]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(points)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value)))
    axes.minorticks_off()


def _size(value: float) -> str:
    if value >= 1 << 20:
        return f"{value / (1 << 20):g}Mi"
    return f"{value / 1024:g}Ki" if value >= 1024 else f"{value:g}"
