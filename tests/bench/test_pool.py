"""`python -m bench.pool`: what it takes it gives back, and what it prints is a contract."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import pool as bench_pool
from bench.debian import NotFetched
from bench.pool import COLUMNS, Cell, Child, cell, instructions, main, rows, spent
from bench.threadtest import KINDS, Threadtest
from netapp.ebb.core import BUFFER_POOL, EbbNamespace
from netapp.iobuf.pool import BufferPool

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--pairs", "1000", "--rounds", "2")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [64, 2048, 4096])
def test_all_is_given_back(kind: str, size: int) -> None:
    namespace = EbbNamespace()
    made = BufferPool(4 << 20)
    namespace.install(BUFFER_POOL, lambda core, ebb_id: made)
    with namespace.cores[0]:
        assert Threadtest(100).run(kind, size, 20) > 0
        assert (made.live_slots(), made.live_iobufs()) == (0, 0)
        namespace.destroy(BUFFER_POOL)


def test_as_many_objects_as_asked_for_are_there_at_once() -> None:
    namespace = EbbNamespace()
    made = BufferPool(1 << 20, reserve=4096)
    namespace.install(BUFFER_POOL, lambda core, ebb_id: made)
    with namespace.cores[0]:
        Threadtest(256).run("slot", 4096, 10)
        Threadtest(64).run("chain", 4 * 4096, 10)
        Threadtest(10_000).run("view", 4096, 10)
        for kind, size, count in (("slot", 4096, 257), ("chain", 4 * 4096, 65)):
            with pytest.raises(MemoryError):
                Threadtest(count).run(kind, size, 1)
            assert (made.live_slots(), made.live_iobufs()) == (0, 0)
        namespace.destroy(BUFFER_POOL)


def test_rows_have_the_same_number_of_pairs() -> None:
    found = rows(1_000_000)
    assert {objects * iterations for _, objects, iterations in found} == {1_000_000}
    assert {(size, objects) for size, objects, _ in found} >= {(128, 100_000), (2048, 10_000), (16384, 100)}
    assert all(size * objects <= 64 << 20 for size, objects, _ in found)
    assert rows(100) == [(size, 100, 1) for size in bench_pool.SIZES]
    assert cell("slot", 16384, 100, 1) is None and cell("jemalloc", 16384, 100, 1) == Cell("malloc", 16384, 100, 1)


def test_threads_are_measured_together() -> None:
    assert spent(Cell("malloc", 128, 100, 30, threads=2)) > 0


def test_a_process_measures_what_it_is_told() -> None:
    child = Child()
    try:
        assert child.malloc == "glibc"
        few, many = Cell("slot", 2048, 100, 10), Cell("slot", 2048, 100, 10_000)
        assert 0 < 50 * min(child.run(few) for _ in range(3)) < min(child.run(many) for _ in range(3))
    finally:
        child.close()


def report_without(monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    def fetched(package: str, program: str) -> Path:
        raise NotFetched("Debian's libjemalloc2 cannot be fetched: no network")

    monkeypatch.setattr(bench_pool, "fetched", fetched)
    monkeypatch.setattr(bench_pool, "SIZES", (2048, 16384))
    monkeypatch.setattr(bench_pool, "OBJECTS", (100,))
    done = CliRunner().invoke(main, [*SMALL, *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_without_jemalloc(monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads(report_without(monkeypatch, "--json"))
    assert list(report) == ["pairs", "rows", "scaling", "missing"]
    assert report["missing"].endswith("no network")
    first, second = report["rows"]
    assert [first[key] for key in ("size", "objects", "iterations")] == [2048, 100, 10]
    assert first["jemalloc"] is None and second["slot"] is None
    for name in ("slot", "view", "chain", "glibc"):
        assert 0 < first[name]["range"][0] <= first[name]["ns"] <= first[name]["range"][1]
        assert first[name]["instructions"] is None
    assert report["scaling"][0]["cores"] == 1 and report["scaling"][0].keys() == {"cores", "slot", "glibc"}
    lines = report_without(monkeypatch).splitlines()
    assert lines[1].split() == ["bytes", "objects", "iterations", *COLUMNS]
    assert lines[2].split()[-1] == "-" and lines[-1] == f"no jemalloc: {report['missing']}"


@pytest.mark.system
def test_with_jemalloc() -> None:
    command = [sys.executable, "-m", "bench.pool", "--json", *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=True)
    report = json.loads(done.stdout)
    if report["missing"]:
        pytest.skip(report["missing"])
    assert all(row["jemalloc"]["ns"] > 0 for row in report["rows"])
    assert all(row.keys() == {"cores", "slot", "glibc", "jemalloc"} for row in report["scaling"])


@pytest.mark.system
def test_instructions_a_pair() -> None:
    found = instructions("slot", "")
    if not found:
        pytest.skip("valgrind, which counts instructions, is not installed")
    assert len(found) == len([row for row in rows(bench_pool.COUNTED_PAIRS) if row[0] <= 4096])
    # A frame's slot; a header's.
    assert 20 < found[2048, 100] <= 65 and 20 < found[128, 100] <= 65
