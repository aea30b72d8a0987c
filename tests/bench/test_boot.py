"""bench.boot: archive, search for the least memory, and what is written; the guests themselves boot in tests/native."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.boot import measure
from bench.boot.cpio import archive
from bench.boot.guests import Guest
from bench.boot.qemu import NotBooted, command
from bench.boot.report import STORED, facts_table, ratios, section, speed_table


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


def result() -> dict[str, Any]:
    def row(guest: str, machine: str, number: int, first: float, rate: float) -> dict[str, Any]:
        load = {"requests_per_second": rate, "p50_us": 100.0, "p99_us": 300.0}
        return {
            "guest": guest,
            "machine": machine,
            "round": number,
            "first_reply": first,
            "load": {"64": load, "1": {name: value / 10 for name, value in load.items()}},
        }

    rows = []
    for number in range(3):
        rows += [row("linux", "q35", number, 4.0, 5000.0), row("netapp", "q35", number, 0.5 + number / 10, 15000.0)]
        rows.append(row("hosted", "Linux process", number, 0.9, 90000.0))
    facts = {
        "linux": {
            "title": "Linux, memcached",
            "image_bytes": 23_600_000,
            "instructions": 1.7e9,
            "least_memory": {"q35": 86},
        },
        "netapp": {"title": "netapp's image", "image_bytes": 12_000_000},
    }
    return {
        "date": "2026-01-01",
        "machine": {"CPU": "one", "QEMU": "7.2"},
        "memory": 256,
        "cache": 64,
        "small_cache": 8,
        "seconds": 1.0,
        "rounds": 3,
        "rows": rows,
        "facts": facts,
    }


def test_what_is_said() -> None:
    found = result()
    assert list(ratios(found)) == [
        "**q35**: the image's first reply takes 0.15 (0.12–0.17) of the time of the Linux guest's;"
        " it answers 3.00 (3.00–3.00) times the requests"
    ]
    lines = speed_table(found).splitlines()
    assert len(lines) == 5 and lines[2].startswith("| netapp run, hosted | 0.90 (0.90–0.90) | 90,000 ")
    assert facts_table(found).splitlines()[2] == "| Linux, memcached | 1,700 | 23.6 | q35 86 |"
    assert facts_table(found).splitlines()[3] == "| netapp's image | - | 12.0 | - |"
    for table in re.findall(r"(?:^\|.*\|\n)+", section(found), re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


@pytest.mark.skipif(os.environ.get("NETAPP_VARIANT") == "debug", reason="matplotlib has no such build")
def test_it_stands_behind_the_comparison(tmp_path: Path) -> None:
    from bench.compare.results import write_results
    from tests.bench.compare_parts import parts

    (tmp_path / "results").mkdir()
    (tmp_path / STORED).write_text(json.dumps(result()))
    write_results(tmp_path, parts())
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.index("# memcached on netapp") < text.index("# A boot image beside a Linux guest")
    assert (tmp_path / "results/boot.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_program_of_the_linux_guest_compiles_without_a_warning() -> None:
    from bench.boot import linux_guest

    source = Path(linux_guest.__file__).with_name("init.c")
    warnings = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run(["gcc", *warnings, source], check=True)
