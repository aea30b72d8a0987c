"""A disk that boots an image by GRUB, from a BIOS."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from netapp.native.image.toolchain import BuildError

_MENU = """set timeout=0
menuentry netapp {
    multiboot2 /boot/netapp.elf
    boot
}
"""
_TOOLS = {"grub-mkrescue": "grub-common", "xorriso": "xorriso", "mformat": "mtools"}
_GRUB = Path("/usr/lib/grub/i386-pc")
_EPOCH, _DATE = "315532800", "1980010100000000"  # of all that it has


def check_iso_tools() -> None:
    """Raises BuildError, which names all that is missing."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if not (_GRUB / "multiboot2.mod").is_file():
        missing.append("grub-pc-bin")
    if missing:
        packages = " ".join(missing)
        raise BuildError(f"a bootable disk cannot be made without {', '.join(missing)}: apt install {packages}")


def make_iso(image: Path, output: Path) -> None:
    """`output` boots the ELF file `image`. Two made of the same are the same."""
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        boot = Path(scratch, "disk/boot")
        (boot / "grub").mkdir(parents=True)
        (boot / "grub/grub.cfg").write_text(_MENU)
        shutil.copyfile(image, boot / "netapp.elf")
        disk = Path(scratch, "disk.iso")
        done = subprocess.run(
            ["grub-mkrescue", f"--directory={_GRUB}", "--compress=no", "--locales=", "--fonts=", "--themes="]
            + [f"--output={disk}", str(boot.parent), "--", "-volid", "NETAPP", "-volume_date", "all_file_dates", _DATE]
            + ["-volume_date", "uuid", _DATE, "-alter_date_r", "a-c", f"@{_EPOCH}", "/", "--"],
            capture_output=True,
            text=True,
            env=os.environ | {"SOURCE_DATE_EPOCH": _EPOCH, "TZ": "UTC"},
        )
        if done.returncode != 0 or not disk.exists():
            raise BuildError(f"grub-mkrescue failed: {(done.stderr.splitlines() or ['it says nothing'])[-1]}")
        shutil.move(disk, output)
