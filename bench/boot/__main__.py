"""A boot image beside a Linux guest: the same memcached protocol, emulator, machine, memory and clients.

    sudo .venv/bin/python -m bench.boot

The Linux guest is Debian's kernel for virtual machines with an initramfs that holds Debian's memcached and nothing
else. Measured are the time from QEMU's start to the first reply on the wire, the guest's instructions until then, the
image's size, the least memory it answers with, and requests/s and latency under load; hosted mode beside them. QEMU
emulates in software (TCG). About 5 minutes; bench/RESULTS.md is written with its picture.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from bench.boot.guests import Guest, linux, ours
from bench.boot.measure import boots, instructions, laboratory, least_memory
from bench.boot.qemu import MACHINES
from bench.boot.report import STORED, facts_table, speed_table
from bench.compare.__main__ import FOLDER, stored
from bench.compare.machine import machine as where
from bench.compare.results import NAME, write_results
from bench.compare.stored import write_stored
from bench.debian import NotFetched

# MiB: of the cache, and of the guest; and the cache of a guest that is to be small.
CACHE, MEMORY = 64, 256
SMALL_CACHE = 8
COUNTED_MACHINE = "q35"


@click.command(help=__doc__)
@click.option("--image", type=click.Path(path_type=Path, exists=True), help="the image; without it, one is built")
@click.option("--machine", "machines", multiple=True, type=click.Choice(list(MACHINES)), help="several times: these")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.2), default=2.0, show_default=True, help="of each load")
@click.option("--quick", is_flag=True, help="boots and loads only; nothing is written")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="for RESULTS.md and results/")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def main(
    image: Path | None, machines: tuple[str, ...], rounds: int, seconds: float, quick: bool, folder: Path, as_json: bool
) -> None:
    machines = machines or ("microvm", "q35")
    with tempfile.TemporaryDirectory() as temporary, laboratory() as bed:
        own = image or built(Path(temporary, "memcached.elf"))

        def our_guest(machine: str, cache: int = CACHE) -> Guest:
            return ours(own, cache)

        def linux_guest(machine: str, cache: int = CACHE) -> Guest:
            return linux(machine, cache)

        guests = (linux_guest, our_guest)
        try:
            found: dict[str, Any] = {
                "date": datetime.date.today().isoformat(),
                "machine": where() | {"QEMU": qemu_version()},
                "memory": MEMORY,
                "cache": CACHE,
                "small_cache": SMALL_CACHE,
                "seconds": seconds,
                "rounds": rounds,
                "rows": boots(bed, guests, machines, MEMORY, rounds, seconds),
                "facts": {},
            }
            for guest_of in guests:
                guest = guest_of(machines[0])
                facts: dict[str, Any] = {"title": guest.title, "image_bytes": guest.image_bytes}
                if not quick:
                    counted = guest_of(COUNTED_MACHINE)
                    facts["instructions"] = instructions(bed, COUNTED_MACHINE, counted, MEMORY)
                    small = {machine: guest_of(machine, SMALL_CACHE) for machine in machines}
                    facts["least_memory"] = {name: least_memory(bed, name, small[name]) for name in small}
                found["facts"][guest.name] = facts
        except NotFetched as error:
            raise click.ClickException(str(error)) from None
    if not quick:
        write_stored(folder / STORED, found)
        write_results(folder, stored(folder)["parts"])
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(speed_table(found, for_terminal=True))
    click.echo(facts_table(found, for_terminal=True))
    if not quick:
        click.echo(f"written: {folder / NAME}")


def built(image: Path) -> Path:
    command = [sys.executable, "-m", "netapp.cli.main", "build", "memcached", "-o", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException((done.stderr.strip().splitlines() or ["netapp build failed"])[-1])
    return image


def qemu_version() -> str:
    try:
        said = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise click.ClickException("no qemu-system-x86_64: run apt install qemu-system-x86") from None
    return said.split("version ", 1)[-1].split()[0]


if __name__ == "__main__":
    main()
