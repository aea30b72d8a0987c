"""The command line: what its values mean, and what does not fit together."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.memaslap.__main__ import command, main
from bench.memaslap.configuration import Configuration, Range
from bench.memaslap.options import Options, proportion, seconds, servers, size
from bench.memaslap.outages import Outages


@pytest.mark.parametrize(("text", "found"), [("10s", 10), ("2m", 120), ("1H", 3600), ("1d", 86400), ("0.5s", 0.5)])
def test_times(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "5", "s", "0s", "-1s", "nans", "infs", "1e9d", "5x", "5 5s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: a number and s, m, h or d"):
        seconds(text)


@pytest.mark.parametrize(("text", "found"), [("10k", 10240), ("2M", 2 << 20), ("1g", 1 << 30), ("156", 156)])
def test_sizes(text: str, found: int) -> None:
    assert size(text) == found


@pytest.mark.parametrize("text", ["", "k", "0", "0k", "-1k", "1.5k", "x", "²k", "9999999999g"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size(text)


@pytest.mark.parametrize("text", ["", "0", "-0.1", "1.01", "nan", "inf", "x"])
def test_what_is_no_proportion(text: str) -> None:
    with pytest.raises(ValueError, match="is no proportion"):
        proportion(text)
    assert proportion("1") == 1.0


def test_servers_have_a_host_and_a_port() -> None:
    assert servers("a:1, b") == (("a", 1), ("b", 11211))
    assert servers("[::1]:5,fe80::1,[::2]") == (("::1", 5), ("fe80::1", 11211), ("::2", 11211))
    for text in ("", ":5", "a:x", "a:0", "a:65536", "a,,b", "a:-1"):
        with pytest.raises(ValueError, match="is no server: host:port"):
            servers(text)


@given(st.text(max_size=20))
def test_any_text_is_taken_or_refused(text: str) -> None:
    for read in (seconds, size, proportion, servers):
        try:
            read(text)
        except ValueError as error:
            assert str(error)


GOOD = Options(servers=(("a", 1),))
TWO = (("a", 1), ("b", 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GOOD, ""),
        (replace(GOOD, threads=3), "the concurrency (-c) must be a multiple of the threads (-T)"),
        (replace(GOOD, servers=TWO), "2 servers need as many threads (-T): each thread has one, but for -p"),
        (replace(GOOD, servers=TWO, rep_write=1), ""),
        (replace(GOOD, execute_number=15), "fewer requests (-x) than concurrency (-c): each does as many"),
        (replace(GOOD, facebook=True), "-a gets several keys at once: say how many with -d"),
        (replace(GOOD, facebook=True, division=2, udp=True), "-a uses both TCP and UDP: leave out -U"),
        (replace(GOOD, udp=True, conn_sock=2), "UDP has one socket for each concurrency: leave out -n or -U"),
        (replace(GOOD, rep_write=1), "-p needs several servers"),
        (replace(GOOD, servers=TWO, rep_write=3), "-p 3: there are 2 servers"),
        (replace(GOOD, servers=TWO, rep_write=1, udp=True), "-p works with TCP only: leave out -U"),
        (replace(GOOD, servers=TWO, rep_write=1, facebook=True, division=2), "-a and -p exclude each other"),
        (replace(GOOD, tps=1, rate=1.0), "-P is memaslap's closed loop, --rate an open one: choose one"),
        (replace(GOOD, udp=True), ""),
        (replace(GOOD, udp=True, division=25), "a get of 25 keys does not fit into a datagram of 1400"),
    ],
)
def test_what_does_not_fit_together(options: Options, message: str) -> None:
    assert options.check(Configuration()) == message


def test_values_must_fit_into_datagrams_where_there_are_only_those() -> None:
    large = Configuration(values=(Range(1, 1400, 1.0),))
    message = "a set of 1400 bytes does not fit into a datagram of 1400"
    assert replace(GOOD, udp=True).check(large) == message
    assert replace(GOOD, udp=True).check(replace(large, set=0.0, get=1.0)) == message  # its windows are filled by sets
    assert replace(GOOD, facebook=True, division=2).check(large) == ""


def test_every_option_of_memaslap_is_there_with_its_two_names() -> None:
    names = {option for parameter in command.params for option in parameter.opts}
    assert names >= {*"-s -T -c -n -x -t -F -w -X -v -d -S -e -o -R -U -a -B -P -p -b -V".split()}
    assert names >= {
        *"--servers --threads --concurrency --conn_sock --execute_number --time --cfg_cmd --win_size".split(),
        *"--fixed_size --verify --division --stat_freq --exp_verify --overwrite --reconnect --udp --facebook".split(),
        *"--binary --tps --rep_write --verbose --version".split(),
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "memaslap: Missing option '-s' / '--servers'.\n"),
        (
            ["-s", "a", "-t", "5"],
            "memaslap: Invalid value for '-t' / '--time': '5' is no time: a number and s, m, h or d",
        ),
        (["-s", "a:b"], "memaslap: 'a:b' is no server: host:port\n"),
        (["-s", "a", "-T", "3"], "memaslap: the concurrency (-c) must be a multiple of the threads (-T)\n"),
        (["-s", "a", "-F", "/no/conf"], "memaslap: /no/conf: No such file or directory\n"),
        (["-s", "a", "x"], "memaslap: Got unexpected extra argument (x)\n"),
        (["-s", "a", "--rate", "nan"], "memaslap: Invalid value for '--rate'"),
        (["-s", "a", "-x", "100", "--hdr", "/no/hdr"], "memaslap: /no/hdr: there is no folder /no\n"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEMCACHED_SERVERS", raising=False)
    monkeypatch.setattr(sys, "argv", ["memaslap", *arguments])
    with pytest.raises(SystemExit) as raised:
        main()
    out, err = capsys.readouterr()
    assert (raised.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(told)


def test_help_and_version_are_for_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for option, word in (("-h", "--rate"), ("--help", "MEMCACHED_SERVERS"), ("-V", "memaslap of netapp")):
        monkeypatch.setattr(sys, "argv", ["memaslap", option])
        with pytest.raises(SystemExit) as raised:
            main()
        out, err = capsys.readouterr()
        assert (raised.value.code, err) == (0, "")
        assert word in out


def test_outages_are_told_when_all_connections_of_a_server_are_gone_and_when_all_are_back() -> None:
    outages = Outages((("a", 1), ("b", 2)), (2, 2))
    assert list(outages.look([1, 0], [0, 0], 1.0)) == []
    assert list(outages.look([2, 0], [0, 0], 2.0)) == ["Server a:1 disconnect"]
    assert list(outages.look([2, 2], [1, 0], 3.0)) == ["Server b:2 disconnect"]
    assert list(outages.look([2, 2], [2, 2], 5.4)) == ["Server a:1 reconnect after 3s", "Server b:2 reconnect after 2s"]
    assert list(outages.look([2, 2], [2, 2], 6.0)) == []
