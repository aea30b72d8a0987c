"""The command `netapp`. Exit status 0, 1 (failed at run time) or 2 (bad usage); an error is one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from netapp.cli.boot import BootConfig, boot_image
from netapp.cli.build import build_image
from netapp.cli.find import listed
from netapp.cli.options import options_of, taken
from netapp.cli.run import FaultConfig, TapConfig, check_neighbours, run
from netapp.native.config import BareOptions, ImageOptions
from netapp.node.console import reason, set_up_logging


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="netapp", message="netapp %(version)s")
def cli() -> None:
    """Network appliances in one Python code base, from the wire to the callback."""


@contextmanager
def _told_in_a_line(verbose: int) -> Iterator[None]:
    """What fails within it; with its traceback if that is asked for."""
    set_up_logging(verbose)
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, KeyboardInterrupt):
        raise
    except Exception as error:
        if verbose >= 2:
            raise
        raise click.ClickException(reason(error)) from None


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
    try:
        tap, faults = taken(TapConfig, values), taken(FaultConfig, values)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with _told_in_a_line(verbose):
        run(name, tap, faults, uncompiled, arguments)


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
    with _told_in_a_line(options.verbose):
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


def _boot_command(image: Path, arguments: Sequence[str], **values: Any) -> None:
    """Boots an image, which `netapp build` made, in QEMU on a tap device of this host.

    What is given here goes before what was baked in; what stands after -- is the appliance's. Ctrl-C ends it in order.
    The exit status is the image's: 0, 1 (failed at run time), 2 (bad usage), or 70 to 75: the machine itself failed.
    """
    context = click.get_current_context()
    given = {name for name in values if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    try:
        config, options = taken(BootConfig, values), taken(BareOptions, values)
        if "address" in given:  # otherwise it is one that was baked in
            check_neighbours(config.host_address, options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    words = [*options.words(given), *(["--", *arguments] if arguments else [])]
    with _told_in_a_line(options.verbose):
        status = boot_image(image, config, words, options.vlan)
    context.exit(status)


cli.add_command(
    click.Command(
        "boot",
        callback=_boot_command,
        help=_boot_command.__doc__,
        params=[
            click.Argument(["image"], type=click.Path(exists=True, dir_okay=False, path_type=Path)),
            *options_of(BootConfig),
            *options_of(BareOptions),
            click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, metavar="[-- APPLIANCE OPTIONS]"),
        ],
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        status = cli.main(arguments, prog_name="netapp", standalone_mode=False)  # that of context.exit(), or None
    except click.exceptions.NoArgsIsHelpError as help_text:
        print(help_text.format_message(), file=sys.stderr)
        return 2
    except click.ClickException as error:
        print(f"netapp: {' '.join(error.format_message().split())}", file=sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 1
    return status or 0


if __name__ == "__main__":
    sys.exit(main())
