"""bench.boot: archive, search for the least memory, and what is said; the guests themselves boot in tests/native."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.boot import measure
from bench.boot.cpio import archive
from bench.boot.guests import Guest
from bench.boot.qemu import NotBooted, command
from bench.boot.report import facts_table, ratios, speed_table
from tests.bench.boot_results import guests


def test_an_archive_is_what_file_utilities_read(tmp_path: Path) -> None:
    made = archive({"init": b"one", "lib/a/b": b"", "modules": b"x" * 4097})
    names: list[str] = []
    at = 0
    while not names or names[-1] != "TRAILER!!!":
        assert made[at : at + 6] == b"070701" and at % 4 == 0
        fields = [int(made[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        size, name_length = fields[6], fields[11]
        names.append(made[at + 110 : at + 110 + name_length - 1].decode())
        at += (110 + name_length + 3) // 4 * 4
        if names[-1] == "modules":
            assert made[at : at + size] == b"x" * 4097
        at += (size + 3) // 4 * 4
    assert names == ["lib", "lib/a", "init", "lib/a/b", "modules", "TRAILER!!!"] and at == len(made)


def guest(folder: Path, initramfs: bool = False) -> Guest:
    kernel = folder / "kernel"
    kernel.write_bytes(b"k" * 1000)
    (folder / "initramfs").write_bytes(b"i" * 500)
    return Guest("linux", "Linux", kernel, folder / "initramfs" if initramfs else None, "quiet -- -m 16")


def test_guests_get_the_same_machine(tmp_path: Path) -> None:
    plain, more = guest(tmp_path), guest(tmp_path, initramfs=True)
    assert more.image_bytes == 1500 and plain.image_bytes == 1000
    for machine in ("microvm", "q35", "pc"):
        assert command(machine, more, 64)[:-2] == command(machine, plain, 64)
        assert command(machine, plain, 64)[:3] == ["qemu-system-x86_64", "-accel", "tcg"]


@pytest.mark.parametrize("least", [2, 30, 31, 86, 250])
def test_the_least_memory_is_found(tmp_path: Path, least: int) -> None:
    class Bed:
        @contextmanager
        def boot(self, machine: str, guest: Guest, memory: int, patience: float) -> Iterator[None]:
            if memory < least:
                raise NotBooted("no reply")
            yield

    found = measure.least_memory(Bed(), "q35", guest(tmp_path))  # type: ignore[arg-type]
    assert least <= found <= least + 1


def test_what_is_said() -> None:
    found = guests()
    assert list(ratios(found)) == [
        "**q35**: the image's first reply takes 0.15 (0.12–0.17) of the time of the Linux guest's;"
        " it answers 3.00 (3.00–3.00) times the requests"
    ]
    lines = speed_table(found).splitlines()
    assert len(lines) == 5 and lines[2].startswith("| netapp run, hosted | 0.90 (0.90–0.90) | 90,000 ")
    assert facts_table(found).splitlines()[2] == "| Linux, memcached | 1,700 | 23.6 | q35 86 |"
    assert facts_table(found).splitlines()[3] == "| netapp's image | - | 12.0 | - |"


def test_the_first_program_of_the_linux_guest_compiles_without_a_warning() -> None:
    from bench.boot import linux_guest

    source = Path(linux_guest.__file__).with_name("init.c")
    warnings = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run(["gcc", *warnings, source], check=True)
