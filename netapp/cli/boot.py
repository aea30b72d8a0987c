"""`netapp boot`: a boot image in QEMU, on a tap device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from netapp.hosted.qemu import Machine, MachineError, accelerator, boot
from netapp.hosted.tap_setup import host_tap
from netapp.node.options import option

_HOW = {"kvm": "by KVM", "tcg": "by software emulation"}


@dataclass(frozen=True)
class BootConfig:
    machine: str | None = option(None, "what QEMU makes (microvm; q35 for a disk)", choices=("microvm", "q35", "pc"))
    memory: int = option(256, "of the machine, in MiB", range=(16, 1 << 20))
    tap: str = option("netapp0", "tap device; made if there is none, and gone afterwards", metavar="NAME")
    host_address: str = option("10.99.0.1/24", "this host's address on the tap", metavar="ADDRESS/PREFIX")


def boot_image(image: Path, config: BootConfig, words: Sequence[str], vlan: int | None) -> int:
    """The image's exit status. `words`: of its command line. Raises click.ClickException, and TapError."""
    by = accelerator(Path("/proc/cpuinfo").read_text())
    try:
        machine = Machine(image, config.machine, config.memory, words, by)
        with host_tap(config.tap, config.host_address, vlan=vlan, io="rw") as tap:
            where = f"tap {config.tap}{'' if vlan is None else f', VLAN {vlan}'}, this host {config.host_address}"
            print(f"netapp: {image} on {machine.kind}, {config.memory} MiB, {_HOW[by]}; {where}", flush=True)
            return boot(machine, tap.fileno(), tap.mac.hex(":"))
    except MachineError as error:
        raise click.ClickException(str(error)) from None
