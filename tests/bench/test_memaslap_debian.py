"""Debian's memcaslap and ours, before Debian's memcached: the same options and configuration files, good and bad, are
taken and refused alike, and the reports have the same lines. What differs is listed here."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.memaslap.__main__ import main
from tests.bench.programs import memaslap, memcaslap
from tests.memcached.debian import debian

pytestmark = pytest.mark.system

PORT, OTHER = 11311, 11312
SERVER = f"127.0.0.1:{PORT}"
COMMON = ("-s", SERVER, "-w", "1k")
EXACT = ("cmd_get", "cmd_set", "get_misses", "written_bytes", "read_bytes", "object_bytes")


@pytest.fixture
def servers(namespace: None) -> Iterator[None]:
    with debian(PORT, "-U", str(PORT)), debian(OTHER, "-U", str(OTHER)):
        yield


CONFIGURATIONS = {
    "fixed": "key\n64 64 1\nvalue\n100 100 1\ncmd\n0 0.1\n1 0.9\n",
    "comments": "# a mix\n\nkey\n# bytes\n  32 32 1\nvalue\n\t200 200 1\ncmd\n0   0.5\n1   0.5\n",
    "order": "value\n100 100 1\nkey\n20 20 1\ncmd\n0 0.3\n1 0.7\n",
    "sets": "key\n64 64 1\nvalue\n100 100 1\ncmd\n0 1.0\n1 0\n",
    "few sets": "key\n16 16 1\nvalue\n1 1 1\ncmd\n0 0.02\n1 0.98\n",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_file_gives_the_same_requests_and_bytes(servers: None, tmp_path: Path, name: str) -> None:
    (tmp_path / "conf").write_text(CONFIGURATIONS[name])
    arguments = (*COMMON, "-F", tmp_path / "conf", "-x", 2000, "-c", 4, "-S", "5s")
    theirs, ours = memcaslap(*arguments), memaslap(*arguments)
    assert (theirs.status, ours.status, ours.err) == (0, 0, "")
    assert ours.form == theirs.form
    assert {name: ours.counters[name] for name in EXACT} == {name: theirs.counters[name] for name in EXACT}


OPTIONS = (
    ("-x", 1001, "-c", 4),
    ("-x", 1000, "-c", 4, "-T", 2),
    ("-x", 1000, "-c", 4, "-n", 3),
    ("-x", 1000, "-c", 4, "-X", 50),
    ("-x", 1000, "-c", 4, "-X", 100_000),
    ("-x", 1000, "-c", 4, "-B"),
    ("-x", 1000, "-c", 4, "-d", 10),
    ("-x", 1000, "-c", 4, "-d", 10, "-B"),
    ("-x", 1000, "-c", 4, "-v", 0.5),
    ("-x", 1000, "-c", 4, "-e", 0.1),
    ("-x", 1000, "-c", 4, "-P", "100k"),
    ("-x", 1000, "-c", 4, "-U", "-X", 500),
)


@pytest.mark.parametrize("arguments", OPTIONS, ids=lambda arguments: " ".join(map(str, arguments)))
def test_an_option_does_the_same(servers: None, arguments: tuple[object, ...]) -> None:
    theirs, ours = memcaslap(*COMMON, *arguments), memaslap(*COMMON, *arguments)
    assert (theirs.status, ours.status, ours.err) == (0, 0, "")
    assert ours.without_times.form == theirs.form
    exact: tuple[str, ...] = EXACT
    if "-e" in arguments:  # which objects expire, and so how long commands are, is each one's own
        exact = tuple(name for name in EXACT if name != "written_bytes")
        assert ours.counters["written_bytes"] == pytest.approx(theirs.counters["written_bytes"], rel=0.001)
    assert {name: ours.counters[name] for name in exact} == {name: theirs.counters[name] for name in exact}
    assert ours.last[1] == theirs.last[1]


def test_a_run_of_some_time_with_periodic_statistics(servers: None) -> None:
    arguments = (*COMMON, "-t", "1s", "-c", 8, "-S", "1s", "-v", 0.1, "-e", 0.1)
    theirs, ours = memcaslap(*arguments), memaslap(*arguments)
    assert (theirs.status, ours.status, ours.err) == (0, 0, "")
    assert set(ours.form) == set(theirs.form)
    assert abs(len(ours.form) - len(theirs.form)) <= 12  # one period more or less
    seconds, ops, tps, net = ours.last
    assert seconds == 1.0
    assert tps == pytest.approx(ops / seconds, abs=1)
    moved = ours.counters["written_bytes"] + ours.counters["read_bytes"]
    assert net == pytest.approx(moved / (1 << 20) / seconds, abs=0.1)
    assert theirs.last[2] / 6 < tps < theirs.last[2] * 6  # on a machine that others use
    assert ours.counters["cmd_get"] == pytest.approx(9 * ours.counters["cmd_set"], rel=0.01, abs=100)


def test_lengths_out_of_ranges_are_as_long_on_the_average(servers: None, tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("key\n20 40 0.5\n100 200 0.5\nvalue\n1 1000 0.7\n2000 3000 0.3\ncmd\n0 0.5\n1 0.5\n")
    arguments = (*COMMON, "-F", tmp_path / "conf", "-x", 8000, "-c", 4)
    theirs, ours = memcaslap(*arguments), memaslap(*arguments)
    assert ours.counters["object_bytes"] == pytest.approx(theirs.counters["object_bytes"], rel=0.03)
    assert ours.counters["cmd_set"] == theirs.counters["cmd_set"]


BAD = (
    (),
    ("-s", SERVER, "-c", 5, "-T", 2),
    ("-s", SERVER, "-t", "5"),
    ("-s", SERVER, "-t", "0s"),
    ("-s", SERVER, "-t", "xs"),
    ("-s", SERVER, "-S", "5"),
    ("-s", SERVER, "-w", "xk"),
    ("-s", SERVER, "-v", "2"),
    ("-s", SERVER, "-v", "x"),
    ("-s", SERVER, "-e", "0"),
    ("-s", SERVER, "-o", "1.5"),
    ("-s", SERVER, "-X", "0"),
    ("-s", SERVER, "-X", "2000000"),
    ("-s", SERVER, "-d", "0"),
    ("-s", SERVER, "-x", "0"),
    ("-s", SERVER, "-x", "abc"),
    ("-s", SERVER, "-c", "0"),
    ("-s", SERVER, "-T", "0"),
    ("-s", SERVER, "-n", "0"),
    ("-s", SERVER, "-p", "0"),
    ("-s", SERVER, "-p", "2"),
    ("-s", SERVER, "-a"),
    ("-s", SERVER, "-a", "-U", "-d", "2"),
    ("-s", SERVER, "-U", "-n", "2"),
    ("-s", SERVER, "-P", "x"),
    ("-s", SERVER, "-Z"),
    ("-s", SERVER, "--bogus"),
    ("-s", SERVER, "-F", "/nonexistent/conf"),
)
BAD_FILES = (
    "",
    "key\n10 30 1\nvalue\n100 200 1\ncmd\n0 0.1\n1 0.9\n",
    "key\n16 300 1\nvalue\n100 200 1\ncmd\n0 0.1\n1 0.9\n",
    "key\n16 30 1\nvalue\n0 200 1\ncmd\n0 0.1\n1 0.9\n",
    "key\n16 30 1\nvalue\n10 2000000 1\ncmd\n0 0.1\n1 0.9\n",
)
# memcaslap goes on with zeros, averages, or whatever lies there
BAD_FOR_OURS = (
    "key\n16 30 1\n",
    "key\n16 30 0.5\nvalue\n100 200 1\ncmd\n0 0.1\n1 0.9\n",
    "key\n16 30 1\nvalue\n100 200 1\ncmd\n0 0.7\n1 0.7\n",
    "key\n16 30 1 1\nvalue\n100 200 1\ncmd\n0 0.1\n1 0.9\n",
)


def test_bad_options_and_files_are_refused_by_both_and_by_ours_in_one_line(
    servers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, text in enumerate((*BAD_FILES, *BAD_FOR_OURS)):
        (tmp_path / f"{number}").write_text(text)
    files = [("-s", SERVER, "-x", "16", "-F", str(tmp_path / f"{number}")) for number in range(number + 1)]
    for arguments in (*BAD, *files):
        monkeypatch.setattr(sys, "argv", ["memaslap", *arguments])
        with pytest.raises(SystemExit) as ours:
            main()
        out, err = capsys.readouterr()
        assert (ours.value.code, out, err.count("\n")) == (2, "", 1), arguments
        assert err.startswith("memaslap: ")
        theirs = memcaslap(*arguments)
        if arguments in files[len(BAD_FILES) :]:
            assert theirs.status == 0, arguments
        else:
            assert theirs.status, arguments


def test_what_differs_on_purpose(servers: None, tmp_path: Path) -> None:
    # A number without a unit is taken by -w and -P.
    assert memaslap(*COMMON, "-x", 100, "-c", 4, "-P", 100_000, "-w", 10).status == 0
    assert memcaslap(*COMMON, "-x", 100, "-c", 4, "-w", 10).status == 1
    # The window of a mix of gets only is filled before, and not counted.
    (tmp_path / "gets").write_text("key\n64 64 1\nvalue\n100 100 1\ncmd\n0 0\n1 1.0\n")
    arguments: tuple[object, ...] = (*COMMON, "-F", tmp_path / "gets", "-x", 100, "-c", 4)
    theirs, ours = memcaslap(*arguments), memaslap(*arguments)
    assert (theirs.counters["cmd_set"], ours.counters["cmd_set"]) == (4 * 1024, 0)
    assert ours.counters["cmd_get"] == theirs.counters["cmd_get"] == 100
    # Commands are told by their number, not by their order; and "1.0", from its manual's sample, is 1.
    (tmp_path / "order").write_text("key\n64 64 1\nvalue\n100 100 1\ncmd\n1.0 0.75\n0 0.25\n")
    arguments = (*COMMON, "-F", tmp_path / "order", "-x", 400, "-c", 4)
    theirs, ours = memcaslap(*arguments), memaslap(*arguments)
    assert (ours.counters["cmd_get"], ours.counters["cmd_set"]) == (300, 100)
    assert theirs.counters["cmd_set"] != 100
    # -o: a value that was overwritten is not taken for a wrong one.
    arguments = (*COMMON, "-x", 1000, "-c", 4, "-o", 0.3, "-v", 1)
    theirs, ours = memcaslap(*arguments), memaslap(*arguments)
    assert ours.without_times.form == theirs.form
    assert (ours.counters["verify_failed"], ours.counters["cmd_set"]) == (0, theirs.counters["cmd_set"])
    assert theirs.counters["verify_failed"] > 0
    # Several servers with one thread: memcaslap uses the first only.
    both = ("-s", f"{SERVER},127.0.0.1:{OTHER}", "-w", "1k", "-x", 100, "-c", 4)
    assert memcaslap(*both).status == 0
    assert "2 servers need as many threads (-T)" in memaslap(*both).err


@pytest.mark.parametrize("where", ["127.0.0.1:1", "127.0.0.1:x", "nosuch.invalid:11211"])
def test_servers_that_are_not_there_are_told_in_one_line(servers: None, where: str) -> None:
    theirs, ours = memcaslap("-s", where, "-x", 100, "-c", 2), memaslap("-s", where, "-x", 100, "-c", 2)
    assert theirs.status == 1
    assert ours.status == (2 if "x" in where else 1)
    assert ours.err.count("\n") == 1
    assert where.partition(":")[0] in ours.err
