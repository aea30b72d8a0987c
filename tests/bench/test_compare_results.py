"""bench/RESULTS.md and its pictures, out of runs that were stored."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.boot import chart, report
from bench.compare.machine import machine
from bench.compare.results import rendered, write_results
from bench.compare.spread import Spread
from bench.compare.tables import aligned, markdown, number, shown
from tests.bench.boot_results import guests, interrupts
from tests.bench.compare_parts import parts

# matplotlib throws C++ exceptions, which AddressSanitizer, preloaded into an interpreter in C, cannot let through.
pytestmark = pytest.mark.skipif(os.environ.get("NETAPP_VARIANT") == "debug", reason="matplotlib has no such build")

PICTURES = ("connections", "values", "latency", "breakdown", "boot", "interrupts")


def written(folder: Path) -> Path:
    (folder / "results").mkdir()
    (folder / report.STORED).write_text(json.dumps(guests()))
    (folder / chart.STORED).write_text(json.dumps(interrupts()))
    write_results(folder, parts())
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("bench"))


def test_pictures_are_there_twice(folder: Path) -> None:
    kinds = (".svg", ".png")
    found = sorted(path.name for path in (folder / "results").iterdir() if path.suffix in kinds)
    assert found == sorted(name + kind for name in PICTURES for kind in kinds)
    for name in PICTURES:
        assert (folder / f"results/{name}.png").read_bytes().startswith(b"\x89PNG")
        drawn = (folder / f"results/{name}.svg").read_text()
        assert "</svg>" in drawn and "netapp" in drawn and len(drawn) > 5000


def test_the_same_figures_make_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    written(tmp_path)
    for name in PICTURES:
        assert (tmp_path / f"results/{name}.svg").read_bytes() == (folder / f"results/{name}.svg").read_bytes()


def test_links_lead_to_pictures(folder: Path) -> None:
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (folder / "RESULTS.md").read_text())
    assert [link for link in links if not (folder / link).is_file()] == []
    assert len(links) == len(PICTURES)


def test_tables_have_a_line_a_server_and_whole_columns(folder: Path) -> None:
    text = (folder / "RESULTS.md").read_text()
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) > 10
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    saturation = next(table for table in tables if table.startswith("| saturation"))
    assert len(saturation.splitlines()) == 2 + 5
    ours = next(line for line in saturation.splitlines() if line.startswith("| netapp --io rw |"))
    # CPU stays, the rate falls by 10 % a round, as memcached's does.
    assert "| 4.00 (4.00–4.00) |" in ours and "| 181,818 (166,667–200,000) |" in ours
    assert ours.endswith("| 2.20 (2.00–2.40) | 2.00 (2.00–2.00) |")


def test_sections_have_their_order(folder: Path) -> None:
    titles = re.findall(r"^# .*", (folder / "RESULTS.md").read_text(), re.MULTILINE)
    assert titles == [
        "# memcached on netapp, beside Debian's memcached",
        "# A boot image beside a Linux guest",
        "# Interrupts and polls against load",
    ]


def test_what_was_found_comes_first(folder: Path) -> None:
    text = (folder / "RESULTS.md").read_text()
    short = text.split("## In short")[1].split("##")[0]
    assert "2.75 (2.50–3.00) at saturation" in short  # io_uring's
    assert "4.00 (4.00–4.00) times the requests of asyncio" in short
    assert "p99 ≤ 500 µs: 2.50" in short
    assert "values of 1 MiB: 2.50" in short
    assert "p50 256" in short and "memcached 640" in short


def test_a_part_that_was_not_measured_is_not_there() -> None:
    text = rendered({"loads": parts()["loads"]}, [])
    assert "## Saturation" in text and "## Throughput" not in text and "![" not in text


def test_neither_names_nor_paths(folder: Path) -> None:
    said = (folder / "RESULTS.md").read_text() + json.dumps(machine())
    assert socket.gethostname() not in said.split()
    assert str(Path.cwd()) not in said and "/tmp" not in said and "/root" not in said
    assert re.fullmatch(r"[\d.]+", machine()["Linux"])


def test_redrawing(tmp_path: Path) -> None:
    stored = tmp_path / "results" / "compare.json"
    command = [sys.executable, "-m", "bench.compare", "--redraw", "--json", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("Error: there is no") and done.stderr.count("\n") == 1
    stored.parent.mkdir()
    stored.write_text(json.dumps({"parts": parts()}))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["cpu_ratio"] == pytest.approx(2.75) and found["throughput_ratio"] == pytest.approx(2.5)
    assert (tmp_path / "RESULTS.md").is_file() and (tmp_path / "results/latency.svg").is_file()


def test_usage_that_makes_no_sense() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.compare", "--quick", "--redraw"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "--quick" in done.stderr


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0, 0.123, 1.234, 12.34, 123.4, 123456.7)] == [
        "0",
        "0.12",
        "1.23",
        "12.3",
        "123",
        "123,457",
    ]
    assert shown(None) == "-"
    assert shown(Spread(1.0, 0.5, 2.0), 10) == "10.0 (5.00–20.0)"


def test_tables() -> None:
    assert markdown(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert aligned(("a", "b"), [("long", "1"), ("s", "100")]) == "a       b\nlong    1\ns     100"
