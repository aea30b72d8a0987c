"""The command `netapp`. Exit status 0, 1 (failed at run time) or 2 (bad usage); an error is one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from netapp.cli.find import listed
from netapp.cli.options import options_of, taken
from netapp.cli.run import FaultConfig, TapConfig, run

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Format(logging.Formatter):
    """One line a record; tracebacks only where they were asked for."""

    def __init__(self, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        if self.tracebacks or not record.exc_info or record.exc_info[1] is None:
            return super().format(record)
        error = record.exc_info[1]
        told, record.exc_info, record.exc_text = record.exc_info, None, None
        try:
            return f"{super().format(record)}: {type(error).__name__}: {error}"
        finally:
            record.exc_info = told


def _set_up_logging(verbose: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Format(tracebacks=verbose >= 2))
    root = logging.getLogger("netapp")
    root.handlers = [handler]
    root.setLevel(_LEVELS[min(verbose, 2)])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="netapp", message="netapp %(version)s")
def cli() -> None:
    """Network appliances in one Python code base, from the wire to the callback."""


@cli.command(name="list")
def list_command() -> None:
    """The appliances that `run` finds by name."""
    found = list(listed())
    width = max((len(name) for name, _ in found), default=0)
    for name, description in found:
        click.echo(f"{name:{width}}  {description}")


def _run_command(name: str, verbose: int, uncompiled: bool, arguments: Sequence[str], **values: Any) -> None:
    """Runs an appliance on a tap device of this host.

    NAME is one that `netapp list` shows, a module, module:Class, or a file.py. What stands after -- is the appliance's:
    `netapp run NAME -- -h` says what it takes.
    """
    _set_up_logging(verbose)
    try:
        tap, faults = taken(TapConfig, values), taken(FaultConfig, values)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        run(name, tap, faults, uncompiled, arguments)
    except (click.ClickException, KeyboardInterrupt):
        raise
    except Exception as error:
        if verbose >= 2:
            raise
        text = error.strerror if isinstance(error, OSError) and error.strerror and not error.filename else str(error)
        raise click.ClickException(text or type(error).__name__) from None


cli.add_command(
    click.Command(
        "run",
        callback=_run_command,
        help=_run_command.__doc__,
        params=[
            click.Argument(["name"]),
            *options_of(TapConfig),
            *options_of(FaultConfig),
            click.Option(["--uncompiled"], is_flag=True, help="take the appliance's sources, not its compiled modules"),
            click.Option(["-v", "--verbose"], count=True, help="say more; twice: everything, with tracebacks"),
            click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, metavar="[-- APPLIANCE OPTIONS]"),
        ],
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        cli.main(arguments, prog_name="netapp", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as help_text:
        print(help_text.format_message(), file=sys.stderr)
        return 2
    except click.ClickException as error:
        print(f"netapp: {' '.join(error.format_message().split())}", file=sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
