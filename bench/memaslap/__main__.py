"""A load generator for memcached servers, with the options, the configuration file and the reports of memaslap.

    python -m bench.memaslap -s 10.99.0.2 -t 10s -T 2 -c 64

Each concurrency has one request under way at a time. Its window of objects is filled by its sets; a mix without sets,
and --warm-up, fills it first. Times are from when a request is sent to when its reply is complete. With --rate they are
from when it was due by a fixed rate: a request that finds every concurrency busy waits for one ("late") and what still
waits at the end counts with the time that it has waited ("unsent"), so that a server that stalls cannot hide.

Exit status 0, 1 (a server failed, or gave what was not stored) or 2 (bad usage).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.memaslap import clock, configuration, options, report
from bench.memaslap.outages import Outages
from bench.memaslap.progress import Progress
from bench.memaslap.run import Failed, Run


def _read(name: str, read: Callable[[str], Any]) -> dict[str, Any]:
    """An option that is what `read` makes of it."""

    def callback(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return {"metavar": name, "callback": callback}


_TIME = _read("TIME", options.seconds)
_SIZE = _read("SIZE", options.size)
_PART = _read("PART", options.proportion)
_RATE = _read("RATE", options.rate)
_FILE = click.Path(dir_okay=False, path_type=Path)


def _from(least: int, most: int | None = None) -> click.IntRange:
    return click.IntRange(least, most)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-s",
    "--servers",
    envvar="MEMCACHED_SERVERS",
    required=True,
    help="host:port,host:port…; thread i has server i modulo their number  [or MEMCACHED_SERVERS]",
)
@click.option("-T", "--threads", type=_from(1, options.MOST_THREADS), help="threads  [default: 1]")
@click.option(
    "-c",
    "--concurrency",
    type=_from(1, options.MOST_CONCURRENCY),
    help="of all threads: requests that are under way at once  [default: 16]",
)
@click.option(
    "-n", "--conn_sock", type=_from(1, 10_000), help="TCP connections of each concurrency, used in turn  [default: 1]"
)
@click.option("-x", "--execute_number", type=_from(1), help="gets and sets to do, instead of a time")
@click.option("-t", "--time", **_TIME, help="how long: 10s, 2m, 1h, 1d  [default: 10m]")
@click.option(
    "-F",
    "--cfg_cmd",
    type=_FILE,
    help="configuration file: lengths of keys and values, parts of gets and sets  [default: 64, 1024, 0.9 and 0.1]",
)
@click.option("-w", "--win_size", **_SIZE, help="objects of each concurrency  [default: 10k]")
@click.option("-X", "--fixed_size", type=_from(1, configuration.VALUE_BYTES[1]), help="bytes of every value")
@click.option("-v", "--verify", **_PART, help="part of the gets whose value is compared with what was stored")
@click.option("-d", "--division", type=_from(1, options.MOST_KEYS), help="keys of a get  [default: 1]")
@click.option("-S", "--stat_freq", **_TIME, help="print statistics that often")
@click.option("-e", "--exp_verify", **_PART, help="part of the objects that expire, which is verified")
@click.option("-o", "--overwrite", **_PART, help="part of the sets that set an object anew")
@click.option("-R", "--reconnect", is_flag=True, help="connect again when a connection ends")
@click.option("-U", "--udp", is_flag=True, help="UDP, at the same port")
@click.option("-a", "--facebook", is_flag=True, help="set with TCP, get several keys (-d) with UDP")
@click.option("-B", "--binary", is_flag=True, help="the binary protocol")
@click.option("-P", "--tps", **_SIZE, help="at most so many gets and sets a second, 10k being 10240  (closed loop)")
@click.option(
    "-p",
    "--rep_write",
    type=_from(1),
    help="each concurrency connects to all servers, sets to one of the first so many, gets from any",
)
@click.option("-b", "--verbose", is_flag=True, help="tell of each verification that fails")
@click.option(
    "--rate",
    **_RATE,
    help="open loop: so many requests a second, whatever the server does",
)
@click.option("--warm-up", **_TIME, help="fill the windows, then run so long before measuring")
@click.option("--expiry", type=_from(1, 86400), help="seconds after which the objects of -e expire  [default: 60]")
@click.option("--hdr", type=_FILE, help="write the times' percentiles to this file, as HdrHistogram does")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
@click.version_option(None, "-V", "--version", package_name="netapp", message="memaslap of netapp %(version)s")
def command(servers: str, hdr: Path | None, as_json: bool, **values: Any) -> None:
    try:
        given = {name: value for name, value in values.items() if value is not None}
        chosen = options.Options(servers=options.servers(servers), servers_text=servers, **given)
        mix = configuration.read(chosen.cfg_cmd) if chosen.cfg_cmd else configuration.Configuration()
        if chosen.fixed_size:
            mix = mix.with_values_of(chosen.fixed_size)
        if wrong := chosen.check(mix):
            raise ValueError(wrong)
        if hdr and not hdr.parent.is_dir():
            raise ValueError(f"{hdr}: there is no folder {hdr.parent}")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    step = clock.resolution()
    if step >= clock.USELESS:
        raise click.ClickException(f"the clock has steps of {step / 1e6:g} ms: nothing can be measured with it")
    if step >= clock.COARSE:
        click.echo(f"memaslap: the clock has steps of {step / 1e3:g} us: times are not better", err=True)
    if hdr:
        from bench.memaslap import hgrm
    try:
        result, failure = _run(chosen, mix, as_json)
    except Failed as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(report.as_json(result), indent=2) if as_json else report.closing(result, chosen))
    if hdr:
        try:
            hgrm.write(hdr, result.total)
        except OSError as error:
            raise click.ClickException(f"{hdr}: {error.strerror}") from None
    if failure:
        raise click.ClickException(failure)


def _run(chosen: options.Options, mix: configuration.Configuration, as_json: bool) -> tuple[report.Result, str]:
    """What came of it, and why that is not all."""
    run = Run(chosen, mix)
    progress = Progress()
    outages = Outages(chosen.servers, run.connections)
    earlier: report.Result | None = None
    next_period = time.monotonic() + chosen.stat_freq

    def tell_outages() -> None:
        for line in outages.look(run.lost(), run.back(), time.monotonic()) if run.reconnects else ():
            progress.clear()
            click.echo(line, err=True)

    def look() -> None:
        nonlocal earlier, next_period
        tell_outages()
        now = run.result()
        if chosen.stat_freq and not as_json and time.monotonic() >= next_period:
            next_period += chosen.stat_freq
            progress.clear()
            if sys.stdout.isatty():
                click.echo("\x1b[1;1H\x1b[2J")
            if tables := report.period(earlier, now, mix):
                click.echo(tables)
                earlier = now
        progress.running(now)

    def measure() -> bool:
        nonlocal next_period
        next_period = time.monotonic() + chosen.warm_up + chosen.stat_freq
        try:
            run.measure(min(chosen.stat_freq or 1.0, 1.0), look)
        except KeyboardInterrupt:
            return True
        return False

    try:
        if not as_json:
            click.echo(report.settings(chosen, mix))
        if chosen.warm_up or not mix.set:
            run.fill(lambda: progress.filling(run.objects(), chosen.concurrency * chosen.win_size))
        interrupted = measure()
        tell_outages()
        result = run.result()
        if interrupted:
            return result, "interrupted"
        run.check(result)
    except Failed as error:
        if not run.start:
            raise
        return run.result(), str(error)
    finally:
        progress.clear()
        run.close()
    return result, ""


def main() -> None:
    status = 0
    try:
        command.main(prog_name="memaslap", standalone_mode=False)
    except click.Abort:  # before there was anything to report
        status = 1
    except click.ClickException as error:
        click.echo(f"memaslap: {error.format_message()}", err=True)
        status = error.exit_code
    sys.exit(status)


if __name__ == "__main__":
    main()
