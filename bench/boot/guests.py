"""What boots: a guest is what QEMU's -kernel takes, and what it is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.compare.namespaces import PREFIX, SERVER

MAC = "52:54:00:99:00:02"
_NETMASK = "255.255.255.0"
assert PREFIX == 24


@dataclass(frozen=True)
class Guest:
    name: str
    title: str
    kernel: Path
    initramfs: Path | None
    parameters: str  # of its command line

    @property
    def image_bytes(self) -> int:
        """All that its host has to hold."""
        return self.kernel.stat().st_size + (self.initramfs.stat().st_size if self.initramfs else 0)


def linux(machine: str, cache: int) -> Guest:
    """Debian's kernel for virtual machines, and memcached in an initramfs. `cache`: MiB. Raises NotFetched."""
    from bench.boot.linux_guest import PARAMETERS, linux_guest

    made = linux_guest("mmio" if machine == "microvm" else "pci")
    # microvm has no timer that this kernel could measure the TSC by, and TCG's is the host's.
    clock = f"tsc_early_khz={_host_khz()} " if machine == "microvm" else ""
    program = f"-u root -t 1 -m {cache}"
    parameters = f"{clock}{PARAMETERS} ADDRESS={SERVER} NETMASK={_NETMASK} -- {program}"
    return Guest("linux", f"Debian's Linux {made.release}, memcached", made.kernel, made.initramfs, parameters)


def ours(image: Path, cache: int) -> Guest:
    return Guest("netapp", "netapp's image", image, None, f"--address {SERVER}/{PREFIX} -- -m {cache}")


def _host_khz() -> int:
    found = re.search(r"^cpu MHz\s*: ([\d.]+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return round(float(found[1]) * 1000) if found else 2_000_000
