"""The command `netapp`. Exit status 0, 1 (failed at run time) or 2 (bad usage); an error is one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from netapp.cli.build import build_image
from netapp.cli.find import listed
from netapp.cli.options import options_of, taken
from netapp.cli.run import FaultConfig, TapConfig, run
from netapp.native.config import ImageOptions
from netapp.node.console import reason, set_up_logging


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
    set_up_logging(verbose)
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
        raise click.ClickException(reason(error)) from None


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


def _build_command(name: str, output: Path, form: str, arguments: Sequence[str], **values: Any) -> None:
    """Makes a boot image of an appliance: one file that a hypervisor boots (`netapp boot`), and that Linux runs, too.

    NAME is as for `netapp run`. The options are baked in; those of the image's command line go before them.
    """
    try:
        options = taken(ImageOptions, values)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    build_image(name, output, form, options, arguments)


cli.add_command(
    click.Command(
        "build",
        callback=_build_command,
        help=_build_command.__doc__,
        params=[
            click.Argument(["name"]),
            click.Option(
                ["-o", "--output"], type=click.Path(path_type=Path), required=True, metavar="FILE", help="where it goes"
            ),
            click.Option(
                ["--format", "form"],
                type=click.Choice(["elf", "iso"]),
                default="elf",
                show_default=True,
                help="elf: a kernel for a hypervisor; iso: a disk that boots from a BIOS",
            ),
            *options_of(ImageOptions),
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
