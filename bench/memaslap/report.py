"""memaslap's reports, line by line as it prints them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.memaslap.configuration import Configuration, mean
from bench.memaslap.options import Options
from bench.memaslap.series import Series

_COLUMNS = ("Type", "Time(s)", "Ops", "TPS(ops/s)", "Net(M/s)", "Get_miss", "Min(us)", "Max(us)", "Avg(us)", "Std_dev")
_FORM = "{:<8} {:<8} {:<12} {:<12} {:<10} {:<10} {:<8} {:<10} {:<10} {:<10} "
_MIB = 1 << 20


@dataclass(frozen=True)
class Result:
    """Of a run, or of a part of it."""

    gets: Series
    sets: Series
    waited: Series
    counters: dict[str, int]
    seconds: float
    unanswered: int = 0
    cpu_seconds: float = 0.0
    """Of the generator's threads: where it nears their number times `seconds`, the generator is the limit."""

    @property
    def total(self) -> Series:
        total = Series()
        for series in (self.gets, self.sets, self.waited):
            total.add(series)
        return total

    @property
    def ops(self) -> int:
        return self.counters["cmd_get"] + self.counters["cmd_set"]

    @property
    def tps(self) -> float:
        return self.ops / self.seconds if self.seconds else 0.0

    @property
    def net_rate(self) -> float:
        """Bytes a second."""
        moved = self.counters["written_bytes"] + self.counters["read_bytes"]
        return moved / self.seconds if self.seconds else 0.0


def settings(options: Options, configuration: Configuration) -> str:
    return "\n".join(
        (
            f"servers: {options.servers_text}",
            f"threads count: {options.threads}",
            f"concurrency: {options.concurrency}",
            f"execute number: {options.execute_number}" if options.execute_number else f"run time: {options.time:g}s",
            f"windows size: {options.win_size // 1024}k"
            if options.win_size % 1024 == 0
            else f"windows size: {options.win_size}",
            f"set proportion: set_prop={configuration.set:.2f}",
            f"get proportion: get_prop={configuration.get:.2f}",
        )
    )


def period(earlier: Result | None, now: Result, configuration: Configuration) -> str:
    """The tables of -S: since the last one, and since the beginning."""
    size = mean(configuration.keys) + mean(configuration.values)
    blocks = []
    misses = now.counters["get_misses"], now.counters["get_misses"] - (earlier.counters["get_misses"] if earlier else 0)
    for title, all_, before in (
        ("Get", now.gets, earlier and earlier.gets),
        ("Set", now.sets, earlier and earlier.sets),
        ("Total", now.total, earlier and earlier.total),
    ):
        if not all_.count:
            continue
        last = all_.since(before) if before else all_
        missed = misses if title != "Set" else (0, 0)
        blocks += [
            f"{title} Statistics",
            _FORM.format(*_COLUMNS) + f"{'Geo_dist':<10}",
            _row("Period", last, now.seconds - (earlier.seconds if earlier else 0), missed[1], size),
            _row("Global", all_, now.seconds, missed[0], size),
            "",
        ]
    return "\n".join(blocks)


def _row(name: str, series: Series, seconds: float, misses: int, size: int) -> str:
    seconds = max(round(seconds), 1)
    return (
        _FORM.format(
            name,
            seconds,
            series.count,
            series.count // seconds,
            f"{series.count * size / _MIB / seconds:.1f}",
            misses,
            series.least // 1000,
            series.most // 1000,
            int(series.average),
            f"{series.deviation():.2f}",
        )
        + f"{series.geometric():.2f}"
    )


def closing(result: Result, options: Options) -> str:
    """The end of a run: distributions, counters, and the line that counts."""
    lines: list[str] = []
    for title, series in (("Get", result.gets), ("Set", result.sets), ("Total", result.total)):
        if series.count:
            lines += [*_distribution(title, series), ""]
    shown = ["cmd_get", "cmd_set", "get_misses"]
    if options.verify:
        shown += ["verify_misses", "verify_failed"]
    if options.exp_verify:
        shown += ["expired_get", "unexpired_unget"]
    shown += ["written_bytes", "read_bytes", "object_bytes"]
    if options.udp or options.facebook:
        shown += ["packet_disorder", "packet_drop", "udp_timeout"]
    if options.rate:
        shown += ["late", "unsent"]
    if options.reconnect:
        shown += ["reconnected"]
    lines += [f"{name}: {result.counters[name]}" for name in shown]
    if result.counters["errors"]:
        lines.append(f"errors: {result.counters['errors']}")
    lines += [
        "",
        f"Run time: {result.seconds:.1f}s Ops: {result.ops} TPS: {result.tps:.0f} "
        f"Net_rate: {result.net_rate / _MIB:.1f}M/s",
    ]
    return "\n".join(lines)


def _distribution(title: str, series: Series) -> Iterator[str]:
    yield f"{title} Statistics ({series.count} events)"
    yield f"   Min:  {series.least // 1000:8d}"
    yield f"   Max:  {series.most // 1000:8d}"
    yield f"   Avg:  {int(series.average):8d}"
    yield f"   Geo:  {series.geometric():8.2f}"
    if series.count > 1:
        yield f"   Std:  {series.deviation():8.2f}"
    yield "   Log2 Dist:"
    powers = series.powers
    first = next((i for i in range(0, max(len(powers) - 4, 0), 4) if any(powers[i : i + 4])), 0)
    for row in range(first, len(powers), 4):
        yield f"      {row:2d}:" + "".join(f"   {count:6d}" for count in powers[row : row + 4])


def as_json(result: Result) -> dict[str, Any]:
    return {
        "seconds": result.seconds,
        "ops": result.ops,
        "tps": result.tps,
        "net_rate_bytes": result.net_rate,
        **result.counters,
        "unanswered": result.unanswered,
        "cpu_seconds": result.cpu_seconds,
        **{
            name: _times(series)
            for name, series in (("get", result.gets), ("set", result.sets), ("total", result.total))
        },
    }


def _times(series: Series) -> dict[str, Any]:
    return {
        "count": series.count,
        "min_us": series.least / 1000,
        "max_us": series.most / 1000,
        "avg_us": series.average,
        "geo_us": series.geometric(),
        "std_us": series.deviation(),
        **{f"p{name}_us": series.percentile(part) / 1000 for name, part in PERCENTILES.items()},
        "log2": series.powers,
    }


PERCENTILES = {"50": 0.5, "90": 0.9, "99": 0.99, "99_9": 0.999, "99_99": 0.9999}
