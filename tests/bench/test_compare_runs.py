"""bench.compare as it runs: namespaces, servers, the generator, and that nothing of it is left."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from bench.compare.namespaces import CLIENT, SERVER, Namespace, ip, namespaces
from bench.compare.servers import PRIORITY, SERVERS, NotStarted, started
from bench.debian import NotFetched, fetched
from tests.support.command import wait_for

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
CORE = min(os.sched_getaffinity(0))
FIGURES = ("cpu_us", "process_us", "requests_per_second", "p50_us", "p99_us", "p99_9_us")


@pytest.fixture(scope="module", autouse=True)
def debian() -> None:
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))


def held(process: str = "self") -> set[str]:
    """Network namespaces that a process is in or has open."""
    found = set()
    for path in [Path(f"/proc/{process}/ns/net"), *Path(f"/proc/{process}/fd").glob("*")]:
        try:
            target = os.readlink(path)
        except OSError:
            continue
        if target.startswith("net:"):
            found.add(target)
    return found


def holders(names: set[str]) -> list[str]:
    """Processes of this tree in them. The numbers of namespaces that are gone are given to new ones, in which may be
    others."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(ROOT) in path.read_text() and held(path.parent.name) & names:
                found.append(path.parent.name)
        except OSError:
            continue  # it has ended
    return found


def children(process: int) -> dict[int, str]:
    """Processes that it started, with their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == process:
                command = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(path.parent.name)] = command
        except (OSError, IndexError):
            continue
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.compare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


# --- namespaces -------------------------------------------------------------------------------------------------------


def test_two_namespaces_that_reach_each_other_and_are_gone_after_a_failure() -> None:
    outside = held()
    made: set[str] = set()
    with pytest.raises(RuntimeError, match="on purpose"), namespaces() as (server, client):
        made = {os.readlink(f"/proc/self/fd/{one.descriptor}") for one in (server, client)}
        assert len(made | outside) == len(outside) + 2
        with server, socket.create_server((SERVER, 7)) as listener:
            with client:
                assert held() - made != held()
                connection = socket.create_connection((SERVER, 7), timeout=5)
            accepted, (address, _) = listener.accept()
            assert address == CLIENT
            accepted.close()
            connection.close()
        raise RuntimeError("on purpose")
    assert held() == outside
    assert holders(made) == []


def test_a_failure_within_a_namespace_leads_back_out() -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with namespaces() as (server, client):
        with pytest.raises(OSError), server, client:
            raise OSError
        assert os.readlink("/proc/thread-self/ns/net") == before


# --- servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Namespace, Namespace]]:
    with namespaces() as made:
        yield made


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "uring"])
def test_every_server_answers_counts_and_ends(both: tuple[Namespace, Namespace], name: str) -> None:
    server = SERVERS[name]
    with started(server, both, CORE, ("-I", "2m")) as running:
        process = running.process
        assert os.sched_getaffinity(process.pid) == {CORE}
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == PRIORITY
        value = os.urandom(1 << 20)
        with both[1], socket.create_connection((server.address, server.port), timeout=10) as client:
            # More than a turn answers, and more than a socket's buffer takes.
            client.sendall(b"set k 0 0 %d\r\n%s\r\n" % (len(value), value) + b"get k\r\n" * 30 + b"quit\r\n")
            received = b""
            while piece := client.recv(1 << 20):
                received += piece
        assert received == b"STORED\r\n" + (b"VALUE k 0 %d\r\n%s\r\nEND\r\n" % (len(value), value)) * 30
        assert (running.gets(), running.requests()) == (30, 31)
        began = time.monotonic()
        with both[1], socket.create_connection((server.address, server.port), timeout=10) as client:
            # A server goes on with what it has, without waiting for anything: 100 and more turns.
            client.sendall(b"get no\r\n" * 4000 + b"quit\r\n")
            assert sum(iter(lambda: len(client.recv(1 << 16)), 0)) == 4000 * len(b"END\r\n")
        assert time.monotonic() - began < 5
        assert running.stats()["version"].startswith("1.6")
    assert process.returncode in (0, -signal.SIGTERM)


def test_a_server_that_does_not_start_says_why(both: tuple[Namespace, Namespace]) -> None:
    server = replace(SERVERS["rw"], arguments=("--nonsense",))
    with pytest.raises(NotStarted, match="--nonsense"), started(server, both, CORE):
        pass
    elsewhere = replace(SERVERS["memcached"], address="10.1.2.3")
    with pytest.raises(NotStarted, match="Cannot assign"), started(elsewhere, both, CORE):
        pass


def test_our_server_says_where_its_time_went(both: tuple[Namespace, Namespace]) -> None:
    with started(SERVERS["rw"], both, CORE, breakdown=True) as running:
        running.breakdown()
        running.gets()
        found = running.breakdown()
        assert found["requests"] >= 1 and found["parts"]["appliance"]["ns"] > 0


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_a_quick_run() -> None:
    done = run("--quick", "--rounds", "1", "--seconds", "0.5", "--connections", "8", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["cpu_ratio"] > 0 and found["throughput_ratio"] > 0
    assert found["server"] in ("rw", "uring")
    assert found["cpu_ratio_range"][0] <= found["cpu_ratio"] <= found["cpu_ratio_range"][1]
    points = {(row["server"], row["point"]) for row in found["rows"]}
    assert points == {(s, load) for s in ("memcached", found["server"]) for load in ("saturation", "80 %", "50 %")}
    for row in found["rows"]:
        assert row["rounds"] == 1
        for name in FIGURES:
            assert 0 < row[name]["least"] <= row[name]["median"] <= row[name]["most"], (name, row)
        assert row["p50_us"]["median"] <= row["p99_us"]["median"] <= row["p99_9_us"]["median"]


def test_a_part_is_stored_and_written_beside_others(tmp_path: Path) -> None:
    few = ("--server", "rw", "--rounds", "1", "--seconds", "0.5", "--folder", str(tmp_path))
    done = run("--only", "breakdown", *few)
    assert done.returncode == 0, done.stderr
    assert "RESULTS.md" in done.stdout
    text = (tmp_path / "RESULTS.md").read_text()
    assert "## Where a request's time goes" in text and (tmp_path / "results/breakdown.png").is_file()
    stored = json.loads((tmp_path / "results/compare.json").read_text())["parts"]
    assert list(stored) == ["breakdown"]
    (row,) = stored["breakdown"]["rows"]
    assert row["breakdown"]["requests"] > 0 and row["cpu_us"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(number: int) -> None:
    outside = held()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.compare", "--quick", "--seconds", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: any("memaslap" in command for command in children(process.pid).values()), "the load", 60)
        started_by_it = children(process.pid)
        made = held(str(process.pid)) - outside
        assert len(started_by_it) >= 3 and len(made) == 2
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == (1 if number == signal.SIGINT else -number)
    assert "Traceback" not in said
    wait_for(lambda: not any(Path(f"/proc/{one}/cmdline").exists() for one in started_by_it), "the end of all")
    wait_for(lambda: holders(made) == [], "the end of what it had just begun")
    assert re.search(r"^\s*\d+: bench-", subprocess.check_output(["ip", "link"], text=True), re.MULTILINE) is None


def test_without_root_it_says_what_to_do() -> None:
    command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    program = "from bench.compare.namespaces import namespaces\nwith namespaces(): pass"
    done = subprocess.run([*command, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "run as root" in done.stderr


def test_ip_that_fails_says_how() -> None:
    with pytest.raises(click.ClickException, match="ip link set nonsense up: Cannot find device"):
        ip("link set nonsense up")
