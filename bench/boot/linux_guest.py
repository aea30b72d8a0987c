"""The guest to compare with: Debian's kernel for virtual machines, and Debian's memcached as all that it starts."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.boot.cpio import archive
from bench.debian import FOLDER, NotFetched, environment, fetched

_KERNEL = "linux-image-cloud-amd64"
# What virtio-net needs on a machine with PCI, and on one without, each behind what it depends on.
_DRIVERS = {
    "pci": ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    "mmio": ("virtio_ring", "virtio", "virtio_mmio"),
}
_NETWORK = ("failover", "net_failover", "virtio_net")
# As fast as it gets, and what is left of an attempt that failed ends.
PARAMETERS = "console=ttyS0 quiet mitigations=off nokaslr panic=-1 reboot=t"


@dataclass(frozen=True)
class LinuxGuest:
    kernel: Path
    initramfs: Path
    release: str

    @property
    def bytes(self) -> int:
        return self.kernel.stat().st_size + self.initramfs.stat().st_size


def linux_guest(transport: str) -> LinuxGuest:
    """`transport`: "pci" or "mmio". Raises NotFetched."""
    kernel, modules = _kernel()
    drivers = [next(modules.rglob(f"{name}.ko"), None) for name in (*_DRIVERS[transport], *_NETWORK)]
    files = {"init": _init().read_bytes(), "memcached": fetched().read_bytes()}
    files |= {_place(library): library.read_bytes() for library in _libraries(fetched())}
    files["etc/passwd"] = b"root:x:0:0:root:/:\n"
    names = []
    for driver in drivers:
        if driver is not None:  # some are in other kernels' image itself
            files[f"lib/{driver.name}"] = driver.read_bytes()
            names.append(f"/lib/{driver.name}\n")
    files["modules"] = "".join(names).encode()
    path = FOLDER / f"initramfs-{transport}.cpio"
    path.write_bytes(archive(files))
    return LinuxGuest(kernel, path, modules.name)


@cache
def _kernel() -> tuple[Path, Path]:
    """And the folder of its modules."""
    found = _unpacked()
    if found is None:
        told = subprocess.run(["apt-cache", "depends", _KERNEL], capture_output=True, text=True, check=False).stdout
        package = re.search(r"Depends: (linux-image-\S+)", told)
        if package is None:
            raise NotFetched(f"apt-cache knows no {_KERNEL}: run apt-get update")
        fetched(package[1], f"boot/vmlinuz-{package[1].removeprefix('linux-image-')}")
        found = _unpacked()
    if found is None:
        raise NotFetched(f"{_KERNEL} holds no kernel")
    return found


def _unpacked() -> tuple[Path, Path] | None:
    for kernel in sorted(FOLDER.glob("boot/vmlinuz-*"), reverse=True):
        modules = FOLDER / "lib" / "modules" / kernel.name.removeprefix("vmlinuz-")
        if modules.is_dir():
            return kernel, modules
    return None


def _init() -> Path:
    source, program = Path(__file__).with_name("init.c"), FOLDER / "init"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-static", "-Os", "-s", "-o", program, source], check=True)
    return program


def _libraries(program: Path) -> list[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, env=environment(), check=True).stdout
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", said)]


def _place(library: Path) -> str:
    return f"{'lib64' if library.name.startswith('ld-linux') else 'lib/x86_64-linux-gnu'}/{library.name}"
