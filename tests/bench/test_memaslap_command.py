"""`python -m bench.memaslap` as a user starts it: what it counts is what the servers count, and what fails is told."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.memaslap import clock
from bench.memaslap.__main__ import main
from tests.bench.programs import Said, memaslap
from tests.bench.server import Server
from tests.memcached.debian import debian

pytestmark = pytest.mark.system

PORT, OTHER = 11311, 11312
SERVER = f"127.0.0.1:{PORT}"
BOTH = f"{SERVER},127.0.0.1:{OTHER}"
STATS = ("cmd_get", "cmd_set", "get_hits", "get_misses", "bytes_read", "total_connections")


@pytest.fixture
def servers(namespace: None) -> Iterator[None]:
    with debian(PORT, "-U", str(PORT), "-m", "1024"), debian(OTHER, "-U", str(OTHER)):
        yield


def stats(port: int = PORT) -> dict[str, int]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"stats\r\n")
        text = b""
        while not text.endswith(b"END\r\n"):
            text += connection.recv(65536)
    found = dict(line.split(" ")[1:] for line in text.decode().splitlines()[:-1])
    return {name: int(found[name]) for name in STATS}


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in STATS}


def measured(*arguments: object) -> dict:
    said = memaslap(*arguments, "--json")
    assert (said.status, said.err) == (0, ""), said
    return json.loads(said.out)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-t", "0.5s", "-c", 8),
        ("-t", "0.5s", "-c", 8, "-B", "-v", 1),
        ("-t", "0.5s", "-c", 8, "-T", 2, "-n", 2),
        ("-t", "0.5s", "-c", 8, "-d", 7, "-v", 1),
        ("-t", "0.5s", "-c", 8, "-d", 7, "-v", 1, "-B"),
        ("-t", "0.5s", "-c", 8, "--rate", 2000),
        ("-t", "0.5s", "-c", 8, "-X", 200_000, "-w", 10, "-v", 0.5),
        ("-t", "0.5s", "-c", 8, "-X", 200_000, "-w", 10, "-v", 0.5, "-B"),
        ("-t", "0.5s", "-c", 8, "-X", 1_000_000, "-w", 4, "-d", 3),
        ("-x", 1000, "-c", 8, "-U", "-v", 1),
        ("-x", 1000, "-c", 8, "-U", "-B", "-v", 1),
        ("-x", 1000, "-c", 8, "-a", "-d", 5, "-v", 1),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_the_servers_counters_agree(servers: None, arguments: tuple[object, ...]) -> None:
    before = stats()
    result = measured("-s", SERVER, "-w", 100, *arguments)
    server = grown(before, stats())
    assert (server["cmd_get"], server["cmd_set"]) == (result["cmd_get"], result["cmd_set"])
    assert (server["get_misses"], result["get_misses"], result["errors"]) == (0, 0, 0)
    assert result["ops"] == result["cmd_get"] + result["cmd_set"] > 0
    assert result["set"]["count"] == result["cmd_set"]
    assert result["total"]["count"] == result["get"]["count"] + result["set"]["count"] == sum(result["total"]["log2"])
    if "-U" not in arguments and "-a" not in arguments:  # of datagrams it does not count the headers
        assert server["bytes_read"] == result["written_bytes"] + len(b"stats\r\n")
    assert (result["verify_failed"], result["verify_misses"], result["unanswered"]) == (0, 0, 0)
    times = result["total"]
    assert 0 < times["min_us"] <= times["p50_us"] <= times["p90_us"] <= times["p99_us"] <= times["p99_9_us"]
    assert times["p99_9_us"] <= times["max_us"]


def test_a_warm_up_fills_the_windows_and_does_not_count(servers: None) -> None:
    before = stats()
    result = measured("-s", SERVER, "-w", 100, "-c", 4, "--warm-up", "0.3s", "-t", "0.3s")
    server = grown(before, stats())
    assert server["cmd_set"] >= 400 + result["cmd_set"]
    assert server["cmd_get"] > 1.2 * result["cmd_get"] > 0
    assert result["seconds"] == pytest.approx(0.3, abs=0.001)
    assert result["get"]["count"] == result["cmd_get"]
    assert 0 < result["cpu_seconds"] < 0.4


def test_each_thread_has_its_server(servers: None) -> None:
    before = stats(), stats(OTHER)
    result = measured("-s", BOTH, "-w", 100, "-T", 2, "-c", 4, "-x", 4000)
    first, second = grown(before[0], stats()), grown(before[1], stats(OTHER))
    assert (first["cmd_get"], second["cmd_get"]) == (1800, 1800)
    assert (first["cmd_set"], second["cmd_set"]) == (200, 200)
    assert result["ops"] == 4000


def test_replication_sets_to_the_first_and_misses_what_only_they_have(servers: None) -> None:
    before = stats(), stats(OTHER)
    result = measured("-s", BOTH, "-w", 100, "-c", 4, "-x", 4000, "-p", 1)
    first, second = grown(before[0], stats()), grown(before[1], stats(OTHER))
    assert (first["cmd_set"], second["cmd_set"]) == (400, 0)
    assert first["cmd_get"] + second["cmd_get"] == 3600
    assert 1400 < second["cmd_get"] == second["get_misses"] == result["get_misses"]


def test_a_server_that_ends_in_the_middle(namespace: None) -> None:
    with debian(PORT):
        process = started("-s", SERVER, "-w", "100", "-c", "4", "-t", "60s")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, f"memaslap: {SERVER} ended 4 connections\n")
    assert Said(1, out, err).counters["cmd_get"] > 0


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command, whose load has begun."""
    command = [sys.executable, "-m", "bench.memaslap", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while stats()["cmd_get"] < 100:
        assert process.poll() is None
        time.sleep(0.05)
    return process


def test_windows_that_this_machine_has_no_room_for_are_refused(servers: None) -> None:
    said = memaslap("-s", SERVER, "-w", "100m", "-c", 10_000, "-x", 10_000)
    assert said.status == 1
    assert re.fullmatch(r"memaslap: 1048576000000 objects take 32000000 MiB of this .*: less -w or -c\n", said.err)


@pytest.mark.parametrize("options", [("-U",), ("-a", "-d", 2)], ids=["-U", "-a"])
def test_a_server_without_udp(namespace: None, options: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "gets").write_text("key\n64 64 1\nvalue\n100 100 1\ncmd\n0 0.0\n1 1.0\n")
    with debian(PORT):
        began = time.monotonic()
        for more in ((), ("-F", tmp_path / "gets")):
            said = memaslap("-s", SERVER, "-w", 10, "-c", 4, "-t", "20s", *options, *more)
            assert (said.status, said.err) == (1, f"memaslap: {SERVER} ended 4 connections\n")
    assert time.monotonic() - began < 10


def test_connections_that_end_are_made_again(namespace: None) -> None:
    server = Server()
    server.ends = {200: 4, 500: 2}
    server.listen(PORT)
    with server.running():
        result = measured_anyhow("-s", SERVER, "-w", 100, "-c", 4, "-t", "1s", "-R")
    assert result["reconnected"] == 6
    assert result["ops"] > 500
    assert 1 <= result["errors"] <= 6


def measured_anyhow(*arguments: object) -> dict:
    return json.loads(memaslap(*arguments, "--json").out)


def test_a_server_that_comes_back_is_told(namespace: None) -> None:
    with debian(PORT):
        process = started("-s", SERVER, "-w", "100", "-c", "4", "-t", "60s", "-R")
    assert process.stderr
    assert process.stderr.readline() == f"Server {SERVER} disconnect\n"
    with debian(PORT):
        assert re.fullmatch(rf"Server {SERVER} reconnect after \d+s\n", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "memaslap: interrupted\n")
    assert Said(1, out, err).counters["reconnected"] >= 4


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (
            b"SERVER_ERROR out of memory storing object\r\n",
            "requests failed, the first with 'SERVER_ERROR out of memory",
        ),
        (b"HELLO\r\n", "ended 4 connections, after it answered 'HELLO'"),
    ],
)
def test_a_server_that_refuses_is_told_with_what_it_said(namespace: None, failure: bytes, told: str) -> None:
    server = Server()
    server.failure = failure
    server.listen(PORT)
    with server.running():
        for options in (("-x", 40), ("-t", "0.2s", "--warm-up", "0.2s")):
            said = memaslap("-s", SERVER, "-w", 10, "-c", 4, *options)
            assert said.status == 1
            assert said.err.count("\n") == 1
            assert told in said.err


def test_a_server_that_corrupts_is_told(namespace: None) -> None:
    def change(reply: bytes) -> list[bytes]:
        at = len(reply) - len("x\r\nEND\r\n")
        return [reply[:at] + b"!" + reply[at + 1 :] if reply.startswith(b"VALUE") else reply]

    server = Server(change)
    server.listen(PORT)
    with server.running():
        said = memaslap("-s", SERVER, "-w", 10, "-c", 4, "-x", 400, "-v", 1)
        failed = said.counters["verify_failed"]
        assert (said.status, failed > 300) == (1, True)
        assert said.err == f"memaslap: {failed} values were not what had been stored\n"
        assert memaslap("-s", SERVER, "-w", 10, "-c", 4, "-x", 400).status == 0  # nobody looks


def test_a_stall_is_seen_with_rate_and_only_with_rate(namespace: None, tmp_path: Path) -> None:
    results = {}
    for name, options in (("open", ("--rate", 400)), ("closed", ())):
        server = Server()
        server.stalls[150] = 0.4
        server.listen(PORT)
        with server.running():
            results[name] = measured("-s", SERVER, "-w", 10, "-c", 4, "-t", "1s", "--hdr", tmp_path / name, *options)
    assert results["open"]["ops"] + results["open"]["unsent"] + results["open"]["unanswered"] == 400
    assert results["open"]["total"]["p99_us"] > 300_000 > 100_000 > results["closed"]["total"]["p99_us"]
    assert results["open"]["late"] > 100
    assert results["closed"]["total"]["max_us"] > 400_000
    for name, result in results.items():
        rows = [line.split() for line in (tmp_path / name).read_text().splitlines() if re.match(r"\s+\d", line)]
        assert int(rows[-1][2]) == result["total"]["count"]
        assert float(rows[-1][0]) == pytest.approx(result["total"]["max_us"], rel=0.001)
        at_99 = next(float(row[0]) for row in rows if float(row[1]) >= 0.99)
        assert at_99 == pytest.approx(result["total"]["p99_us"], rel=0.35)


def test_what_is_not_answered_at_the_end_is_told(namespace: None) -> None:
    server = Server()
    server.silent_from = 50
    server.listen(PORT)
    with server.running():
        said = memaslap("-s", SERVER, "-w", 10, "-c", 4, "-t", "0.5s")
    assert (said.status, said.err) == (1, "memaslap: 4 requests were not answered when the run ended\n")


def test_an_interrupt_ends_it_with_its_report(servers: None) -> None:
    process = started("-s", SERVER, "-w", "100", "-c", "4", "-t", "60s")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert re.search(r"^Run time: \S+s Ops: [1-9]", out, re.MULTILINE)
    assert err == "memaslap: interrupted\n"


def test_a_line_of_progress_is_shown_on_a_terminal_only(servers: None) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bench.memaslap", "-s", SERVER, "-w", "100", "-c", "4", "-t", "1.5s", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=20)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert re.search(r"\r1 s: [\d,]+ ops/s, p50 [\d,]+ us, p99 [\d,]+ us", shown)
    assert shown.endswith("\r\x1b[K")
    assert json.loads(done.stdout)["ops"] > 0


@pytest.mark.parametrize(
    ("step", "status", "told"),
    [
        (50_000, 0, "memaslap: the clock has steps of 50 us: times are not better\n"),
        (4_000_000, 1, "memaslap: the clock has steps of 4 ms: nothing can be measured with it\n"),
    ],
)
def test_the_clock_is_looked_at_first(
    servers: None,
    step: int,
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert clock.resolution(lambda: time.monotonic_ns() // step * step) == step
    assert clock.resolution() < clock.COARSE
    monkeypatch.setattr(clock, "resolution", lambda: step)
    monkeypatch.setattr(sys, "argv", ["memaslap", "-s", SERVER, "-w", "10", "-x", "100"])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == status
    assert capsys.readouterr().err == told
